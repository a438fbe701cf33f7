# SPDX-License-Identifier: BSD-3-Clause
"""failing: the other side of failing.c. A Failing is a file that a program with the library in LD_PRELOAD has mapped; what is written to it takes
effect at once, also in the middle of a run."""

import errno
import mmap
import os
import random
import re
import struct
import subprocess

import lab as lab_module
from lab import DAEMON, AND_PUBLISH, FREE, RESERVE, UNMAPPED, Skip

BUILD = os.environ.get("builddir", os.getcwd())
LIBRARY = os.path.join(BUILD, "tests/system/.libs/failing.so")
COUNT, ONE, FROM, RANDOM = range(4)
MEMORY, MAPPING, DESCRIPTOR, DISK, SOCKET, LOCK, THREAD, TRANSFER, EVENT, MAP_CHANGE = KINDS = [1 << i for i in range(10)]
# Each n-th call; 0: the short form.
STRIDE = int(os.environ.get("FAILING_STRIDE", "0"))
lab_module.TEST_TIMEOUT = 7200 if STRIDE else 120
LAYOUT = struct.Struct("<8I28s64sQ")
LAST, NR_LAST, SIZE = struct.Struct("<Ii24s"), 128, 8192


class Failing:
    def __init__(self, path):
        self.path = path
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.ftruncate(fd, SIZE)
        self.map = mmap.mmap(fd, SIZE)
        os.close(fd)
        self.env = {"LD_PRELOAD": LIBRARY, "FAILING": path}

    @staticmethod
    def is_possible():
        """A sanitizer has allocators of its own, and wants to be the first library."""
        return os.path.exists(LIBRARY) and "ASAN_OPTIONS" not in os.environ

    def arm(self, mode, nth=0, kinds=0, second=False):
        """COUNT: nothing fails; ONE: the @nth call; FROM: that and all of its name after it."""
        self.map[0:LAYOUT.size] = LAYOUT.pack(mode, nth, 0, 0, kinds, 0, second, 0, b"", b"", 0)

    def arm_at_random(self, chance, kinds=0):
        """From now on @chance of a million fails, with any of the errors it can have. What failed before stays counted."""
        self.map[16:24] = struct.pack("<II", kinds, chance)
        self.map[0:4] = struct.pack("<I", RANDOM)

    def disarm(self):
        self.map[0:4] = struct.pack("<I", COUNT)

    def _fields(self):
        return LAYOUT.unpack(self.map[0:LAYOUT.size])

    @property
    def count(self):
        return self._fields()[2]

    @property
    def struck(self):
        return self._fields()[3]

    @property
    def error(self):
        return self._fields()[7]

    @property
    def name(self):
        return self._fields()[8].rstrip(b"\0").decode()

    def __str__(self):
        """What failed, and where in which object it was called."""
        _, nth, _, struck, _, _, _, error, name, caller, at = self._fields()
        caller = caller.rstrip(b"\0").decode()
        return f"call {nth}: {name.rstrip(bytes(1)).decode()}() {errno.errorcode.get(error, error)} x {struck} at {caller}+{at:#x}"

    def story(self, pid):
        """The last calls that failed in this process, oldest first."""
        for i in range(max(0, self.struck - NR_LAST), self.struck):
            who, error, call = LAST.unpack_from(self.map, LAYOUT.size + i % NR_LAST * LAST.size)
            if who == pid:
                yield f"  {call.rstrip(bytes(1)).decode()}: {errno.errorcode.get(error, error)}"

    def place(self, program):
        """Function and line of the call that failed, where @program was built with them."""
        caller, at = self._fields()[9].rstrip(b"\0").decode(), self._fields()[10]
        if caller != os.path.basename(program):
            return caller
        done = subprocess.run(["addr2line", "-f", "-s", "-e", program, hex(at - 1)], capture_output=True, text=True, check=False)
        return " ".join(done.stdout.split())


# ---- what is true ----

# Ways to say nothing, or what is not true.
EMPTY = re.compile(r"(: *|; *|\(null\)|Success)$|: ;|:  |\(null\)|Success")
BLAME = ("another process", "another pmemarenad", "is in use by", "keep the protocol", "Assertion", "corrupted", "free():")


