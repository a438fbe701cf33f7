# SPDX-License-Identifier: BSD-3-Clause
"""Events for asyncio: the loop watches the session's descriptor, and dispatches when it is readable."""

import asyncio
import collections

from pmemarena._errors import LostError
from pmemarena._records import Event, EventKind, Handle

MAX_EVENTS = 65536      # of a reader that does not read; then it is told that some were lost


class EventStream:
    """async for event in stream: events of allocations whose names begin with a prefix. An arena has one prefix at a time. It
    begins when it is made, and ends with close() or the session."""

    def __init__(self, session, arena, prefix):
        self._session = session
        self._arena = arena
        self._events = collections.deque()
        self._waiter = None
        self._loop = asyncio.get_running_loop()
        session.subscribe(arena, prefix)
        self._fd = session.fileno()
        session._streams.append(self)
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self):
        try:
            self._session.dispatch()
        except LostError:
            # The library connects again by itself, and then tells that events were lost.
            pass

    def push(self, events):
        """What Session.dispatch() found."""
        for event in events:
            if event.handle.arena != self._arena:
                continue
            if len(self._events) >= MAX_EVENTS:
                self._events.clear()
                event = Event(EventKind.LOST, "", Handle(self._arena, 0, 0), 0, 0, 0, 0)
            self._events.append(event)
        if self._events:
            self._wake()

    def _wake(self):
        # dispatch() and close() may be called by any thread; what a loop waits for is its own thread's.
        try:
            is_mine = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_mine = False
        if is_mine:
            self._wake_here()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_here)

    def _wake_here(self):
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self):
        """The iteration ends. Closing twice is fine."""
        session, self._session = self._session, None
        if session is None:
            return
        session._streams.remove(self)
        others = [stream for stream in session._streams if stream._loop is self._loop]
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
            if others:
                self._loop.add_reader(self._fd, others[-1]._readable)
        if not any(stream._arena == self._arena for stream in session._streams):
            try:
                session.unsubscribe(self._arena)
            except OSError:
                # The daemon is away, and forgets the subscription with the session.
                pass
        self._wake()

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._events:
            if self._session is None:
                raise StopAsyncIteration
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._events.popleft()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.close()
