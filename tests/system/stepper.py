# SPDX-License-Identifier: BSD-3-Clause
"""stepper: runs a daemon instruction by instruction, so that it can be killed at any of them."""

import ctypes
import os
import select
import signal

from lab import Skip

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
SINGLESTEP, INTERRUPT, SEIZE, DETACH = 9, 0x4207, 0x4206, 17


def ptrace(request, pid):
    if libc.ptrace(request, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


class Stepper:
    """The daemon's loop, stopped where it waits for messages."""

    def __init__(self, lab):
        self.lab, self.pid = lab, lab.process.pid
        try:
            ptrace(SEIZE, self.pid)
        except OSError as e:
            raise Skip(f"ptrace is not to be had: {e}") from None
        ptrace(INTERRUPT, self.pid)
        os.waitpid(self.pid, 0)

    def step(self, most, sock=None):
        """So many instructions, or until @sock is readable; returns how many."""
        poller = select.poll()
        if sock:
            poller.register(sock, select.POLLIN)
        for n in range(most):
            libc.ptrace(SINGLESTEP, self.pid, None, None)
            os.waitpid(self.pid, 0)
            if sock and n % 64 == 0 and poller.poll(0):
                return n
        return most

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        while not os.WIFSIGNALED(os.waitpid(self.pid, 0)[1]):
            pass
        self.lab.process.returncode = -signal.SIGKILL

    def let_go(self):
        ptrace(DETACH, self.pid)
