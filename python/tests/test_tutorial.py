#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""python/README.md does what it says."""

import doctest
import os

from stage import Stage, TOP, main


class TestTutorial(Stage):
    def test_tutorial_is_true(self):
        os.environ["PMEMARENA_SOCKET"] = self.lab.socket
        failed, tried = doctest.testfile(os.path.join(TOP, "python", "README.md"), module_relative=False,
                                         optionflags=doctest.ELLIPSIS)
        self.assertEqual(failed, 0, "see above")
        self.assertGreater(tried, 40)


if __name__ == "__main__":
    main()
