# SPDX-License-Identifier: BSD-3-Clause
"""crowd: the clients of a storm, each a process of its own user in a process group of its own, and their books."""

import glob
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time

from house import FIRST_UID, NR_UIDS, Wrong, where_it_is, whom_it_hears
from lab import BUILD

END_S = 180
KINDS = ("made", "verified", "resized", "renamed", "attributes", "freed", "batches", "lists", "aborted", "children", "extents", "guests", "pieces",
         "published", "objects", "sessions", "events", "tenancies")
BOOKS = struct.Struct("<IIQQQi4x32QQ")
DEED, NR_DEEDS = struct.Struct("<QQ16s"), 1024


def program():
    """Where every user can run it: the checkout may be below a directory that only its owner may enter."""
    to = tempfile.mkdtemp(prefix="pma-storm-bin.")
    os.chmod(to, 0o755)
    from_ = os.path.join(BUILD, "tests/storm/stormer")
    real = os.path.join(os.path.dirname(from_), ".libs/stormer")
    shutil.copy(real if os.path.exists(real) else from_, to)
    for library in glob.glob(os.path.join(BUILD, ".libs/libpmemarena*.so*")) + glob.glob(os.path.join(BUILD, "tests/system/.libs/failing.so")):
        shutil.copy(library, to)
    return to


class Stormer:
    def __init__(self, crowd, maker):
        self.crowd, self.maker = crowd, maker
        self.uid = 0 if maker % 7 == 0 else FIRST_UID + maker % NR_UIDS
        if os.getuid() != 0:
            self.uid = os.getuid()
        self.books = os.path.join(crowd.dir, f"books-{maker}")
        with open(self.books, "wb"):
            os.chown(self.books, self.uid, -1)
        self.process, self.is_stopped = None, False

    def start(self, what="run"):
        crowd = self.crowd

        def child():
            os.setsid()
            if os.getuid() == 0 and self.uid:
                os.setgroups([])
                os.setgid(self.uid)
                os.setuid(self.uid)

        args = [os.path.join(crowd.bin, "stormer"), what, crowd.house.lab.socket, self.books, crowd.evidence_path, str(self.maker), str(crowd.nr),
                str(crowd.rng.randrange(1, 1 << 62))]
        env = {**crowd.house.env, "LD_LIBRARY_PATH": crowd.bin}
        if crowd.faults and what == "run":
            args.append("tolerant")
            env |= crowd.faults.env(crowd.bin)
        self.process = subprocess.Popen(args, stdin=crowd.wind, stdout=subprocess.DEVNULL, stderr=crowd.log, env=env, preexec_fn=child)
        self.is_stopped = False

    def signal(self, sig, group=False):
        try:
            (os.killpg if group else os.kill)(self.process.pid, sig)
        except ProcessLookupError:
            pass

    def kill(self, group):
        self.signal(signal.SIGCONT, True)       # children that go on must not stay stopped
        self.signal(signal.SIGKILL, group)
        self.process.wait()

    def numbers(self):
        with open(self.books, "rb") as f:
            data = f.read(BOOKS.size)
        return BOOKS.unpack(data) if len(data) == BOOKS.size else (0,) * (6 + 33)

    def deeds(self, origin):
        """What it did to this thing, and to its session meanwhile: lines in the order of time."""
        with open(self.books, "rb") as f:
            data = f.read()[BOOKS.size:][:DEED.size * NR_DEEDS]
        deeds = sorted(DEED.iter_unpack(data))
        first = min((at for at, o, _ in deeds if o == origin), default=0)
        return [f"  {at} ms: {what.rstrip(bytes(1)).decode()}" for at, o, what in deeds if o == origin or (o == self.maker << 40 and at >= first > 0)]


class Crowd:
    def __init__(self, house, rng, nr, faults=None):
        self.house, self.rng, self.nr, self.faults = house, rng, nr, faults
        self.dir = house.lab.dir
        self.bin = program()
        self.evidence_path = os.path.join(self.dir, "evidence")
        with open(self.evidence_path, "wb"):
            os.chmod(self.evidence_path, 0o666)
        self.log = open(os.path.join(self.dir, "stormers.log"), "ab")
        self.wind, self.calm = os.pipe()        # what the stormers read ends when the storm does
        self.stormers = [Stormer(self, i + 1) for i in range(nr)]
        self.kills = self.group_kills = 0

    def start(self):
        for stormer in self.stormers:
            stormer.start()

    def evidence(self):
        with open(self.evidence_path, errors="replace") as f:
            return f.read()

    def story(self, wrong=""):
        """Of each thing that the evidence names, or what is @wrong does."""
        named = re.findall(r"origin ([0-9a-f]+)", self.evidence()) + re.findall(r"s/\d+/\d+/[sp]/([0-9a-f]+)/", wrong)
        for origin in sorted({int(o, 16) for o in named}):
            if 0 < origin >> 40 <= self.nr:
                yield f"what stormer {origin >> 40} did to origin {origin:x}:"
                yield from self.stormers[(origin >> 40) - 1].deeds(origin)
        with open(self.log.name, errors="replace") as f:
            yield "the end of what stormers said:\n" + f.read()[-6000:]

    def look(self):
        """Nobody has seen anything, and nobody ended by himself."""
        found = self.evidence()
        if found:
            raise Wrong(found.strip())
        for stormer in self.stormers:
            if not stormer.is_stopped and stormer.process.poll() is not None:
                raise Wrong(self.evidence().strip() or f"stormer {stormer.maker} ended by itself, exit status {stormer.process.returncode}")

    def kill_one(self):
        stormer = self.rng.choice(self.stormers)
        group = self.rng.random() < 0.5
        stormer.kill(group)
        self.kills += 1
        self.group_kills += group
        stormer.start()

    def pause_one(self):
        stormer = self.rng.choice(self.stormers)
        stormer.signal(signal.SIGSTOP, self.rng.random() < 0.5)
        stormer.is_stopped = True

    def go_on(self):
        for stormer in self.stormers:
            if stormer.is_stopped:
                stormer.signal(signal.SIGCONT, True)
                stormer.is_stopped = False

    def end(self):
        self.go_on()
        os.close(self.calm)
        self.calm = None
        self.wait()

    def wait(self):
        deadline = time.monotonic() + END_S
        for stormer in self.stormers:
            try:
                status = stormer.process.wait(max(1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                pid = stormer.process.pid
                raise Wrong(f"stormer {stormer.maker} (pid {pid}) does not end\n{whom_it_hears(pid)}\n{where_it_is(pid)}") from None
            if status != 0:
                raise Wrong(self.evidence().strip() or f"stormer {stormer.maker}: exit status {status}")

    def all_do(self, what):
        """One after the other: there is no hurry any more."""
        for stormer in self.stormers:
            stormer.start(what)
        self.wait()
        self.look_at_evidence()

    def look_at_evidence(self):
        if self.evidence():
            raise Wrong(self.evidence().strip())

    def figures(self):
        numbers = [s.numbers() for s in self.stormers]
        kinds = {name: sum(n[6 + i] for n in numbers) for i, name in enumerate(KINDS)}
        return {"operations": sum(n[3] for n in numbers), "content_checks": sum(n[4] for n in numbers), "sessions_lost": sum(n[1] for n in numbers), **kinds}

    def close(self):
        for stormer in self.stormers:
            if stormer.process and stormer.process.poll() is None:
                stormer.signal(signal.SIGCONT, True)
                stormer.kill(True)
        if self.calm is not None:
            os.close(self.calm)
        os.close(self.wind)
        self.log.close()
        shutil.rmtree(self.bin, ignore_errors=True)
