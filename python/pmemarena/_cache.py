# SPDX-License-Identifier: BSD-3-Clause
"""The cache: blocks by key, as programs use them. _blocks.py has the work, which servers' plugins share."""

import errno
import logging
import os
import threading
import weakref

from pmemarena._blocks import Blocks
from pmemarena._buffers import flat
from pmemarena._errors import Error, make_error
from pmemarena._labels import as_key
from pmemarena._operations import CONTIGUOUS

# How often a thread tends what needs it, in seconds: a daemon that was restarted evicts nothing, for nobody, before it has heard of
# every cache, also of one that is not called for hours.
TEND = 1


def _tend(blocks, ended):
    # It has no Cache, which would never end otherwise.
    while not ended.wait(TEND):
        try:
            blocks.tend()
        except Error as error:
            logging.getLogger("pmemarena").debug("tending: %s", error)


def _end(blocks, pid, ended, tender):
    # A child has a copy: its threads are not there, and its locks may be held for ever.
    if os.getpid() != pid:
        return
    ended.set()
    # The collector may run this on any thread, and none can wait for itself.
    if tender.is_alive() and tender is not threading.current_thread():
        tender.join()
    blocks.close()


class CachePins(list):
    """What Cache.get_many() returns: a list that has, for each key, a Pin, or None if it is not there. As a context manager it puts
    all of them at the end of the block, each after the last of its views."""

    __slots__ = ()

    @property
    def hits(self):
        """How many of the keys were there."""
        return sum(pin is not None for pin in self)

    @property
    def leading(self):
        """How many were there before the first that was not."""
        return next((i for i, pin in enumerate(self) if pin is None), len(self))

    def put(self, defer=False):
        """End all of them. BufferError: views of some are in use, which are not put; with defer=True each ends after the last of its
        views."""
        failed = None
        for pin in self:
            try:
                if pin is not None:
                    pin.put(defer)
            except BufferError as error:
                failed = error
        if failed:
            raise failed

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.put(defer=True)


