# SPDX-License-Identifier: BSD-3-Clause
"""The session, as programs use it."""

import os

from pmemarena import _native
from pmemarena._arena import Arena
from pmemarena._events import EventStream
from pmemarena._operations import Result


class Session(_native.Session):
    """Session(socket=None, *, reconnect_ms=5000, busy_poll_us=0): a connection to the daemon.

    socket: where it listens; None: $PMEMARENA_SOCKET, else /run/pmemarena/pmemarena.sock. reconnect_ms: how long a call waits for a
    daemon that went away; what is mapped or pinned stays meanwhile, and the session is taken up again. busy_poll_us: how long
    a call looks for its reply again and again before it sleeps.

    FileNotFoundError, ConnectionError: no daemon at the socket. PermissionError: this user may not connect. ProtocolError: they
    have no version of the protocol in common."""

    def __init__(self, socket=None, *, reconnect_ms=5000, busy_poll_us=0):
        self._streams = []
        super().__init__(None if socket is None else os.fspath(socket), reconnect_ms, busy_poll_us)

    def __repr__(self):
        return f"<pmemarena.Session {'closed' if self.closed else 'open'}>"

    # ---- arenas ----

    def arenas(self):
        """All arenas that this user may use: a list of Arena."""
        return [Arena(self, info) for info in self.arena_infos()]

    def arena(self, which=0):
        """An arena by its number, its name or its UUID. FileNotFoundError: there is none, or not for this user."""
        if not isinstance(which, int):
            which = self.arena_find(str(which))
        for info in self.arena_infos():
            if info.number == which:
                return Arena(self, info)
        self.usage(which)               # says why there is none
        raise LookupError(f"there is no arena {which}")

    # ---- many operations ----

    def run(self, operations):
        """Do operations (a sequence of Op) in order: a Result of each. Neighbours of one opcode travel in one message, up to 256,
        and are made durable together. OSError: the connection failed; look what became of them."""
        return [Result(*result) for result in self.run_ops(operations)]

    def run_one(self, operation):
        """The Result of one operation; raises if it failed."""
        return Result(*self.run_ops((operation,))[0]).check(operation.name)

    # ---- events ----

    def dispatch(self):
        """Handle what has arrived, without waiting: the list of events (see subscribe()). Streams of events() get them too."""
        events = super().dispatch()
        for stream in tuple(self._streams):
            stream.push(events)
        return events

    def events(self, arena=0, prefix=""):
        """An asynchronous iterator of the events of an arena (its number): async for event in session.events(): ..."""
        return EventStream(self, arena, prefix)

    def close(self, defer=False):
        for stream in tuple(self._streams):
            stream.close()
        super().close(defer)

    def __exit__(self, *_):
        self.close(defer=True)
