# SPDX-License-Identifier: BSD-3-Clause
"""others: other users, who act beside the test and at the same time, each in a child that has the uid."""

import os
import signal
import sys
import traceback

from lab import *

A, B = 21001, 21002                     # uids


def beside(uid, function):
    """As as_user(), at the same time; ended_well() waits for it."""
    if os.getuid() != 0:
        raise Skip("changing the user needs root")
    pid = os.fork()
    if pid == 0:
        status = 1
        signal.alarm(TIMEOUT)           # it may wait for one who failed
        try:
            as_user(uid, lambda: (signal.alarm(TIMEOUT), function()))
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
        os._exit(status)
    return pid


def ended_well(pid):
    assert os.waitpid(pid, 0)[1] == 0, "the other user's part failed"


def start(lab, *options):
    lab.start(*options)
    open_to_all(lab)
