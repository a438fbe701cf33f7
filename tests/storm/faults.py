# SPDX-License-Identifier: BSD-3-Clause
"""faults: how often system calls and allocations fail in the processes that tests/storm/faulty.c is loaded into."""

import errno
import mmap
import os
import struct

from lab import BUILD, DAEMON

KINDS = ("mmap", "file", "open", "fcntl", "socket", "memory", "event", "thread", "map-change")
SIZE, LAST = 20480, struct.Struct("<Ii24s")
NR_LAST = 512


LIBRARY = os.path.join(BUILD, "tests/storm/.libs/faulty.so")


def why_not():
    """Why calls cannot be made to fail here; None: they can."""
    if not os.path.exists(LIBRARY):
        return f"{LIBRARY} was not built"
    with open(DAEMON, "rb") as f:
        return "a sanitizer wants to be the first library" if b"__asan_init" in f.read() or "ASAN_OPTIONS" in os.environ else None


class Faults:
    """The control is shared with all processes: u32 rate a million, u32 mask of kinds, u64 how many failed, by kind; u64 of all, and the last of them:
    u32 pid, i32 error, char call[24]."""

    def __init__(self, directory, rng, per_million):
        self.path, self.per_million = os.path.join(directory, "faults"), per_million
        self.rng = rng
        with open(self.path, "wb") as f:
            f.write(bytes(SIZE))
        os.chmod(self.path, 0o666)
        with open(self.path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), SIZE)

    def blow(self):
        """Another mixture each time: sometimes one kind alone, more often."""
        kind = self.rng.randrange(-len(KINDS), len(KINDS))
        mask, rate = (1 << kind, 8 * self.per_million) if kind >= 0 else ((1 << len(KINDS)) - 1, self.per_million)
        struct.pack_into("<II", self.page, 0, rate, mask)

    def calm(self):
        struct.pack_into("<I", self.page, 0, 0)

    def failed(self):
        counts = struct.unpack_from(f"<{len(KINDS)}Q", self.page, 8)
        return {name: n for name, n in zip(KINDS, counts)}

    def story(self, pid):
        """The last calls that failed in this process, oldest first."""
        at = 8 + 8 * len(KINDS)
        nr = struct.unpack_from("<Q", self.page, at)[0]
        for i in range(max(0, nr - NR_LAST), nr):
            who, error, call = LAST.unpack_from(self.page, at + 8 + i % NR_LAST * LAST.size)
            if who == pid:
                yield f"  {call.rstrip(bytes(1)).decode()}: {errno.errorcode.get(error, error)}"

    def env(self, bin_):
        return {"LD_PRELOAD": os.path.join(bin_, "faulty.so"), "FAULTY_CONTROL": self.path, "FAULTY_SEED": str(self.rng.randrange(1, 1 << 30))}

    def preload(self):
        """For a shell: the daemon alone gets it, not the shell."""
        # json-c ends a process that has no memory for an answer by an assertion; libevent drops what it cannot tell epoll, and tells nobody.
        return (f"LD_PRELOAD={LIBRARY} FAULTY_CONTROL={self.path} FAULTY_SEED={self.rng.randrange(1, 1 << 30)} "
                f"FAULTY_NEVER={1 << KINDS.index('memory') | 1 << KINDS.index('event')}")
