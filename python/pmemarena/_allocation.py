# SPDX-License-Identifier: BSD-3-Clause
"""An allocation that a session has open or reserved."""

from pmemarena._errors import BusyError
from pmemarena._native import Mapping
from pmemarena._operations import DONE, EVICTABLE, Op, REPLACE


class Allocation:
    """From Arena.create(), reserve() or open(). `handle` names it for ever; `len` are its bytes, as of the last call here that told;
    `info` is set by an open. As a context manager it is closed at the end of the block, and aborted if it is still
    only reserved. What is mapped then stays open until the session ends."""

    __slots__ = ("session", "handle", "name", "len", "is_reserved", "was_done", "info")

    def __init__(self, session, handle, name=None, len=0, is_reserved=False, was_done=False, info=None):
        self.session = session
        self.handle = handle
        self.name = name
        self.len = len
        self.is_reserved = is_reserved
        self.was_done = was_done
        self.info = info

    def __repr__(self):
        state = "reserved" if self.is_reserved else "open"
        return f"<pmemarena.Allocation {self.name!r} id={self.handle.id} len={self.len} {state}>"

    def _run(self, operation):
        return self.session.run_one(operation)

    # ---- memory ----

    def map(self, write=False):
        """Its memory: a Mapping, which has the buffer protocol. PermissionError: it was opened for reading only."""
        return Mapping(self.session, self.handle, write)

    # ---- from a reservation to something permanent, or to nothing ----

    def publish(self, name=None, *, replace=False, attributes=None, token=0, evictable=False):
        """Make it permanent: when this returns it survives power loss. With replace=True it takes the place of what has `name`
        (None: its own name), so that whoever asks for that name sees the one or the other at every moment; with
        evictable=True the daemon may free it to make room, while nobody has it open or pinned."""
        if name is not None and not replace:
            raise TypeError("a name is for replace=True; a reservation has its own")
        target = (self.name if name is None else name) if replace else None
        if replace and target is None:
            raise TypeError("replace=True needs a name")
        result = self._run(Op.publish(self, replace=target, flags=EVICTABLE if evictable else 0, attributes=attributes, token=token))
        self.is_reserved = False
        self.name = self.name if target is None else target
        self.was_done = result.was_done
        return self

    def abort(self, *, done=False):
        """Give a reservation back; unmap it first. done=True: also that every device is done with it."""
        self._run(Op.abort(self, flags=DONE if done else 0))
        self.is_reserved = False

    def free(self, *, done=False):
        """It and its name are gone, also after power loss. Who has it mapped or pinned goes on with it."""
        self._run(Op.free(self, flags=DONE if done else 0))

    def close(self, *, done=False):
        """This session has it open no more. BusyError: it is still mapped."""
        self._run(Op.close(self, flags=DONE if done else 0))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.abort() if self.is_reserved else self.close()
        except BusyError:
            # Still mapped: then it ends with the session. Of a reservation that is worth a word.
            if self.is_reserved and kind is None:
                raise

    # ---- changes ----

    def resize(self, len):
        """Grow or shrink it. Mappings keep showing what they showed; map again to see the rest."""
        self.len = self._run(Op.resize(self, len)).len
        return self

    def rename(self, name, *, replace=False):
        """Another name; None: none."""
        self._run(Op.rename(self, name, flags=REPLACE if replace else 0))
        self.name = name
        return self

    def set_owner(self, uid=-1, gid=-1):
        self.session.set_owner(self.handle, uid, gid)

    def set_mode(self, mode):
        self.session.set_mode(self.handle, mode)

    def set_attributes(self, attributes):
        """Other attributes instead of all that were there: at most 256 bytes."""
        self.session.set_attributes(self.handle, attributes)

    # ---- what it is ----

    def stat(self):
        """An Info, from the daemon."""
        return self._run(Op.stat(self.handle)).info

    def is_valid(self):
        """Whether it still exists, by a look into shared memory: no message."""
        return self.session.is_valid(self.handle)

    def extents(self):
        """A list of (offset, length) on the device. It lends the allocation: see Session.extents()."""
        return self.session.extents(self.handle)
