#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""examples/shared_array.py, with the real numpy."""

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
    @unittest.skipUnless(numpy, "numpy is not installed (apt-get install python3-numpy)")
    def test_two_processes_share_an_array(self):
        done = subprocess.run([sys.executable, os.path.join(TOP, "examples", "shared_array.py"), "100"], capture_output=True, text=True,
                              timeout=100, check=False, env=environment(PMEMARENA_SOCKET=self.lab.socket))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("of 100 versions", done.stdout)
        print("FIGURE python example:", done.stdout.strip())


if __name__ == "__main__":
    main()
