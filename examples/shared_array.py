#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""shared_array.py [VERSIONS]

Two processes and one numpy array in memory of an arena. The writer publishes one version of it after the other under one
name; each is filled where nobody sees it and takes the place of the last one in one step. The reader looks the name up in
shared memory, without a message and without a copy, and sees whole versions only: the one that it has pinned stays as it is
for as long as it looks at it."""

import os
import sys

import numpy
import pmemarena

NAME = "example/array"
SHAPE = (1024, 256)


def publish(arena, version):
    """What nobody sees before it is complete and durable."""
    nbytes = numpy.dtype(numpy.float32).itemsize * SHAPE[0] * SHAPE[1]
    with arena.reserve(None, nbytes, contiguous=True) as allocation:
        with allocation.map(write=True) as memory:
            array = numpy.frombuffer(memory, dtype=numpy.float32, count=SHAPE[0] * SHAPE[1]).reshape(SHAPE)
            array[:] = version
            memory.persist(0, array.nbytes)
            del array                   # a view of the memory, which is unmapped now
        allocation.publish(NAME, replace=True, attributes=b"float32 1024x256")


def write(versions):
    with pmemarena.Session() as session:
        for version in range(1, versions + 1):
            publish(session.arena(), version)


def look(window):
    """The version that the array has now; 0: there is none yet."""
    pin = window.get(NAME)
    if pin is None:
        return 0
    with pin:
        array = numpy.frombuffer(pin, dtype=numpy.float32, count=SHAPE[0] * SHAPE[1]).reshape(SHAPE)
        first, last = array.min(), array.max()
    assert first == last, f"half of version {first}, half of version {last}"
    return int(first)


def read(versions):
    seen = set()
    with pmemarena.Session() as session:
        window = session.arena().window()
        while versions not in seen:
            seen.add(look(window))
    return seen - {0}


def main():
    versions = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with pmemarena.Session() as session:
        if session.arena().exists(NAME):
            session.arena().free(NAME)
    writer = os.fork()
    if writer == 0:
        write(versions)
        os._exit(0)
    seen = read(versions)
    os.waitpid(writer, 0)
    print(f"{len(seen)} of {versions} versions were seen, each of them whole")


if __name__ == "__main__":
    main()
