#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""shared_cache.py [BLOCKS [ROUNDS]]

Two processes and one cache of tensors in memory of an arena, as two inference servers share what they computed. Each asks for
blocks in an order of its own: what is there, whoever put it, is used where it lies, without a copy; what is not there is
computed and put, for both. When the arena is full the daemon frees what was not used for long, and it is computed again.

The blocks are tensors where torch is installed, arrays where numpy is, and memoryviews otherwise."""

import hashlib
import os
import random
import sys
import warnings

import pmemarena

try:
    import torch
    # It says so of memory that may only be read; nothing here writes to it.
    warnings.filterwarnings("ignore", message="The given buffer is not writable")
    KIND = "torch"
except ImportError:
    try:
        import numpy
        KIND = "numpy"
    except ImportError:
        KIND = "memoryview"

FLOATS = 64 << 10


def compute(i):
    """What is dear to compute: FLOATS numbers, as an object that has the buffer protocol."""
    if KIND == "torch":
        memory = bytearray(4 * FLOATS)
        torch.frombuffer(memory, dtype=torch.float32)[:] = torch.arange(FLOATS) + i
        return memory
    if KIND == "numpy":
        return numpy.arange(FLOATS, dtype=numpy.float32) + numpy.float32(i)
    return memoryview(i.to_bytes(4, "little") * FLOATS)


def view(pin):
    """The block of a pin, where it lies."""
    if KIND == "torch":
        return torch.frombuffer(pin, dtype=torch.float32)
    if KIND == "numpy":
        return numpy.frombuffer(pin, dtype=numpy.float32)
    return memoryview(pin)


def is_right(block, i):
    if KIND == "memoryview":
        return block[:4] == block[-4:] == i.to_bytes(4, "little")
    return float(block[0]) == i and float(block[FLOATS - 1]) == FLOATS - 1 + i


def key_of(i):
    """A key may be of any length: here it is what the block is computed from."""
    return f"model=example tokens={hashlib.sha256(str(i).encode()).hexdigest()}"


def use(cache, i):
    """Use block i; True: it was there."""
    pin = cache.get(key_of(i))
    if pin is None:
        cache.put(key_of(i), compute(i))
        return False
    with pin:
        # The view is gone before the pin is put, so that its space can be somebody else's at once.
        assert is_right(view(pin), i), f"block {i} is not what was computed"
    return True


def work(seed, blocks, rounds):
    order, hits = random.Random(seed), 0
    with pmemarena.Cache(namespace="example") as cache:
        for _ in range(rounds):
            # Some blocks are asked for far more often than others.
            hits += use(cache, min(order.randrange(blocks), order.randrange(blocks)))
    print(f"process {seed}: {hits} hits of {rounds}, in blocks of {KIND}", flush=True)
    return hits


def main():
    given = [int(arg) for arg in sys.argv[1:3]]
    blocks, rounds = given + [200, 2000][len(given):]
    children = []
    for seed in range(2):
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            # torch's threads are not there after a fork; this needs none of them.
            os._exit(0 if work(seed, blocks, rounds) else 1)
        children.append(pid)
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children))


if __name__ == "__main__":
    main()
