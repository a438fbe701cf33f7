# SPDX-License-Identifier: BSD-3-Clause
"""tenants: two arenas, `main` for everybody and `beta` with rules, and clients of several users and groups."""

import contextlib
import errno
import fcntl
import os

from lab import *

USER, READER, STRANGER = 3001, 3003, 3009       # uids
USERS, READERS, OTHERS = 4001, 4003, 4009       # gids
MAIN, BETA, NOWHERE = 0, 1, 77                  # places of arenas
RULES = f"users = {USER}\ngroups = {USERS}\nreaders = {READER}, @{READERS}\n"


# ---- who asks ----


@contextlib.contextmanager
def identity(uid, gid, groups=()):
    """What connects in here is of this user, for the kernel too."""
    if os.getuid() != 0:
        raise Skip("changing the user needs root")
    before = os.getgroups()
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def client_of(lab, uid, gid=OTHERS, groups=(), **kwargs):
    with identity(uid, gid, groups):
        return lab.client(**kwargs)


def user(lab, **kwargs):
    return client_of(lab, USER, **kwargs)


def reader(lab, **kwargs):
    return client_of(lab, READER, **kwargs)


def stranger(lab, **kwargs):
    return client_of(lab, STRANGER, **kwargs)


# ---- two arenas: one for everybody, one with rules ----


def write_rules(lab, rules, main=""):
    lab.config = os.path.join(lab.dir, "conf")
    with open(lab.config, "w", encoding="utf-8") as f:
        f.write(f"[daemon]\n[arena main]\n{main}[arena beta]\n{rules}")


def start(lab, rules=RULES, main=""):
    if os.getuid() != 0:
        raise Skip("changing the user needs root")
    lab.arena("main", size="64M")
    lab.arena("beta", size="64M", device=os.path.join(lab.dir, "beta"))
    write_rules(lab, rules, main)
    lab.start()
    open_to_all(lab)
    return lab


def reload(lab, rules, main=""):
    write_rules(lab, rules, main)
    return lab.admin("reload")


def beta_stats(lab):
    return lab.admin("stats")["arenas"][BETA]


def attach(c, arena, flags=0):
    """The result, and the descriptors."""
    message = c.call(ATTACH, pack_request(arena=arena, flags=flags))
    return message.arenas[0][0], message.fds


def close_all(fds):
    for fd in fds:
        os.close(fd)


def is_writable(fd):
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR


def is_hidden(c, arena=BETA):
    return c.one(STAT, arena=arena, name=b"x").message == c.one(STAT, arena=NOWHERE, name=b"x").message.replace(str(NOWHERE), str(arena))
