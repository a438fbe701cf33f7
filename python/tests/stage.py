# SPDX-License-Identifier: BSD-3-Clause
"""stage: what the tests of the package have in common. Each test has a real daemon of its own, from tests/system/lab.py, and
main() prints PASS, FAIL or SKIP of each, as the other tests do.

builddir says where the build is; the package is that of the source, the extension that of the build."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
os.environ.setdefault("builddir", os.path.join(TOP, "_build", "main"))
BUILD = os.environ["builddir"]
# A test of an installed package sets PMEMARENA_INSTALLED, and finds it where Python does.
PATHS = [] if os.environ.get("PMEMARENA_INSTALLED") else [os.path.join(TOP, "python"), os.path.join(BUILD, "python", ".libs")]
sys.path[:0] = [*PATHS, os.path.join(TOP, "tests", "system")]

import lab                      # noqa: E402
import pmemarena                # noqa: E402

# Threads that take turns more often meet each other in more places, and wait less for a turn.
sys.setswitchinterval(0.0005)

KiB, MiB = 1 << 10, 1 << 20
TIMEOUT = 120
# Some tests count memory, which a sanitizer keeps for itself.
IS_SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")


def environment(**more):
    """Of a child that is another Python."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS), "PYTHONDONTWRITEBYTECODE": "1", **more}


class Stage(unittest.TestCase):
    """A daemon, a session and its first arena."""

    ARENA = {"size": "64M", "page_size": "2M"}

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="pmemarena-python.", dir=lab.ROOM)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.lab = lab.Lab(self.directory)
        self.addCleanup(self.lab.close)
        self.lab.arena(**self.ARENA)
        self.lab.start()
        self.session = pmemarena.Session(self.lab.socket)
        self.addCleanup(self.session.close, True)
        self.arena = self.session.arena()
        signal.alarm(TIMEOUT)
        self.addCleanup(signal.alarm, 0)

    def refused(self, kind, function, *args, **kwargs):
        """It raises this and says a sentence, which is returned."""
        with self.assertRaises(kind) as caught:
            function(*args, **kwargs)
        sentence = str(caught.exception)
        self.assertGreater(len(sentence), 10, "a refusal without a sentence")
        return sentence

    def python(self, script, *args, status=0):
        """Runs a script in another Python, whose exit status must be this; what it printed."""
        done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, timeout=60, check=False,
                              env=environment(PMEMARENA_SOCKET=self.lab.socket))
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def in_child(self, function):
        """Runs it in a child of fork(); what it asserts counts. Returns nothing."""
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                function()
                status = 0
            except BaseException:
                traceback.print_exc(file=sys.stdout)
                sys.stdout.flush()
            finally:
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, "the child failed: see above")

    def free_bytes(self):
        """What the arena has free once all that was freed is scrubbed."""
        gc.collect()
        previous = None
        while (usage := self.arena.usage()).quarantined or usage.free != previous:
            previous = usage.free
        return usage.free


class Lines(unittest.TestResult):
    """A line a test."""

    def _name(self, test):
        return getattr(test, "_testMethodName", str(test))

    def addSuccess(self, test):
        print("PASS", self._name(test), flush=True)

    def addSkip(self, test, reason):
        print(f"SKIP {self._name(test)}: {reason}", flush=True)

    def _fail(self, test, error):
        print(f"FAIL {self._name(test)}: {error[0].__name__}: {error[1]}".replace("\n", " | ")[:600], flush=True)
        traceback.print_exception(*error, file=sys.stdout)

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self._fail(test, err)


def too_long(*_):
    raise TimeoutError(f"it took more than {TIMEOUT} s")


def main():
    signal.signal(signal.SIGALRM, too_long)
    module = sys.modules["__main__"]
    loader = unittest.defaultTestLoader
    loader.testNamePatterns = [f"*{name}*" for name in sys.argv[1:]] or None
    result = Lines()
    loader.loadTestsFromModule(module).run(result)
    sys.exit(not result.wasSuccessful())
