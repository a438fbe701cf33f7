#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pmemarena.lmcache while servers and the daemon are killed: no torn block is ever loaded. PMEMARENA_KILLS=50 kills so often."""

import os
import signal
import subprocess
import sys
import time

import stage
from stage import MiB
from lmcache_driver import LMCacheStage, WAIT, content, name_of


# A server in a process of its own: stores block after block, and says so before and after. Ends when it is killed.
WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
import lmcache_driver as t
driver = t.Driver(socket=sys.argv[2], reconnect_ms=20000)
first, size = int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
i = first
while True:
    keys = [t.name_of(j) for j in range(i, i + 4)]
    ok, error, _ = driver.set({key: t.content(key, size) for key in keys})
    print(i + 3 if ok else "failed: " + error, flush=True)
    i += 4
"""


class TestKills(LMCacheStage):
    ARENA = {"size": "96M", "page_size": "2M"}
    TIMES = int(os.environ.get("PMEMARENA_KILLS", 5))
    SIZE = 5 * MiB + 12345

    def setUp(self):
        super().setUp()
        signal.alarm(60 + 30 * self.TIMES)

    def writer(self, first):
        self.lab.drain()
        child = subprocess.Popen([sys.executable, "-c", WRITER, stage.HERE, self.lab.socket, str(first), str(self.SIZE)],
                                 stdout=subprocess.PIPE, text=True, env=stage.environment())
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def test_a_killed_server_leaves_nothing_torn(self):
        driver = self.driver()
        first = 0
        for i in range(self.TIMES):
            child = self.writer(first)
            last = int(child.stdout.readline())
            # Somewhere in the next store.
            time.sleep(0.003 * (i % 7))
            child.kill()
            child.wait()
            self.assertGreater(self.check(driver, [name_of(j) for j in range(first, last + 40)], self.SIZE), 0)
            first += 1000
        driver.close()
        self.assertEqual(self.arena.usage().reserved, 0)
        self.lab.is_sound()

    def test_a_killed_daemon_is_waited_for_and_keeps_all(self):
        driver = self.driver()
        child = self.writer(0)
        last = int(child.stdout.readline())
        for i in range(self.TIMES):
            time.sleep(0.003 * (i % 7))
            # Anew: what the other stores meanwhile makes room for itself.
            self.stored(driver, ["before"], self.SIZE)
            self.lab.kill()
            # Hits need no daemon.
            self.assertEqual(self.check(driver, ["before"], self.SIZE), 1)
            self.lab.start()
            # A store that three daemons in a row did not live to answer fails, and says so; the next one succeeds.
            last = next(int(line) for line in child.stdout if line.strip().isdigit())
            self.check(driver, [name_of(j) for j in range(max(0, last - 20), last + 9)], self.SIZE)
        child.kill()
        child.wait()
        last = max([last, *(int(line) for line in child.stdout if line.strip().isdigit())])
        self.assertGreater(self.check(driver, [name_of(j) for j in range(max(0, last - 3), last + 1)], self.SIZE), 0)

    def test_after_a_restart_of_all_it_hits(self):
        driver = self.driver()
        keys = [name_of(i) for i in range(8)]
        self.stored(driver, keys, self.SIZE)
        driver.close()
        self.session.close()
        self.lab.stop()
        # As after a boot: nothing of the runtime directory is there.
        for path in os.listdir(self.lab.run):
            os.unlink(os.path.join(self.lab.run, path))
        self.lab.start()
        self.assertEqual(self.check(self.driver(), keys, self.SIZE), 8)

    def test_a_daemon_that_stays_away_is_said_and_found_again(self):
        driver = self.driver(reconnect_ms=100)
        self.stored(driver, ["k"], MiB)
        self.lab.stop()
        ok, error, _ = driver.set({"new": content("new", MiB)})
        self.assertFalse(ok)
        self.assertGreater(len(error), 20)
        self.assertFalse(driver.set({"new": content("new", MiB)})[0])
        self.assertEqual(self.check(driver, ["k"], MiB), 1)
        self.assertEqual(driver.exists(["k"]), [True])
        self.lab.start()
        deadline = time.monotonic() + WAIT
        while not driver.set({"new": content("new", MiB)})[0]:
            self.assertLess(time.monotonic(), deadline, "it does not come back")
            time.sleep(0.1)
        self.assertEqual(self.check(driver, ["k", "new"], MiB), 2)


if __name__ == "__main__":
    stage.main()