class Cache:
    """Cache(socket=None, arena=0, *, namespace="cache", mode=0, pins=4096, contiguous=True, reconnect_ms=5000, ready_bytes=0)

    Blocks of bytes by key, which all processes of a host share. A key is bytes or str (then its UTF-8) of any length; a block has at
    least one byte. Nobody ever sees half of a block, also after a kill or a power cut; blocks outlive their process, the daemon
    and, in persistent memory, the machine. Where the arena has no room the daemon frees blocks that were not used for long: so
    any block may be gone at the next get, and what is pinned stays.

    socket, reconnect_ms: as of Session. arena: its number, name or UUID. namespace: caches of the same one share blocks; others do not
    see them. mode: who else may read and replace blocks, as of a file; 0: this user alone. pins: how many blocks may be got
    and not put at a time. contiguous: each block lies in one piece, so that it is one memoryview; False: it may be in several
    (Pin.pieces()), which a scattered arena finds room for more easily. ready_bytes: so much is reserved ahead, by a thread of the
    cache, so that a put of blocks of one size has only to copy and publish.

    All threads may use one. A thread of its own answers a daemon that was restarted. After fork() a child opens its own: the parent's raises PermissionError there.

    FileNotFoundError, ConnectionError: there is no daemon; and what Session() and Session.arena() raise."""

    def __init__(self, socket=None, arena=0, *, namespace="cache", mode=0, pins=4096, contiguous=True, reconnect_ms=5000, ready_bytes=0):
        self._pid = os.getpid()
        self._closed = False
        self._blocks = Blocks(None if socket is None else os.fspath(socket), arena, namespace, mode, pins, reconnect_ms,
                              ready_bytes=ready_bytes, flags=CONTIGUOUS if contiguous else 0)
        ended = threading.Event()
        tender = threading.Thread(target=_tend, args=(self._blocks, ended), name="pmemarena-tend", daemon=True)
        self._finalizer = weakref.finalize(self, _end, self._blocks, self._pid, ended, tender)
        try:
            tender.start()
        except BaseException:
            self.close()
            raise

    def __repr__(self):
        return f"<pmemarena.Cache {self._blocks.namespace!r} {'closed' if self._closed else 'open'}>"

    def _use(self):
        """The Blocks, of a cache that may be used."""
        if self._closed:
            raise make_error(errno.EBADF, "this cache is closed: open another")
        if os.getpid() != self._pid:
            raise make_error(errno.EPERM, "this cache is the parent's: after fork() a child opens its own")
        return self._blocks

    # ---- reading ----

    def get(self, key):
        """Pin a block: a Pin, whose memoryview is exactly its bytes, read-only, and without a copy; None: it is not there. No message is
        sent where shared memory has the answer. OSError ENOBUFS: all pins are in use."""
        return self._use().pin((as_key(key),))[0]

    def get_many(self, keys):
        """Pin many: a CachePins, which has a Pin or None for each key."""
        return CachePins(self._use().pin([as_key(key) for key in keys]))

    def read(self, key):
        """A copy of a block, as bytes; None: it is not there."""
        pin = self.get(key)
        if pin is None:
            return None
        copy = bytearray(len(pin))
        pin.read_into(copy)
        pin.put()
        return bytes(copy)

    def read_many(self, keys, buffers):
        """Fill each buffer (writable) with the block of its key, with other threads running meanwhile: a list of bool. False: there is no
        such block, or it has another length than the buffer, which was not changed. ValueError: as many keys as buffers."""
        keys, buffers = [as_key(key) for key in keys], [flat(buffer) for buffer in buffers]
        if len(keys) != len(buffers):
            raise ValueError(f"{len(keys)} keys and {len(buffers)} buffers: each key needs one")
        if any(buffer.readonly for buffer in buffers):
            raise BufferError("a buffer is read-only, and would be filled")
        return self._use().get(keys, buffers)

    def __contains__(self, key):
        return self._use().exists((as_key(key),))[0]

    def exists_many(self, keys):
        """Which of the keys are there: a list of bool."""
        return self._use().exists([as_key(key) for key in keys])

    # ---- writing ----

    def put(self, key, data, *, replace=False):
        """Store a block (bytes-like, at least one byte): it is there, whole and durable, when this returns, if nothing else evicts it. What
        is there already, of the same length, or is being put by another right now, is success and left as it is; replace=True, or
        another length, puts this one in its place in one step. FullError: all that may be evicted makes not enough room; InvalidError: it is larger than the arena."""
        error = self.put_many([(key, data)], replace=replace)[0]
        if error:
            raise error

    def put_many(self, items, *, replace=False):
        """put() of each (key, data), or of the items of a dict: a list of None, or of the Error of those that could not be stored, which
        is not raised. They travel together, and are durable together."""
        items = list(items.items() if hasattr(items, "items") else items)
        keys, buffers = [as_key(key) for key, _ in items], [flat(data) for _, data in items]
        for key, buffer in zip(keys, buffers):
            if not buffer:
                raise ValueError(f"the block of {key[:80]!r} is empty: it needs one byte at least")
        return self._use().put(keys, buffers, replace)

    def delete(self, key):
        """Free a block: whether it was there. Who has it pinned goes on with it."""
        return self.delete_many((key,))[0]

    def delete_many(self, keys):
        """delete() of each: a list of bool."""
        return self._use().delete([as_key(key) for key in keys])

    def clear(self):
        """Free all blocks of this namespace that this user may free: how many."""
        return self._use().clear()

    # ---- how much ----

    def __len__(self):
        return self._use().count()

    def __bool__(self):
        # An empty cache is one, too.
        return True

    def usage(self):
        """How full the arena is: a Usage. One message. len(cache) counts the blocks of the namespace, a message for some hundred."""
        return self._use().usage()

    # ---- the end ----

    @property
    def closed(self):
        """True: it cannot be used any more."""
        return self._closed

    def close(self, defer=False):
        """End it; blocks stay. What is pinned and has no view is put. BufferError: views of pins are in use; with defer=True their memory
        is unmapped after the last. Closing twice is fine."""
        if self._closed or os.getpid() != self._pid:
            self._closed = True
            return
        self._blocks.link.window.close(defer)
        self._closed = True
        self._finalizer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close(defer=True)
