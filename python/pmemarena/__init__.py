# SPDX-License-Identifier: BSD-3-Clause
"""Named, durable allocations of persistent memory that many processes of a host share.

    with pmemarena.Session() as session:
        arena = session.arena()
        with arena.reserve("greeting", 4096) as allocation:
            with allocation.map(write=True) as memory:
                memory.write(0, b"hello")
            allocation.publish()
        with arena.window() as window, window.get("greeting") as pin:
            print(bytes(memoryview(pin)[:5]))

Sizes and offsets are in bytes. Names are str or bytes; a name that is no UTF-8 is shown with surrogates, as names of
files are. Every failure is an Error, which is an OSError: errno, the sentence (strerror), and what it is about
(filename); where Python has a class for it, it is one of that too: FileNotFoundError, PermissionError. A wrong type is a
TypeError, and closing what has views in use a BufferError.

Memory is had by the buffer protocol: memoryview(x), numpy.frombuffer(x, dtype), torch.frombuffer(x, dtype=...), where x is a
Mapping, a Pin or a Window. No view outlives its memory: close() refuses while views are in use, and close(defer=True) ends it
after the last.

Threads may share all objects. After fork() the objects of the parent raise PermissionError in the child, which makes a
Session of its own; views that it inherited stay readable, as mapped memory does, but a pin is the parent's, so the
parent must keep it for as long as the child reads."""

from pmemarena import _errors, _native, _records

_native.adopt(_records, _errors.make_error)

from pmemarena._allocation import Allocation
from pmemarena._arena import Arena
from pmemarena._cache import Cache, CachePins
from pmemarena._errors import (BusyError, ClosedError, DeniedError, Error, ExistsError, FullError, InvalidError, LostError,
                               NotFoundError, ProtocolError, QuotaError, StaleError)
from pmemarena._events import EventStream
from pmemarena._native import Mapping, Pin, Pins, Window
from pmemarena._operations import CONTIGUOUS, DONE, EVICTABLE, Op, READ_ONLY, REPLACE, Result
from pmemarena._records import ArenaInfo, Charge, Event, EventKind, Granularity, Handle, Info, Usage
from pmemarena._session import Session

__version__ = "0.1.0"

MAX_NAME = 255
MAX_ATTRIBUTES = 256

__all__ = ["Allocation", "Arena", "ArenaInfo", "BusyError", "CONTIGUOUS", "Cache", "CachePins", "Charge",
           "ClosedError", "DONE", "DeniedError", "EVICTABLE", "Error", "Event", "EventKind", "EventStream", "ExistsError",
           "FullError", "Granularity", "Handle", "Info", "InvalidError", "LostError", "MAX_ATTRIBUTES", "MAX_NAME",
           "Mapping", "NotFoundError", "Op", "Pin", "Pins", "ProtocolError", "QuotaError", "READ_ONLY", "REPLACE",
           "Result", "Session", "StaleError", "Usage", "Window", "library_version"]


def library_version():
    """The version of libpmemarena that is in use."""
    return _native.library_version()
