# SPDX-License-Identifier: BSD-3-Clause
"""An arena, as one session sees it."""

import errno

from pmemarena._allocation import Allocation
from pmemarena._native import Window
from pmemarena._operations import CONTIGUOUS, DONE, EVICTABLE, Op, READ_ONLY, REPLACE, Result, is_name


def _flags(contiguous=False, replace=False, evictable=False):
    return (CONTIGUOUS if contiguous else 0) | (REPLACE if replace else 0) | (EVICTABLE if evictable else 0)


class Arena:
    """From Session.arena(). `info` is what it is: name, page_size, size and so on."""

    __slots__ = ("session", "info", "index")

    def __init__(self, session, info):
        self.session = session
        self.info = info
        self.index = info.number

    def __repr__(self):
        return f"<pmemarena.Arena {self.index} {self.info.name!r}>"

    # ---- making ----

    def _made(self, result, name, is_reserved):
        # What an earlier request under the same token did is published already.
        return Allocation(self.session, result.handle, name, result.len, is_reserved and not result.was_done, result.was_done)

    def create(self, name, len, *, contiguous=False, replace=False, mode=0, token=0, attributes=None,
               evictable=False):
        """Make an allocation of `len` bytes, rounded up to base pages or, from one page of the arena on, to whole pages: durable,
        it reads as zeroes. name None: none. mode 0 means 0o600. FileExistsError: the name is taken (replace=True frees that one
        in the same step). evictable=True: the daemon may free it to make room, while nobody has it open or pinned. FullError,
        QuotaError."""
        op = Op.create(name, len, arena=self.index, flags=_flags(contiguous, replace, evictable), mode=mode, token=token, attributes=attributes)
        return self._made(self.session.run_one(op), name, False)

    def reserve(self, name, len, *, contiguous=False, mode=0, token=0):
        """Take space that nobody else can open until Allocation.publish() makes it permanent; abort(), or the end of the session,
        gives it back."""
        op = Op.reserve(name, len, arena=self.index, flags=_flags(contiguous), mode=mode, token=token)
        return self._made(self.session.run_one(op), name, True)

    def put(self, name, data, *, replace=False, contiguous=False, mode=0, attributes=None, evictable=False):
        """Make an allocation that holds `data` (bytes-like, not empty): nobody sees it before it is complete and durable. With
        replace=True it takes the place of what has the name. Returns its handle; it is not open afterwards."""
        view = memoryview(data)
        if view.nbytes == 0:
            raise ValueError("there is nothing to put: an allocation has at least one byte")
        with self.reserve(None if replace else name, view.nbytes, contiguous=contiguous, mode=mode) as it:
            with it.map(write=True) as memory:
                memory.write(0, view)
            it.publish(name if replace else None, replace=replace, attributes=attributes, evictable=evictable)
            return it.handle

    # ---- finding ----

    def open(self, what, *, read_only=False):
        """Open an allocation by name or handle, so that it can be mapped. FileNotFoundError, PermissionError."""
        flags = READ_ONLY if read_only else 0
        result = self.session.run_one(Op.open(what, arena=self.index, flags=flags))
        return self._opened(result, what)

    def _opened(self, result, what):
        return Allocation(self.session, result.handle, what if is_name(what) else None, result.len, info=result.info)

    def stat(self, what):
        """An Info, by name or handle. FileNotFoundError."""
        op = Op.stat(what, arena=self.index)
        return self.session.run_one(op).info

    def exists(self, name):
        return self.exists_many((name,))[0]

    def free(self, what, *, done=False):
        """It and its name are gone, by name or handle; it need not be open, and is closed if it was. Who has it mapped or pinned goes
        on with it. BusyError: this session has it mapped, and it was given by handle. done=True (only by handle): also that every
        device is done with it."""
        result = self.session.run_one(Op.free(what, arena=self.index, flags=DONE if done else 0))
        if is_name(what):
            self._close_freed([result.handle])

    def _close_freed(self, handles):
        # A free by name leaves open what this session has open, and its space with it. What is mapped stays so until it is unmapped.
        if handles:
            self.session.run_ops([Op.close(handle) for handle in handles])

    def list(self, prefix=None):
        """Iterate over the published allocations (Info), page by page: with a prefix in the order of names. One that is made or
        freed meanwhile may or may not be seen. StaleError: the daemon was restarted; begin again."""
        cursor = 0
        while True:
            page, cursor = self.session.list_page(self.index, prefix, cursor)
            yield from page
            if cursor == 0:
                return

    # ---- many at once: one message, and one wait for what is durable ----

    def _many(self, operations, make):
        """For each what make(i, result) says, or the Error of it, which is not raised."""
        operations = tuple(operations)
        results = self.session.run_ops(operations)
        return [make(i, Result(*r)) if r[0] == 0 else Result(*r).error(operations[i].name) for i, r in enumerate(results)]

    def create_many(self, items, *, contiguous=False, replace=False, mode=0, evictable=False):
        """create() of each (name, len) or (name, len, attributes): a list of Allocation, or of the Error of those that failed."""
        flags = _flags(contiguous, replace, evictable)
        ops = [Op.create(item[0], item[1], arena=self.index, flags=flags, mode=mode, attributes=item[2] if len(item) > 2 else None)
               for item in items]
        return self._many(ops, lambda i, result: self._made(result, ops[i].name, False))

    def reserve_many(self, items, *, contiguous=False, mode=0):
        """reserve() of each (name, len): a list of Allocation or Error."""
        flags = _flags(contiguous)
        ops = [Op.reserve(name, size, arena=self.index, flags=flags, mode=mode) for name, size in items]
        return self._many(ops, lambda i, result: self._made(result, ops[i].name, True))

    def publish_many(self, allocations):
        """publish() of each: a list of None or Error. They are durable together."""
        allocations = tuple(allocations)

        def publish(i, result):
            allocations[i].is_reserved = False

        return self._many([Op.publish(it) for it in allocations], publish)

    def open_many(self, names, *, read_only=False):
        """open() of each, by name or handle: a list of Allocation or Error."""
        names = tuple(names)
        flags = READ_ONLY if read_only else 0
        ops = [Op.open(name, arena=self.index, flags=flags) for name in names]
        return self._many(ops, lambda i, result: self._opened(result, names[i]))

    def stat_many(self, names):
        """stat() of each, by name or handle: a list of Info or Error."""
        return self._many([Op.stat(name, arena=self.index) for name in names], lambda i, result: result.info)

    def exists_many(self, names):
        """Of each, by name or handle, whether it exists: a list of bool."""
        found = self.stat_many(names)
        for error in found:
            if isinstance(error, OSError) and error.errno != errno.ENOENT:
                raise error
        return [not isinstance(info, OSError) for info in found]

    def free_many(self, names):
        """free() of each, by name or handle: a list of None or Error."""
        named = []
        ops = [Op.free(name, arena=self.index) for name in names]
        freed = self._many(ops, lambda i, result: named.append(result.handle) if ops[i].name is not None else None)
        self._close_freed(named)
        return freed

    def close_many(self, allocations):
        """close() of each: a list of None or Error."""
        return self._many([Op.close(it) for it in allocations], lambda i, result: None)

    # ---- more ----

    def usage(self):
        """How full it is, and what this user has of it: a Usage. One message."""
        return self.session.usage(self.index)

    def window(self, *, write=False, populate=False, pins=0):
        """The whole arena as memory, to look things up without a message: a Window."""
        return Window(self.session, self.index, write, populate, pins)

    def subscribe(self, prefix=""):
        """Session.dispatch() returns events of names that begin with `prefix` from now on."""
        self.session.subscribe(self.index, prefix)

    def unsubscribe(self):
        self.session.unsubscribe(self.index)

    def events(self, prefix=""):
        """The same as an asynchronous iterator."""
        return self.session.events(self.index, prefix)
