# SPDX-License-Identifier: BSD-3-Clause
"""The power cut's judge must itself be able to find somebody guilty. Run by `python3 -m unittest` in this directory."""

import unittest

from model import Finding, Lost, Model, Thing

MIB = 1 << 20


def model_of(*lines: str) -> Model:
    model = Model()
    for line in lines:
        model.hear(line)
    return model


CREATED = ("saw 5", f"try 1 publish 5 {MIB} 9 a", f"did 1 5 {MIB}")
THING = Thing("a", MIB, generation=9, pages=MIB // 4096)


class TestModel(unittest.TestCase):
    def test_compare_acknowledged_and_there_passes(self):
        model_of(*CREATED).compare({5: THING})

    def test_compare_acknowledged_and_gone_fails(self):
        with self.assertRaises(Lost):
            model_of(*CREATED).compare({})

    def test_compare_torn_contents_fail(self):
        with self.assertRaises(Lost):
            model_of(*CREATED).compare({5: Thing("a", MIB, generation=9, pages=3)})

    def test_compare_under_way_passes_done_or_not(self):
        model_of(*CREATED[:2]).compare({})
        model_of(*CREATED[:2]).compare({5: THING})
        model_of(*CREATED, "try 2 free 5").compare({})
        model_of(*CREATED, "try 2 free 5").compare({5: THING})

    def test_compare_under_way_and_half_done_fails(self):
        with self.assertRaises(Lost):
            model_of(*CREATED, f"try 2 resize 5 {MIB // 2}").compare({5: Thing("a", MIB // 2)})

    def test_compare_unknown_create_is_taken_once(self):
        lines = ("try 1 create 4096 b",)
        model_of(*lines).compare({8: Thing("b", 4096)})
        with self.assertRaises(Lost):
            model_of(*lines).compare({8: Thing("b", 4096), 9: Thing("b", 4096)})

    def test_compare_freed_and_back_fails(self):
        with self.assertRaises(Lost):
            model_of(*CREATED, "try 2 free 5", "did 2 5 0").compare({5: THING})

    def test_hear_an_id_twice_fails(self):
        with self.assertRaises(Lost):
            model_of(*CREATED, "try 2 free 5", "did 2 5 0", "saw 5")

    def test_resize_down_and_up_leaves_zeroes(self):
        model = model_of(*CREATED, "try 2 resize 5 8192", "did 2 5 8192", "try 3 resize 5 16384", "did 3 5 16384")
        model.compare({5: Thing("a", 16384, generation=9, pages=2)})

    def test_finding_of_torn_contents_fails(self):
        with self.assertRaises(Lost):
            Finding().hear("torn 5 3 a")

    def test_account_with_bytes_missing_fails(self):
        finding = Finding()
        for line in ("size 12288 4096", "have 5 4096 600 0 0 0 a", "free 4096"):
            finding.hear(line)
        with self.assertRaises(Lost):
            finding.account()


if __name__ == "__main__":
    unittest.main()
