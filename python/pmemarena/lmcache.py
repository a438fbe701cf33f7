# SPDX-License-Identifier: BSD-3-Clause
"""LMCache: the second level (L2) of its multi-process server in an arena, as a native plugin. In the server's configuration:

    --l2-adapter '{"type": "native_plugin", "module_path": "pmemarena.lmcache", "class_name": "Client",
                   "adapter_params": {"arena": "main"}}'

This file needs nothing of LMCache: it has the seven calls that the server makes of such a plugin. None of them waits for memory, a
message or another thread; what they begin is done by threads of the Client."""

import collections
import functools
import itertools
import os
import queue
import threading
import time

from pmemarena._blocks import Blocks
from pmemarena._buffers import flat
from pmemarena._labels import as_key

# What one thread copies at a time: less is not worth a switch of threads, more keeps others waiting.
SHARE = 8 << 20
# How often a thread tends what needs it, in seconds: locks that are over, a daemon that was restarted.
TEND = 0.5


def _shares(sizes, workers):
    """Ranges of numbers, of about the same bytes, one for each thread that shall work on them."""
    at_least = max(SHARE, -(-sum(sizes) // workers))
    first, total = 0, 0
    for i, size in enumerate(sizes):
        total += size
        if total >= at_least:
            yield first, i + 1
            first, total = i + 1, 0
    if first < len(sizes):
        yield first, len(sizes)


class _Batch:
    """What was submitted in one call. It is complete with its last share."""

    def __init__(self, number, function, keys, buffers):
        self.number, self.function, self.keys, self.buffers = number, function, keys, buffers
        self.results = [None] * len(keys)
        self.errors = []
        self.shares = 0

    def run(self, first, end):
        keys = self.keys[first:end]
        args = (keys,) if self.buffers is None else (keys, self.buffers[first:end])
        self.results[first:end] = self.function(*args)


class Client:
    """Client(*, socket=None, arena=0, namespace="lmcache", workers=4, mode=0, pins=4096, lock_seconds=30, reconnect_ms=5000,
    ready_mb=None)

    socket: of the daemon; None: $PMEMARENA_SOCKET, else the usual place. arena: its number, name or UUID. namespace: servers of the
    same one share blocks; others do not see them. workers: threads that load, and as many that store, so that no load waits for a
    store that finds no room; one more looks up. mode: who else may read blocks, as of a file; 0: this user alone. pins: how many
    blocks may be in use at a time. lock_seconds: what was looked up stays so long, whoever deletes it, unless it is loaded earlier.
    reconnect_ms: how long a store waits for a daemon that was restarted. ready_mb: how many MiB are reserved ahead, so that a store
    need not wait for room; None: 256, at most a thirty-second part of the arena; 0: none.

    FileNotFoundError, ConnectionError: there is no daemon; and what Session() and Session.arena() raise."""

    def __init__(self, *, socket=None, arena=0, namespace="lmcache", workers=4, mode=0, pins=4096, lock_seconds=30, reconnect_ms=5000,
                 ready_mb=None):
        if workers < 1:
            raise ValueError(f"workers is {workers}: at least one thread must do the work")
        if isinstance(mode, str):
            mode = int(mode, 8)
        self._blocks = Blocks(socket, arena, namespace, mode, pins, reconnect_ms, lock_seconds,
                              None if ready_mb is None else int(ready_mb) << 20)
        self._event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()   # of all that follows
        self._done = collections.deque()
        self._is_closed = False
        # A store and a delete may wait for the daemon; whoever loads or looks up does not stand behind them.
        self._loads, self._stores, self._looks = queue.SimpleQueue(), queue.SimpleQueue(), queue.SimpleQueue()
        self._workers = workers
        self._threads = [threading.Thread(target=self._work, args=(tasks,), name=f"pmemarena-{name}-{i}", daemon=True)
                         for name, tasks in (("load", self._loads), ("store", self._stores)) for i in range(workers)]
        self._threads.append(threading.Thread(target=self._look, name="pmemarena-look", daemon=True))
        for thread in self._threads:
            thread.start()

    # ---- what LMCache calls ----

    def event_fd(self):
        """A descriptor that is readable when drain_completions() has something. It is the Client's."""
        return self._event

    def submit_batch_set(self, keys, buffers):
        """Store blocks: the number of the batch. What is there already is success."""
        return self._submit(self._stores, self._blocks.put, keys, [flat(buffer) for buffer in buffers])

    def submit_batch_get(self, keys, buffers):
        """Fill the buffers with what was stored; a block of another length is none."""
        return self._submit(self._loads, self._blocks.get, keys, [flat(buffer) for buffer in buffers])

    def submit_batch_exists(self, keys):
        """Look up. What is there is pinned until it is loaded, at most lock_seconds."""
        return self._submit(self._looks, functools.partial(self._blocks.exists, hold=True), keys, None)

    def submit_batch_delete(self, keys):
        """Free the blocks. Who is loading one goes on."""
        return self._submit(self._stores, self._blocks.delete, keys, None)

    def look(self, key, size=None):
        """Is it there, and of this size, as far as shared memory shows? The answer comes at once, and without a message. What is there is pinned as by
        submit_batch_exists()."""
        return self._blocks.look(as_key(key), size)

    def check_size(self, size):
        """ValueError: blocks of this size never fit."""
        info = self._blocks.link.arena.info
        if not 0 < size <= info.size:
            raise ValueError(f"a block has {size} bytes, and arena {info.name} {info.size}: make a larger one")

    def drain_completions(self):
        """What was completed since the last call: a list of (number, whether all went well, an error's text or "", a list of bool
        for each key or None)."""
        with self._lock:
            if not self._is_closed:
                try:
                    os.eventfd_read(self._event)
                except BlockingIOError:
                    pass
            done = list(self._done)
            self._done.clear()
        return done

    def close(self):
        """Finish what was submitted, and end. Closing twice is fine."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            for _ in range(self._workers):
                self._loads.put(None)
                self._stores.put(None)
            self._looks.put(None)
        for thread in self._threads:
            thread.join()
        self._blocks.close()
        os.close(self._event)

    # ---- the work ----

    def _submit(self, tasks, function, keys, buffers):
        keys = [as_key(key) for key in keys]
        if buffers is not None and len(keys) != len(buffers):
            raise ValueError(f"{len(keys)} keys and {len(buffers)} buffers: each key needs one")
        batch = _Batch(next(self._numbers), function, keys, buffers)
        shares = [(0, len(keys))] if buffers is None else list(_shares([len(b) for b in buffers], self._workers))
        with self._lock:
            if self._is_closed:
                raise ValueError("this Client is closed: make another one")
            batch.shares = len(shares)
            for share in shares:
                tasks.put((batch, *share))
            if not shares:
                self._complete(batch)
        return batch.number

    def _work(self, tasks):
        while (task := tasks.get()) is not None:
            self._do(*task)
            task = None                 # it has views of the server's memory

    def _look(self):
        due = time.monotonic() + TEND
        while True:
            try:
                task = self._looks.get(timeout=max(0, due - time.monotonic()))
                if task is None:
                    return
                self._do(*task)
            except queue.Empty:
                pass
            if time.monotonic() >= due:
                self._blocks.tend()
                due = time.monotonic() + TEND

    def _do(self, batch, first, end):
        error = None
        try:
            batch.run(first, end)
        except Exception as caught:     # pylint: disable=broad-exception-caught
            error = f"{type(caught).__name__}: {caught}"
        with self._lock:
            if error:
                batch.errors.append(error)
            batch.shares -= 1
            if batch.shares == 0:
                self._complete(batch)

    def _complete(self, batch):
        is_set = batch.function == self._blocks.put
        errors = batch.errors + ([str(it) for it in batch.results if it is not None] if is_set else [])
        self._done.append((batch.number, not errors, errors[0] if errors else "",
                           None if is_set else [bool(it) for it in batch.results]))
        batch.buffers = None
        os.eventfd_write(self._event, 1)
