# SPDX-License-Identifier: BSD-3-Clause
"""faults: how often system calls and allocations fail in the processes of a storm; tests/system/failing.c is loaded into them."""

import os

from failing import EVENT, KINDS, LIBRARY, MEMORY, Failing
from lab import DAEMON


def why_not():
    """Why calls cannot be made to fail here; None: they can."""
    if not os.path.exists(LIBRARY):
        return f"{LIBRARY} was not built"
    with open(DAEMON, "rb") as f:
        return "a sanitizer wants to be the first library" if b"__asan_init" in f.read() or "ASAN_OPTIONS" in os.environ else None


class Faults:
    def __init__(self, directory, rng, per_million):
        self.failing = Failing(os.path.join(directory, "faults"))
        os.chmod(self.failing.path, 0o666)
        self.rng, self.per_million = rng, per_million

    def blow(self):
        """Another mixture each time: sometimes one kind alone, more often."""
        kind = self.rng.randrange(-len(KINDS), len(KINDS))
        if kind >= 0:
            self.failing.arm_at_random(8 * self.per_million, KINDS[kind])
        else:
            self.failing.arm_at_random(self.per_million)

    def calm(self):
        self.failing.disarm()

    def failed(self):
        return self.failing.struck

    def story(self, pid):
        return self.failing.story(pid)

    def seeded(self):
        return {**self.failing.env, "FAILING_SEED": str(self.rng.randrange(1, 1 << 30))}

    def env(self, bin_):
        """For a client: what it calls itself is no fault of ours."""
        return {**self.seeded(), "LD_PRELOAD": os.path.join(bin_, "failing.so"), "FAILING_SPARED": "stormer"}

    def preload(self):
        """For a shell: the daemon alone gets it, not the shell."""
        # json-c ends a process that has no memory for an answer by an assertion; libevent drops what it cannot tell epoll, and tells nobody.
        env = {**self.seeded(), "FAILING_NEVER": str(MEMORY | EVENT)}
        return " ".join(f"{name}={value}" for name, value in env.items())
