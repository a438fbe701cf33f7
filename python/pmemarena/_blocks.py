# SPDX-License-Identifier: BSD-3-Clause
"""Blocks: named bytes of a cache that many processes share, for caches of inference servers. A block appears whole or not at all,
goes when others need its space, and is there after any restart if it was there before.

A block is an allocation whose name is a digest of its key, and whose attributes have the key and the length.
Reading needs no message: window, get, copy. This file knows no framework and has no thread."""

import errno
import logging
import threading
import time
from typing import NamedTuple

from pmemarena._buffers import each_piece, write_block
from pmemarena._errors import ClosedError, Error, LostError, StaleError, make_error
from pmemarena._holds import Holds
from pmemarena._labels import is_key_name, key_label, key_name, label_pack, label_unpack
from pmemarena._native import Mapping, Window
from pmemarena._operations import ABORT, CLOSE, EVICTABLE, Op, PUBLISH, RENAME, REPLACE
from pmemarena._ready import Ready
from pmemarena._session import Session

# So many keys are looked up at a time, and so many bytes are reserved at a time: others are not kept waiting for longer, and a small
# arena is not full of what is being written.
KEYS_AT_ONCE = 128
BYTES_AT_ONCE = 64 << 20
# What is reserved ahead by default, but at most a thirty-second part of the arena.
READY_BYTES = 256 << 20
# A part of a block's length: who wastes more by the arena's pages is told so, once for each length.
WASTE = 0.05
BASE_PAGE = 4096
MAX_ADVICE = 8
# How long nobody tries again to reach a daemon that is not there, in seconds.
TRY_AGAIN = 1

# The daemon says so where a request may find space soon: others are just giving it back, or it waits for who was connected before
# its restart. Without these words there is none to come. And how long one waits for it, in seconds.
ASK_AGAIN = "ask again"
WAITS_FOR_ROOM = (0.01, 0.04, 0.16, 0.64, 1.28)



def check_pins(pins, threads):
    """ValueError: so many threads would take each other's pins. Half of them are for what is held."""
    least = 2 * KEYS_AT_ONCE * (threads + 1)
    if pins < least:
        raise ValueError(f"pins is {pins}: {threads} threads need {least} at least")


class Found(NamedTuple):
    """A block, pinned."""
    pin: object
    size: int


class Wanted:
    """A block that is being put."""

    __slots__ = ("name", "label", "buffer", "replaces", "handle", "place", "error")

    def __init__(self, name, label, buffer, replaces):
        self.name = name
        self.label = label
        self.buffer = buffer
        self.replaces = replaces        # what has the name is another block: it goes
        self.handle = None              # None: it is not reserved
        self.place = None               # a Place of which that is the handle
        self.error = None               # why it is not put, or None


class _Link:
    """A session and its window. Both end together: whoever lost one makes another link."""

    def __init__(self, socket, arena, reconnect_ms, pins):
        self.session = Session(socket, reconnect_ms=reconnect_ms)
        self.is_lost = False            # the daemon did not come back in time; what shared memory has is found as before
        self.try_at = 0
        try:
            self.arena = self.session.arena(arena)
            self.index = self.arena.index
            # A file would take memory for all of its length at once.
            self.window = Window(self.session, self.index, populate=self.arena.info.is_dax, pins=pins)
        except BaseException:
            self.session.close(True)
            raise

    def close(self):
        self.window.close(True)
        self.session.close(True)


