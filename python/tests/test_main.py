#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""python -m pmemarena."""

import os
import subprocess
import sys

from stage import Stage, environment, main


class TestMain(Stage):
    def call(self, *args, status=0, data=b""):
        done = subprocess.run([sys.executable, "-m", "pmemarena", *args], input=data, capture_output=True, timeout=60, check=False,
                              env=environment(PMEMARENA_SOCKET=self.lab.socket))
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return (done.stderr if status else done.stdout)

    def test_put_list_get_rm(self):
        path, data = os.path.join(self.directory, "file"), os.urandom(10000)
        with open(path, "wb") as file:
            file.write(data)
        self.call("put", "kv/a", path)
        self.call("put", "b", data=b"text")
        self.assertEqual(self.call("get", "kv/a"), data)
        self.call("get", "b", path)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"text")
        self.assertEqual([line.split()[-1] for line in self.call("list").decode().splitlines()], ["kv/a", "b"])
        self.assertEqual([line.split()[::4] for line in self.call("list", "kv").decode().splitlines()], [["12288", "kv/a"]])
        self.assertIn(b"taken", self.call("put", "b", data=b"other", status=1))
        self.call("put", "--replace", "--mode", "644", "b", data=b"other")
        self.assertEqual(self.call("get", "b", "-"), b"other")
        self.assertEqual(self.arena.stat("b").mode, 0o644)
        self.call("rm", "b")
        self.assertFalse(self.arena.exists("b"))

    def test_what_others_put_is_got_whole(self):
        self.arena.put("it", b"abc", attributes=b"pmemarena-length=99999999")
        self.assertEqual(len(self.call("get", "it")), 4096)
        self.arena.put("it", b"abc", attributes=b"pmemarena-length=x", replace=True)
        self.assertEqual(self.call("get", "it")[:4], b"abc\0")

    def test_usage(self):
        text = self.call("usage").decode()
        self.assertIn("0 main  60.0 MiB, 60.0 MiB free", text)
        self.assertEqual(self.call("--arena", "main", "usage").decode(), text)

    def test_failures_are_a_line(self):
        for args in (("get", "nothing"), ("rm", "nothing"), ("--arena", "nowhere", "list"), ("--socket", "/nonexistent", "usage"),
                     ("put", "x", "/nonexistent"), ("put", "x")):
            text = self.call(*args, status=1).decode()
            self.assertEqual(text.count("\n"), 1, text)
            self.assertTrue(text.startswith("pmemarena: "), text)
        self.assertIn(b"usage:", self.call("get", status=2))

    def test_names_do_not_reach_the_terminal_as_they_are(self):
        self.arena.create(b"\x1b[31mred\xff", 4096)
        self.assertNotIn(b"\x1b", self.call("list"))

    def test_version(self):
        self.assertIn(b"libpmemarena 0.1.0", self.call("--version"))


if __name__ == "__main__":
    main()
