# SPDX-License-Identifier: BSD-3-Clause
"""What the library tells, as named tuples. The extension makes them: the order of their members is that of record.c."""

import enum
import uuid
from typing import NamedTuple


class Handle(NamedTuple):
    """Names an allocation for ever: an id is never used twice. Plain data, which may be stored and given to others."""
    arena: int
    slot: int
    id: int


class Info(NamedTuple):
    """What there is to know of an allocation. `name` is '' where it has none; `created_ns` is since 1970."""
    name: str
    handle: Handle
    len: int
    uid: int
    gid: int
    mode: int
    nr_extents: int
    version: int
    created_ns: int
    is_reserved: bool
    is_poisoned: bool
    attributes: bytes
    is_evictable: bool  # the daemon may free it to make room


class Granularity(enum.IntEnum):
    """The unit in which stores are made durable."""
    BYTE = 0
    CACHE_LINE = 1
    PAGE = 2


class ArenaInfo(NamedTuple):
    """What there is to know of an arena. `device` is a path on the daemon's side; `align`: what a mapping of it must have."""
    number: int
    name: str
    uuid_bytes: bytes
    device: str
    page_size: int
    size: int
    align: int
    is_dax: bool
    granularity: int
    data_off: int
    device_size: int

    @property
    def uuid(self):
        return uuid.UUID(bytes=self.uuid_bytes)


class Charge(NamedTuple):
    """What a user has, and may come to have at most (0: there is no limit)."""
    used: int
    limit: int


class Usage(NamedTuple):
    """How full an arena is, in bytes, and what this user has in it. `quarantined`: freed, and perhaps still in use."""
    size: int
    free: int
    largest_free: int
    leased: int
    reserved: int
    quarantined: int
    bytes: Charge
    allocations: Charge
    leased_bytes: Charge


class EventKind(enum.IntEnum):
    PUBLISHED = 1
    FREED = 2
    RENAMED = 3
    RESIZED = 4
    CHANGED = 5
    POISONED = 6
    RECALL = 7
    ARENA_OFFLINE = 8
    LOST = 9            # some were dropped: look at the arena anew
    EVICTED = 10        # the daemon freed it to make room
    ARENA_ADDED = 11    # the arena of the handle can be used from now on
    ARENA_REMOVED = 12  # it is served no more
    MOVED = 13          # it is in another arena now, under the same name


class Event(NamedTuple):
    """What became of an allocation."""
    kind: int           # an EventKind
    name: str
    handle: Handle
    len: int
    uid: int
    gid: int
    mode: int

    @property
    def what(self):
        return EventKind(self.kind)