class Blocks:
    """All threads may use one. Keys are bytes, buffers memoryviews of one dimension or Pieces of them; results are in the order of
    the keys."""

    def __init__(self, socket=None, arena=0, namespace="lmcache", mode=0, pins=4096, reconnect_ms=5000, hold_seconds=30,
                 ready_bytes=None, flags=0):
        self.namespace = namespace + "/"
        self.mode, self.flags = mode, flags
        self.where = socket, arena, reconnect_ms, pins
        self.lock = threading.Lock()
        self.link = _Link(*self.where)
        info = self.link.arena.info
        self.page = info.page_size
        self.advised = set()
        self.bytes_at_once = max(self.page, min(BYTES_AT_ONCE, info.size // 16))
        if ready_bytes is None:
            ready_bytes = min(READY_BYTES, info.size // 32)
        self.ready = Ready(ready_bytes, mode, flags)
        self.holds = Holds(hold_seconds, info.size // 4, pins // 2)

    # ---- the link ----

    def _renew(self, lost):
        """A link instead of one that is lost. Threads that lost the same one get the same new one."""
        with self.lock:
            if self.link is lost:
                lost.is_lost, lost.try_at = True, time.monotonic() + TRY_AGAIN
                made = _Link(*self.where)
                self.holds.clear()
                self.link = made
                lost.close()
            return self.link

    def _current(self):
        link = self.link
        if link.is_lost and time.monotonic() >= link.try_at:
            try:
                return self._renew(link)
            except Error:
                pass
        return link

    def _with_link(self, function, *args):
        """function(link, ...), once more with another link where this one is lost. Its daemon may be another one by now."""
        link = self._current()
        try:
            return function(link, *args)
        except ClosedError:
            # Another thread made a new one meanwhile.
            if self.link is link:
                raise
            return function(self.link, *args)
        except (LostError, StaleError):
            if link.is_lost:
                raise
            return function(self._renew(link), *args)

    @staticmethod
    def _run(link, ops):
        """Results; raises where the session is lost, instead of waiting for it again and again."""
        if not ops:
            return []
        if link.is_lost:
            raise make_error(errno.ENOTCONN, "the daemon went away and is not back yet: start it (systemctl start pmemarenad)")
        results = link.session.run(ops)
        for result in results:
            if result.errno in (errno.ENOTCONN, errno.ESTALE):
                raise result.error()
        return results

    def tend(self):
        """To be called about each second: ends holds that are over, and answers a daemon that was restarted, which does not know what
        is pinned, and evicts nothing, before it has heard of every window."""
        self.holds.trim()
        link = self._current()
        if not link.is_lost:
            try:
                link.session.dispatch()
            except Error:
                pass

    def close(self):
        self.holds.clear()
        self.ready.close()
        self.link.close()

    # ---- finding ----

    def _pins(self, link, keys):
        """Pins of keys. What shared memory certainly does not have costs no message."""
        pins = link.window.get_many(keys, local=True)
        if link.is_lost or all(result in (0, errno.ENOENT) for result in pins.results):
            return pins
        pins.put()
        return link.window.get_many(keys)

    def _find(self, link, names, labels):
        """Of each a Found; None: there is none; False: what has the name is another block."""
        pins = self._pins(link, names)
        return [None if result == errno.ENOENT else self._judge(pins[i], labels[i]) for i, result in enumerate(pins.results)]

    @staticmethod
    def _judge(pin, label):
        if pin is None:                 # a lost daemon would know
            return None
        told = label_unpack(pin.attributes)
        if told is None or told[0] != label or not 0 < told[1] <= len(pin):
            pin.put()
            return False
        return Found(pin, told[1])

    def _each_chunk(self, keys):
        for first in range(0, len(keys), KEYS_AT_ONCE):
            chunk = keys[first:first + KEYS_AT_ONCE]
            names = [key_name(self.namespace, key) for key in chunk]
            yield first, names, [key_label(key) for key in chunk]

    def exists(self, keys, hold=False):
        """A list of bool. hold=True: what is there stays until it is got, or for hold_seconds."""
        there = []
        for _, names, labels in self._each_chunk(keys):
            for name, found in zip(names, self._with_link(self._find, names, labels)):
                there.append(bool(found))
                if found and hold:
                    self.holds.add(name, found)
                elif found:
                    found.pin.put()
        return there

    def look(self, key, size=None):
        """Is it there, and of this size? Shared memory alone answers: no message is sent, and nobody is waited for. What only the daemon would know is
        False. What is there stays until it is got, or for hold_seconds."""
        name = key_name(self.namespace, key)
        if name in self.holds:
            return True
        try:
            pin = self.link.window.get(name, local=True)
        except Error:
            # All pins are in use, or another thread has just made another link. The next look is as good.
            return False
        found = self._judge(pin, key_label(key))
        if not found:
            return False
        if size is not None and found.size != size:
            found.pin.put()
            return False
        self.holds.add(name, found)
        return True

    # ---- reading ----

    def pin(self, keys):
        """Of each a Pin of exactly its bytes, which is the caller's to put, or None."""
        pins = []
        for _, names, labels in self._each_chunk(keys):
            for found in self._with_link(self._find, names, labels):
                if found:
                    found.pin.shorten(found.size)
                pins.append(found.pin if found else None)
        return pins

    def get(self, keys, buffers):
        """Fills each buffer whose block is there and has its length: a list of bool."""
        got = []
        for first, names, labels in self._each_chunk(keys):
            found = self._with_link(self._find, names, labels)
            for i, it in enumerate(found):
                got.append(self._read(names[i], it, buffers[first + i]))
        return got

    def _read(self, name, found, buffer):
        held = self.holds.take(name)
        if not found:
            found, held = held, None    # it was deleted since it was looked up
        try:
            if not found or found.size != len(buffer):
                return False
            for offset, view in each_piece(buffer):
                found.pin.read_into(view, offset)
            return True
        finally:
            for it in (found, held):
                if it:
                    it.pin.put()

    # ---- writing ----

    def put(self, keys, buffers, replace=False):
        """Of each key None, or the Error for which it is not there. What is there, or is being written by another, is left alone, unless
        it shall be replaced."""
        errors = [None] * len(keys)
        for first, names, labels in self._each_chunk(keys):
            # What the name has now counts as another block, which goes.
            found = [False] * len(names) if replace else self._with_link(self._find, names, labels)
            wanted = {}
            for i, it in enumerate(found):
                buffer = buffers[first + i]
                if it:
                    it.pin.put()
                if not it or it.size != len(buffer):
                    wanted[first + i] = Wanted(names[i], labels[i], buffer, it is not None)
            self._store(wanted.values())
            for i, it in wanted.items():
                # Of one name somebody else was faster, or is at it: no failure.
                if it.error and it.error.errno not in (errno.EEXIST, errno.EBUSY):
                    errors[i] = it.error
        return errors

    def _advise(self, size):
        """What is shorter than a page takes base pages. Nobody reads advice about many sizes."""
        taken = -(-size // self.page) * self.page
        if size in self.advised or size < self.page or self.page <= BASE_PAGE or len(self.advised) >= MAX_ADVICE:
            return
        self.advised.add(size)
        if taken - size > WASTE * size:
            logging.getLogger("pmemarena").warning(
                "blocks of %d bytes take %d each in this arena, whose pages are of %d bytes: one that was made with page-size=4K "
                "does not waste the difference", size, taken, self.page)

    def _store(self, wanted):
        for size in {len(it.buffer) for it in wanted}:
            self._advise(size)
        self.ready.begin()
        try:
            for group in self._groups(wanted):
                self._with_link(self._write, group)
        finally:
            self.ready.end()

    def _groups(self, wanted):
        """Lists of not too many bytes."""
        group, size = [], 0
        for it in wanted:
            if group and size + len(it.buffer) > self.bytes_at_once:
                yield group
                group, size = [], 0
            group.append(it)
            size += len(it.buffer)
        if group:
            yield group

    def _write(self, link, group):
        """Reserve, copy and make durable, publish, close. Whatever happens, no reservation is left."""
        try:
            self._take(link, group)
            self._reserve(link, [it for it in group if it.handle is None])
            for it in group:
                self._fill(link, it)
            self._publish(link, [it for it in group if it.handle is not None])
        except BaseException:
            self._give_back(link, group)
            raise

    def _take(self, link, group):
        """What is ready, under the name that the block will have: else its publish would replace what another put meanwhile. Where
        the name is taken by now, the reserve says so again, and why."""
        for it in group:
            it.error = None
            it.place = self.ready.take(link, len(it.buffer))
            it.handle = it.place and it.place.handle
        named = [it for it in group if it.place and not it.replaces]
        results = self._run(link, [Op(RENAME, it.handle, it.name) for it in named])
        self._give_back(link, [it for it, result in zip(named, results) if result.errno])

    def _fill(self, link, it):
        if it.place:
            write_block(it.place.memory, it.buffer)
        elif it.handle is not None:
            with Mapping(link.session, it.handle, True) as memory:
                memory.populate()
                write_block(memory, it.buffer)

    def _reserve(self, link, group):
        for wait in (*WAITS_FOR_ROOM, None):
            ops = [Op.reserve(None if it.replaces else it.name, len(it.buffer), arena=link.index, mode=self.mode, flags=self.flags)
                   for it in group]
            for it, result in zip(group, self._run(link, ops)):
                it.error = result.error(it.name)
                it.handle = None if it.error else result.handle
            group = [it for it in group if it.error and it.error.errno == errno.ENOSPC and ASK_AGAIN in it.error.strerror]
            if not group or wait is None:
                return
            time.sleep(wait)

    def _publish(self, link, group):
        ops = []
        for it in group:
            # What was reserved without a name gets it now.
            name, flags = (it.name, REPLACE) if it.replaces else (None, 0)
            ops.append(Op(PUBLISH, it.handle, name, flags=flags | EVICTABLE, attributes=label_pack(it.label, len(it.buffer))))
        for it, result in zip(group, self._run(link, ops)):
            it.error = result.error(it.name)
        self._give_back(link, [it for it in group if it.error])
        # What is open is not evicted.
        self._run(link, [Op(CLOSE, it.handle) for it in group if it.handle is not None and not it.place])
        self.ready.give([it.place for it in group if it.handle is not None and it.place])

    def _give_back(self, link, group):
        """Reservations of what failed. A lost session has none."""
        handles = [it.handle for it in group if it.handle is not None]
        for it in group:
            it.handle = None
            if it.place:
                it.place.memory.close()
                it.place = None
        try:
            self._run(link, [Op(ABORT, handle) for handle in handles])
        except Error:
            pass

    # ---- deleting ----

    def delete(self, keys):
        """A list of bool: it was there, and is gone. Who is reading it goes on."""
        gone = []
        for _, names, labels in self._each_chunk(keys):
            gone += self._with_link(self._delete, names, labels)
        return gone

    def count(self):
        """How many blocks this namespace has."""
        return self._with_link(lambda link: sum(1 for _ in self._own(link)))

    def _own(self, link):
        """The blocks of this namespace. Others may begin like it: those of a namespace below it, and what a program named so."""
        return (info for info in link.arena.list(prefix=self.namespace)
                if not info.is_reserved and is_key_name(self.namespace, info.name) and label_unpack(info.attributes))

    def usage(self):
        """How full the arena is, whoever fills it."""
        return self._with_link(lambda link: link.arena.usage())

    def clear(self):
        """Free all blocks of this namespace: how many."""
        self.holds.clear()
        return self._with_link(self._clear)

    def _clear(self, link):
        results = self._run(link, [Op.free(info.handle) for info in self._own(link)])
        return sum(result.errno == 0 for result in results)

    def _delete(self, link, names, labels):
        handles = {}
        for i, it in enumerate(self._find(link, names, labels)):
            if it:
                handles[i] = it.pin.handle
                it.pin.put()
        results = self._run(link, [Op.free(handle) for handle in handles.values()])
        freed = {i for i, result in zip(handles, results) if result.errno == 0}
        return [i in freed for i in range(len(names))]
