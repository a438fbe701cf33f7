#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""python/README.md does what it says, and so does README.md of the cache."""

import doctest
import os
import re
import textwrap
from types import SimpleNamespace

from stage import Stage, TOP, main, pmemarena


class Forgetful(pmemarena.Cache):
    """Whatever is put is evicted at once."""

    def put(self, key, data, *, replace=False):
        super().put(key, data, replace=replace)
        self.delete(key)


class TestTutorial(Stage):
    def test_tutorial_is_true(self):
        os.environ["PMEMARENA_SOCKET"] = self.lab.socket
        failed, tried = doctest.testfile(os.path.join(TOP, "python", "README.md"), module_relative=False,
                                         optionflags=doctest.ELLIPSIS)
        self.assertEqual(failed, 0, "see above")
        self.assertGreater(tried, 40)

    def test_example_of_a_cache_minds_the_miss(self):
        os.environ["PMEMARENA_SOCKET"] = self.lab.socket
        with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
            example, = re.findall(r"^    with pmemarena\.Cache\(\).*\n(?:    .*\n)+", file.read(), re.M)
        said = []
        torch = SimpleNamespace(float16=2, frombuffer=lambda pin, dtype: SimpleNamespace(sum=lambda: len(memoryview(pin)) // dtype))
        for cache in (Forgetful, pmemarena.Cache):
            exec(textwrap.dedent(example), {"pmemarena": SimpleNamespace(Cache=cache), "torch": torch, "print": said.append,
                                            "key": "k", "tensor_bytes": bytes(100)})
        self.assertEqual(said, [50], "a hit says something, a miss nothing")


if __name__ == "__main__":
    main()
