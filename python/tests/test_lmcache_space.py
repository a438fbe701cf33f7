#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""pmemarena.lmcache in arenas that are full, or whose pages do not fit the blocks."""

import os

import stage
from stage import KiB, MiB
from lmcache_driver import LMCacheStage, content, name_of


class TestSpace(LMCacheStage):
    ARENA = {"size": "96M", "page_size": "2M"}

    def fresh(self, ready_mb=None, **arena):
        """Another daemon with another arena."""
        self.lab.stop()
        for name in os.listdir(self.directory):
            if name.startswith("arena"):
                os.unlink(os.path.join(self.directory, name))
        self.lab.arena(**arena)
        self.lab.start()
        return self.driver(ready_mb=ready_mb)

    def push(self, size, page, total=960 * MiB):
        """Many times what there is goes through: nothing fails, nothing is torn, what is used stays."""
        driver = self.fresh(size="96M", page_size=page)
        self.stored(driver, ["hot"], size)
        nr, i = total // size, 0
        while i < nr:
            keys = [name_of(j) for j in range(i, min(i + 4, nr))]
            self.stored(driver, keys, size)
            self.assertEqual(self.check(driver, ["hot"], size), 1, f"what is used all the time was evicted after {i}")
            i += len(keys)
            # One of four is used again: the others go first.
            self.assertEqual(self.check(driver, keys[-1:], size), 1)
        there = self.check(driver, [name_of(j) for j in range(nr)], size)
        self.assertTrue(nr // 20 < there < nr // 2, there)
        self.assertEqual(self.check(driver, [name_of(nr - 1)], size), 1)
        self.lab.is_sound()
        driver.close()

    def test_ten_times_the_capacity_of_blocks_of_a_page(self):
        self.push(2 * MiB, "2M")

    def test_ten_times_the_capacity_of_blocks_of_no_page(self):
        self.push(5 * MiB + 100 * KiB, "4K")

    def test_ten_times_the_capacity_of_small_blocks(self):
        self.push(600 * KiB, "4K")
        self.push(600 * KiB, "2M")

    def waste_of(self, size, page):
        """The part of the device that blocks of this size cannot use, metadata included. What is reserved ahead is left out: it is
        much of such a small arena."""
        device = 256 * MiB
        driver = self.fresh(ready_mb=0, size=str(device), page_size=page, metadata="device")
        nr, evictions = 0, 0
        while not evictions:
            self.stored(driver, [name_of(nr)], size)
            nr += 1
            evictions = self.lab.stats()["evictions"]
        driver.close()
        # What is left at the end is less than one block, and smaller the larger the arena.
        return 1 - (nr - 1) * size / device - size / device

    def test_sizes_that_fit_no_page_waste_little(self):
        for size in (7 * MiB, 3 * MiB, 5 * MiB + 17 * KiB, 1200 * KiB):
            with self.subTest(size=size):
                waste = self.waste_of(size, "4K")
                print(f"FIGURE blocks of {size / MiB:.2f} MiB: {waste:.1%} of a device with pages of 4 KiB is not theirs")
                self.assertLess(waste, 0.05)

    def test_who_wastes_is_told_once(self):
        driver = self.driver()
        with self.assertLogs("pmemarena") as logs:
            for i in range(2):
                self.stored(driver, [name_of(i)], 3 * MiB)
                self.stored(driver, [name_of(i)], 4 * MiB)
        self.assertEqual(len(logs.output), 1)
        self.assertIn("page-size=4K", logs.output[0])

    def test_full_of_what_may_not_go(self):
        self.arena.create("kept", 80 * MiB).close()
        driver = self.driver()
        size = 4 * MiB
        results = [driver.set({name_of(i): content(name_of(i), size)}) for i in range(6)]
        self.assertTrue(all(ok for ok, _, _ in results), results)
        ok, error, _ = driver.set({"large": bytearray(64 * MiB)})
        self.assertFalse(ok)
        self.assertIn("ENOSPC", error)
        # And it goes on.
        self.stored(driver, ["k"], size)
        self.assertEqual(self.check(driver, ["k"], size), 1)


if __name__ == "__main__":
    stage.main()
