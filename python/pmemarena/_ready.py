# SPDX-License-Identifier: BSD-3-Clause
"""Memory that is ready: reservations, mapped and present, for blocks that will be stored. A store that finds one has only to copy and
publish; to make room, to zero it and to map it was done before, by a thread that works while nobody stores. All are of the size
that was stored last, since a server's blocks are all of one."""

import threading

from pmemarena._errors import Error
from pmemarena._native import Mapping
from pmemarena._operations import ABORT, CLOSE, Op


class Place:
    """A reservation, or what was one."""

    __slots__ = ("link", "handle", "memory")

    def __init__(self, link, handle, memory):
        self.link, self.handle, self.memory = link, handle, memory

    def end(self, opcode):
        """CLOSE or ABORT. A lost session has nothing to end."""
        if self.memory is not None:     # it could not be mapped
            self.memory.close()
        try:
            self.link.session.run([Op(opcode, self.handle)])
        except Error:
            pass


class Ready:
    def __init__(self, max_bytes, mode, flags=0):
        self.max_bytes, self.mode, self.flags = max_bytes, mode, flags
        self.change = threading.Condition()     # of all that follows
        self.link = None
        self.size = 0
        self.places = []
        self.used = []                  # published; to be unmapped and closed
        self.stores = 0                 # that are under way: the thread waits for them, and they never for it
        self.is_full = False            # the last try found no room, or no daemon
        self.is_closed = False
        self.thread = None
        if max_bytes:
            self.thread = threading.Thread(target=self._work, name="pmemarena-ready", daemon=True)
            self.thread.start()

    # ---- for stores ----

    def begin(self):
        with self.change:
            self.stores += 1

    def end(self):
        with self.change:
            self.stores -= 1
            self.is_full = False
            if self.stores == 0:
                self.change.notify()

    def take(self, link, size):
        """A Place that is the caller's, or None."""
        with self.change:
            if (link, size) != (self.link, self.size):
                self.link, self.size = link, size
            for i, place in enumerate(self.places):
                if place.link is link and len(place.memory) >= size > len(place.memory) // 2:
                    return self.places.pop(i)
        return None

    def give(self, places):
        """They were published."""
        with self.change:
            self.used += places

    # ---- the thread ----

    def _strange(self):
        """Places that nobody will take: of another size or session."""
        strange = [p for p in self.places if p.link is not self.link or not len(p.memory) >= self.size > len(p.memory) // 2]
        self.places = [p for p in self.places if p not in strange]
        return strange

    def _is_short(self):
        return self.link and not self.is_full and (len(self.places) + 1) * self.size <= self.max_bytes

    def _work(self):
        while True:
            with self.change:
                while not self.is_closed and (self.stores or not (self.used or self._is_short())):
                    self.change.wait()
                used, self.used = self.used, []
                strange = self._strange()
                if self.is_closed:
                    strange, self.places = strange + self.places, []
                link, size, is_short = self.link, self.size, self._is_short() and not self.is_closed
            for place in used:
                place.end(CLOSE)
            for place in strange:
                place.end(ABORT)
            if is_short:
                self._make_one(link, size)
            elif self.is_closed:
                return

    def _make_one(self, link, size):
        place = None
        try:
            handle = link.session.run_one(Op.reserve(None, size, arena=link.index, mode=self.mode, flags=self.flags)).handle
            place = Place(link, handle, None)
            place.memory = Mapping(link.session, handle, True)
            place.memory.populate()
        except (Error, MemoryError):
            if place:
                place.end(ABORT)
            with self.change:
                self.is_full = True
            return
        with self.change:
            self.places.append(place)

    def close(self):
        with self.change:
            self.is_closed = True
            self.change.notify()
        # The collector may run this on that thread, which cannot wait for itself.
        if self.thread and self.thread is not threading.current_thread():
            self.thread.join()
