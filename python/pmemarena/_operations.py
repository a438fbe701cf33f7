# SPDX-License-Identifier: BSD-3-Clause
"""Operations, many of which Session.run() sends in one message."""

from typing import NamedTuple

from pmemarena._errors import make_error
from pmemarena._records import Handle

CONTIGUOUS = 1 << 1     # one extent, or the call fails with ENOSPC
READ_ONLY = 1 << 2      # mappings will be read-only
DONE = 1 << 4           # everybody is done with it: its space can be used again at once, although it was lent
REPLACE = 1 << 5        # what has the name is freed in the same step
EVICTABLE = 1 << 6      # create, publish: the daemon may free it to make room, while nobody has it open or pinned

RESERVE, CREATE, PUBLISH, ABORT, FREE, OPEN, CLOSE, RESIZE, RENAME, STAT = range(1, 11)


def handle_of(what):
    """The handle of a handle, or of what has one."""
    if isinstance(what, tuple):
        return Handle(*what)
    try:
        return what.handle
    except AttributeError:
        raise TypeError(f"expected a handle, or an object that has one, not {type(what).__name__}") from None


def is_name(what):
    return isinstance(what, (str, bytes))


class Op(NamedTuple):
    """One operation of Session.run(). The class methods make them."""
    opcode: int
    handle: Handle
    name: "str | bytes | None" = None
    len: int = 0
    flags: int = 0
    mode: int = 0
    token: int = 0
    attributes: "bytes | None" = None

    @classmethod
    def reserve(cls, name, len, *, arena=0, flags=0, mode=0, token=0):
        """Take space under a name (None: no name), which nobody else can open before it is published."""
        return cls(RESERVE, Handle(arena, 0, 0), name, len, flags, mode, token)

    @classmethod
    def create(cls, name, len, *, arena=0, flags=0, mode=0, token=0, attributes=None):
        """Reserve and publish; it reads as zeroes."""
        return cls(CREATE, Handle(arena, 0, 0), name, len, flags, mode, token, attributes)

    @classmethod
    def publish(cls, what, *, replace=None, flags=0, token=0, attributes=None):
        """Make a reservation permanent. `replace`: the name under which it takes the place of what has that name."""
        return cls(PUBLISH, handle_of(what), replace, 0, flags | (0 if replace is None else REPLACE), 0, token, attributes)

    @classmethod
    def abort(cls, what, *, flags=0):
        return cls(ABORT, handle_of(what), flags=flags)

    @classmethod
    def _about(cls, opcode, what, arena, flags):
        return cls(opcode, Handle(arena, 0, 0), what, flags=flags) if is_name(what) else cls(opcode, handle_of(what), flags=flags)

    @classmethod
    def free(cls, what, *, arena=0, flags=0):
        """By name or handle."""
        return cls._about(FREE, what, arena, flags)

    @classmethod
    def open(cls, what, *, arena=0, flags=0):
        """By name or handle."""
        return cls._about(OPEN, what, arena, flags)

    @classmethod
    def close(cls, what, *, flags=0):
        return cls(CLOSE, handle_of(what), flags=flags)

    @classmethod
    def resize(cls, what, len):
        return cls(RESIZE, handle_of(what), len=len)

    @classmethod
    def rename(cls, what, name, *, flags=0):
        return cls(RENAME, handle_of(what), name, flags=flags)

    @classmethod
    def stat(cls, what, *, arena=0):
        """By name or handle."""
        return cls._about(STAT, what, arena, 0)


class Result(NamedTuple):
    """What became of an operation. errno 0: it was done. `was_done`: an earlier request under the same token did it."""
    errno: int
    handle: Handle
    len: int
    was_done: bool
    message: "str | None"
    info: "object | None"

    def error(self, name=None):
        """The exception of a failure; None: there was none."""
        return make_error(self.errno, self.message, name) if self.errno else None

    def check(self, name=None):
        """Itself, or raises."""
        if self.errno:
            raise self.error(name)
        return self
