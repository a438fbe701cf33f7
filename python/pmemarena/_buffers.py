# SPDX-License-Identifier: BSD-3-Clause
"""Buffers: the memory that blocks are stored from and loaded into."""


def flat(buffer):
    """A view of bytes in one dimension, whatever it was."""
    view = memoryview(buffer)
    return view if view.ndim == 1 and view.itemsize == 1 and view.contiguous else view.cast("B")


class Pieces:
    """A buffer that lies in several places. The block has them one after the other."""

    __slots__ = ("views", "size")

    def __init__(self, views):
        self.views = views
        self.size = sum(len(view) for view in views)

    def __len__(self):
        return self.size


def each_piece(buffer):
    """(offset in the block, view) of a buffer, be it one or Pieces."""
    offset = 0
    for view in buffer.views if isinstance(buffer, Pieces) else (buffer,):
        yield offset, view
        offset += len(view)


def write_block(memory, buffer):
    for offset, view in each_piece(buffer):
        memory.write(offset, view)