def words_of(error):
    """What a true sentence about this error has in it."""
    words = [os.strerror(error)]
    if error == errno.ENOMEM:
        words += ["memory"]
    if error in (errno.EMFILE, errno.ENFILE):
        words += ["descriptor"]
    if error == errno.EAGAIN:
        words += ["memory"]
    if error == errno.ENOSPC:
        words += ["full", "space"]
    if error == errno.EIO:
        words += ["cannot be", "device failed", "went offline", "is offline"]
    return words


def flaw_of_words(text, error):
    for line in text.splitlines():
        if EMPTY.search(line):
            return f"it says nothing in: {line}"
        for blame in BLAME:
            if blame in line:
                return f"it blames others: {line}"
    if not any(word in text for word in words_of(error)):
        return f"it does not say '{os.strerror(error)}': {text}"
    return None


# ---- sweeping ----


class Sweep:
    """Runs an attempt for the n-th call of what it does, each n in its turn. An attempt calls begin() and end() around what is to meet failures,
    and returns what was wrong, or None."""

    def __init__(self, lab, short):
        """@short: so many failures of a case are enough for the short form."""
        if not Failing.is_possible():
            raise Skip("failing.so was not built, or a sanitizer wants to be the first library")
        self.lab, self.short = lab, short
        path = os.path.join(lab.dir, "failing")
        self.failing = Failing(path)
        os.chmod(path, 0o666)
        self.failing.arm(COUNT)
        self.flaws = {}
        self.nr = self.counted = 0
        self.armed = None

    def begin(self):
        self.failing.arm(*self.now[:2], second=self.now[2])
        self.armed = True

    def end(self):
        if self.armed:
            self.counted = self.failing.count
            self.failing.disarm()
        self.armed = False

    def count(self, attempt):
        """Calls of an attempt that meets no failure; the scrubber and the clock add some of their own now and then."""
        self.now = (COUNT, 0, False)
        flaw = attempt()
        assert not flaw, f"without a failure: {flaw}"
        return self.counted

    def run(self, attempt, what):
        nr_calls = max(self.count(attempt), self.count(attempt))
        stride = STRIDE or max(1, 2 * nr_calls // self.short)
        offset = 0 if stride == 1 else random.SystemRandom().randrange(stride)
        for mode in (ONE, FROM):
            for nth in range(offset, nr_calls + 8, stride):
                self.now = (mode, nth, nth // stride % 2 == 1)
                flaw = attempt()
                self.nr += 1
                if flaw:
                    self.note(mode, what, flaw)
        if STRIDE:
            print(f"     {what}: {nr_calls} calls", flush=True)

    def note(self, mode, what, flaw):
        key = f"{what}: {self.failing.name} in {self.failing.place(DAEMON)}"
        text = f"{'once' if mode == ONE else 'for good'}, {self.failing}: {flaw}"
        if key not in self.flaws and STRIDE:
            print(f"     {key}: {text}", flush=True)
        self.flaws.setdefault(key, text)

    def verdict(self):
        print(f"     {self.nr} failures swept", flush=True)
        assert not self.flaws, f"{len(self.flaws)} of {self.nr}: " + " || ".join(f"{k}: {v}" for k, v in list(self.flaws.items())[:3])


# ---- a daemon ----


def grown_log(lab, at):
    with open(lab.log_path, "rb") as f:
        f.seek(at)
        return f.read().decode(errors="replace")


def is_served(lab, may_refuse=True):
    """Somebody new is served."""
    c = lab.client()
    if c.welcome is None or c.welcome.result < 0:
        return f"a client was refused: {c.welcome and c.welcome.result}"
    for arena in range(len(c.welcome.arenas)):
        result = c.one(RESERVE, name=b"probe", len_=4096, flags=AND_PUBLISH, arena=arena)
        if result.result == 0:
            c.ok(FREE, flags=UNMAPPED, **result.handle())
        elif not may_refuse or not result.message:
            return f"a create was refused afterwards ({result.result}): {result.message}"
    lab.admin("stats")
    c.close()
    return None


def three_arenas(lab):
    """Whole pages and metadata apart; base pages; all on the device."""
    lab.arena(size="64M")
    lab.arena("small", device=lab.device + ".4k", size="16M", page_size="4K")
    lab.arena("whole", device=lab.device + ".whole", size="64M", metadata="device")
    lab.options = [o for o in lab.options if not o.startswith("log-level")] + ["log-level=info"]
