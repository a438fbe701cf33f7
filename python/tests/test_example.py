#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""examples/shared_array.py, with the real numpy, and examples/shared_cache.py, with what there is."""

import os
import subprocess
import sys
import unittest

from stage import Stage, TOP, environment, main

try:
    import numpy
except ImportError:
    numpy = None


class TestExample(Stage):
    def example(self, *args):
        done = subprocess.run([sys.executable, os.path.join(TOP, "examples", args[0]), *args[1:]], capture_output=True, text=True,
                              timeout=100, check=False, env=environment(PMEMARENA_SOCKET=self.lab.socket))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    @unittest.skipUnless(numpy, "numpy is not installed (apt-get install python3-numpy)")
    def test_two_processes_share_an_array(self):
        said = self.example("shared_array.py", "100")
        self.assertIn("of 100 versions", said)
        print("FIGURE python example:", said.strip())

    def test_two_processes_share_a_cache(self):
        # 256 KiB each: twice what the arena has room for.
        said = self.example("shared_cache.py", "500", "700")
        self.assertEqual(said.count("hits of 700"), 2)
        self.assertGreater(self.lab.stats()["evictions"], 0)
        print("FIGURE python example:", said.strip().replace("\n", "; "))


if __name__ == "__main__":
    main()
