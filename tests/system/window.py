# SPDX-License-Identifier: BSD-3-Clause
"""window: a window as a process has it, written a second time from doc/PROTOCOL.md: the device mapped once, the catalog, the pins."""

import errno
import fcntl
import mmap
import os
import struct

from lab import *

PINS_HEADER, PINS_TAKEN = 4096, 1
PINS = struct.Struct("<QIIQIIIII")              # magic, layout, nr_words, window, uid, gid, nr_groups, state, high
PINS_ALL_GROUPS, PINS_WRITES, PINS_ASK = 1, 2, 4
CATALOG = struct.Struct("<QIIQQQQQQQQQ")        # ... to nr_entries
ENTRY = struct.Struct("<QQIIIIHBBIQQII64s")
F_GET_SEALS, SEALED = 1034, 2 | 4               # shrink, grow


class Entry:
    def __init__(self, data):
        (self.word, self.id, self.tag, self.next, self.uid, self.gid, self.mode, self.name_len, self.flags, self.nr_extents, self.off,
         self.len, self.extra, _, name) = ENTRY.unpack(data)
        self.slot, self.version, self.name = (self.word >> 32) - 1, self.word & 0xFFFFFFFF, name[:self.name_len]


class Window:
    """Of client @c. @of: another window, which is taken up again, with @pins its pins (-1: without)."""

    def __init__(self, c, flags=0, words=0, of=None, pins=None, arena=0):
        self.c, self.arena = c, arena
        fields = {"arena": arena, "flags": flags, "slot": words}
        fds = []
        if of:
            fields.update(flags=0, slot=0, id=of.number, len_=int.from_bytes(of.secret[:8], "little"),
                          arg=int.from_bytes(of.secret[8:], "little"))
            fds = [of.pins_fd] if pins is None else [pins] if pins >= 0 else []
        message = c.call(WINDOW, pack_request(**fields), fds=fds)
        self.result, _, self.number, self.secret, self.nr_words, self.resumed = message.window
        self.fds = message.fds
        if self.result < 0:
            return
        data = c.welcome.arenas[arena]
        self.size, self.data_off = data[5], data[6]
        if of:
            self.device_fd, self.catalog_fd, self.pins_fd = of.device_fd, message.fds[0], of.pins_fd
            touches = message.fds[1:]
            self.memory, self.pins = of.memory, of.pins
        else:
            self.device_fd, self.catalog_fd, self.pins_fd = message.fds[:3]
            touches = message.fds[3:]
            prot = mmap.PROT_READ | (0 if flags & READ_ONLY else mmap.PROT_WRITE)
            self.memory = mmap.mmap(self.device_fd, self.size, mmap.MAP_SHARED, prot, offset=self.data_off)
            self.pins = mmap.mmap(self.pins_fd, PINS_HEADER + 8 * self.nr_words)
        self.catalog = mmap.mmap(self.catalog_fd, 0, mmap.MAP_SHARED, mmap.PROT_READ)
        self.touches_fd = touches[0] if touches else -1
        self.touches = mmap.mmap(touches[0], 0) if touches else None

    def header(self):
        return PINS.unpack_from(self.pins)

    def set_word(self, index, word):
        high = struct.unpack_from("<I", self.pins, 40)[0]
        if index >= high:
            struct.pack_into("<I", self.pins, 40, index + 1)
        struct.pack_into("<Q", self.pins, PINS_HEADER + 8 * index, word)

    def word(self, index):
        return struct.unpack_from("<Q", self.pins, PINS_HEADER + 8 * index)[0]

    def pin(self, index, slot, version):
        """As the process does it by itself."""
        self.set_word(index, slot + 1 << 32 | version)

    def ask(self, index, flags=READ_ONLY, **fields):
        """By message."""
        self.set_word(index, PINS_TAKEN)
        return self.c.one(PIN, arg=index, flags=flags, **fields)

    def put(self, index):
        self.set_word(index, 0)

    def entry(self, slot):
        entries_off = CATALOG.unpack_from(self.catalog)[5]
        return Entry(self.catalog[entries_off + 128 * slot:][:128])

    def touch(self, slot):
        """As a hit does."""
        self.touches[slot] = 1

    def find(self, name):
        """By looking at all entries: that the chains lead there is what the unit tests say."""
        for slot in range(64):
            entry = self.entry(slot)
            if entry.word and entry.name == name:
                return entry
        return None

    def get(self, index, name):
        """A hit, or None."""
        entry = self.find(name)
        if entry:
            self.pin(index, entry.slot, entry.version)
        return entry

    def bytes(self, off, len_):
        at = off - self.data_off
        return self.memory[at:at + len_]

    def close(self):
        self.memory.close()
        self.pins.close()
        for fd in (self.device_fd, self.pins_fd):
            os.close(fd)

    def is_sealed(self):
        return fcntl.fcntl(self.pins_fd, F_GET_SEALS) & SEALED == SEALED
