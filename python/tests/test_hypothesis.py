#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sequences of calls that hypothesis makes up, against models of an arena and of a cache; one that fails is made short and printed.
PMEMARENA_EXAMPLES=N tries so many sequences of each instead of 15, and others at each run."""

import gc
import logging
import os
import signal
import sys
import time

from stage import IS_SANITIZED, MiB, Stage, main, pmemarena

try:
    from hypothesis import HealthCheck, settings, strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
except ImportError:
    print("SKIP hypothesis: it is not installed (apt-get install python3-hypothesis, or pip install hypothesis)")
    sys.exit(77)

EXAMPLES = int(os.environ.get("PMEMARENA_EXAMPLES", "5" if IS_SANITIZED else "15"))
IS_LONG = "PMEMARENA_EXAMPLES" in os.environ
STEPS = 60
BASE = 4096
PAGE = 2 * MiB
NAMES = st.sampled_from(["a", "b", "c", "long" * 60])
SIZES = st.sampled_from([1, BASE, 5000, 5 * BASE, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
BYTES = st.integers(1, 255)
# So much is asked for to make room short: more than is free once a few of the large ones are there.
PRESSURE = 40 * MiB
# Blocks of these sizes waste much of their pages, as the package would say of each cache.
logging.getLogger("pmemarena").setLevel(logging.ERROR)


def rounded(size):
    """What an allocation has that was made of this size."""
    unit = PAGE if size >= PAGE else BASE
    return -(-size // unit) * unit


class Thing:
    """An allocation as it must be. Its bytes are cells of one base page each, which mappings and pins of it share."""

    def __init__(self, it, size, session):
        self.it, self.handle, self.name, self.session = it, it.handle, it.name, session
        self.cells = [[0] for _ in range(rounded(size) // BASE)]
        self.is_reserved, self.is_evictable, self.is_open = False, False, True
        self.maps, self.pins, self.attributes = 0, 0, b""

    def may_go(self):
        return self.is_evictable and not self.is_open and not self.maps and not self.pins


class Seen:
    """A mapping or a pin: what it must show, and its views."""

    def __init__(self, what, thing, is_pin, who=0):
        self.what, self.thing, self.is_pin, self.who = what, thing, is_pin, who
        self.cells, self.attributes, self.views = list(thing.cells), thing.attributes, []

    def finish(self):
        for view in self.views:
            view.release()
        if self.is_pin:
            self.what.put(defer=True)
        else:
            self.what.close(defer=True)

    def check(self):
        assert len(self.what) == len(self.cells) * BASE, f"{len(self.what)} bytes, expected {len(self.cells) * BASE}"
        shown = b"".join(bytes(view[offset:offset + 1]) for view in (self.what.pieces() if self.is_pin else [memoryview(self.what)])
                         for offset in range(0, len(view), BASE))
        assert shown == bytes(cell[0] for cell in self.cells), "it shows other bytes than were written"
        assert not self.is_pin or self.what.attributes == self.attributes, "it has other attributes than when it was pinned"


class Machine(RuleBasedStateMachine):
    lab = None                          # of the test

    def clean_up(self):
        """The next sequence, or this one again, finds an arena as this one did."""
        self.lab.drain()
        with pmemarena.Session(self.lab.socket) as session:
            arena = session.arena()
            arena.free_many([info.handle for info in arena.list()])
            deadline = time.monotonic() + 20
            while arena.usage().quarantined or arena.usage().reserved:
                assert time.monotonic() < deadline, f"this process still has: {self.lab.ctl('holders')}"
                # What was drawn may be in a cycle.
                gc.collect()

    def wrong(self, expected, function, *args, **kwargs):
        """It must raise one of these and say a sentence."""
        try:
            function(*args, **kwargs)
        except expected as error:
            assert len(str(error)) > 10, "an error without a sentence"
        else:
            raise AssertionError(f"it did not raise {expected}")


class ArenaMachine(Machine):
    """Session 0 makes and changes; both look, each in a window of its own."""

    def __init__(self):
        super().__init__()
        self.sessions = [pmemarena.Session(self.lab.socket) for _ in range(2)]
        self.arenas = [session.arena() for session in self.sessions]
        self.windows = [arena.window(pins=256) for arena in self.arenas]
        self.things, self.seen = [], []

    # ---- the model ----

    def named(self, name):
        return next((thing for thing in self.things if thing.name == name and name is not None), None)

    def sync(self):
        """What may have been evicted meanwhile and was, is gone."""
        able = [thing for thing in self.things if thing.may_go()]
        infos = self.arenas[1].stat_many([thing.handle for thing in able])
        for thing, info in zip(able, infos):
            if isinstance(info, pmemarena.NotFoundError):
                self.things.remove(thing)

    def some(self, data, what, label):
        return data.draw(st.sampled_from(what), label=label) if what else None

    def gone(self, thing):
        self.things.remove(thing)
        assert not thing.it.is_valid()

    # ---- making ----

    def make(self, call, name, size, **kwargs):
        """None where it was refused, and rightly."""
        self.sync()
        old = self.named(name)
        try:
            it = call(name, size, **kwargs)
        except pmemarena.ExistsError:
            assert old and not old.is_reserved and not kwargs.get("replace")
        except pmemarena.BusyError:
            assert old and old.is_reserved
        except pmemarena.FullError:
            pass
        else:
            assert not old or kwargs.get("replace"), "the name was taken"
            if old and not old.may_go():
                assert not old.is_reserved
                self.gone(old)
            elif old:
                self.things.remove(old)
            assert it.len == rounded(size), f"{it.len} bytes, expected {rounded(size)}"
            thing = Thing(it, size, 0)
            self.things.append(thing)
            return thing
        finally:
            self.sync()
        return None

    @rule(name=st.none() | NAMES, size=SIZES, replace=st.booleans(), evictable=st.booleans(), attributes=st.binary(max_size=256))
    def create(self, name, size, replace, evictable, attributes):
        if name is None and replace:
            return self.wrong(OSError, self.arenas[0].create, None, size, replace=True)
        thing = self.make(self.arenas[0].create, name, size, replace=replace, evictable=evictable, attributes=attributes)
        if thing:
            thing.is_evictable, thing.attributes = evictable, attributes

    @rule(name=st.none() | NAMES, size=SIZES, contiguous=st.booleans())
    def reserve(self, name, size, contiguous):
        thing = self.make(self.arenas[0].reserve, name, size, contiguous=contiguous)
        if thing:
            thing.is_reserved = True

    @rule(data=st.data(), replace=st.none() | NAMES, evictable=st.booleans(), attributes=st.binary(max_size=20))
    def publish(self, data, replace, evictable, attributes):
        thing = self.some(data, [thing for thing in self.things if thing.is_reserved], "which")
        if not thing:
            return
        old = self.named(replace)
        publish = thing.it.publish
        if replace is None:
            publish(evictable=evictable, attributes=attributes)
        elif old and old is not thing and old.is_reserved:
            return self.wrong(pmemarena.BusyError, publish, replace, replace=True)
        else:
            publish(replace, replace=True, evictable=evictable, attributes=attributes)
            if old and old is not thing:
                self.gone(old)
            thing.name = replace
        thing.is_reserved, thing.is_evictable, thing.attributes = False, evictable, attributes

    @rule(data=st.data())
    def abort(self, data):
        thing = self.some(data, [thing for thing in self.things if thing.is_reserved], "which")
        if thing and thing.maps:
            self.wrong(pmemarena.BusyError, thing.it.abort)
        elif thing:
            thing.it.abort()
            self.gone(thing)

    @rule(data=st.data(), by_name=st.booleans())
    def free(self, data, by_name):
        thing = self.some(data, [thing for thing in self.things if not thing.is_reserved], "which")
        if thing and by_name and thing.name is not None:
            self.arenas[0].free(thing.name)
            self.gone(thing)
        elif thing and thing.maps:
            self.wrong(pmemarena.BusyError, self.arenas[0].free, thing.handle)
        elif thing:
            self.arenas[0].free(thing.handle)
            self.gone(thing)

    # ---- changing ----

    @rule(data=st.data(), size=SIZES)
    def resize(self, data, size):
        thing = self.some(data, [thing for thing in self.things if thing.is_open], "which")
        if not thing:
            return
        try:
            thing.it.resize(size)
        except pmemarena.FullError:
            assert size > len(thing.cells) * BASE, "it has no room to become smaller"
        else:
            nr = thing.it.len // BASE
            assert size <= thing.it.len < size + PAGE
            thing.cells = thing.cells[:nr] + [[0] for _ in range(nr - len(thing.cells))]
        self.sync()

    @rule(data=st.data(), name=st.none() | NAMES, replace=st.booleans())
    def rename(self, data, name, replace):
        thing = self.some(data, [thing for thing in self.things if thing.is_open], "which")
        if not thing:
            return
        old = self.named(name)
        if replace and (thing.is_reserved or name is None):
            self.wrong(OSError, thing.it.rename, name, replace=True)
        elif old and old is not thing and (old.is_reserved or not replace):
            self.wrong(pmemarena.BusyError if old.is_reserved else pmemarena.ExistsError, thing.it.rename, name, replace=replace)
        elif old is not thing or name is None:
            thing.it.rename(name, replace=replace)
            if old:
                self.gone(old)
            thing.name = name

    @rule(data=st.data(), attributes=st.binary(max_size=256))
    def set_attributes(self, data, attributes):
        thing = self.some(data, [thing for thing in self.things if thing.is_open and not thing.is_reserved], "which")
        if thing:
            thing.it.set_attributes(attributes)
            thing.attributes = attributes

    # ---- opening and mapping ----

    @rule(data=st.data())
    def open(self, data):
        thing = self.some(data, [thing for thing in self.things if not thing.is_open and not thing.may_go()], "which")
        if thing:
            thing.it = self.arenas[0].open(thing.handle)
            thing.is_open = True

    @rule(data=st.data())
    def close(self, data):
        thing = self.some(data, [thing for thing in self.things if thing.is_open and not thing.is_reserved], "which")
        if thing and thing.maps:
            self.wrong(pmemarena.BusyError, thing.it.close)
        elif thing:
            thing.it.close()
            thing.is_open = False

    @rule(data=st.data(), write=st.booleans(), byte=BYTES)
    def map(self, data, write, byte):
        thing = self.some(data, [thing for thing in self.things if thing.is_open], "which")
        if not thing or len(self.seen) > 40:
            return
        seen = Seen(thing.it.map(write), thing, False)
        if write:
            seen.what.fill(byte)
            for cell in seen.cells:
                cell[0] = byte
        thing.maps += 1
        self.seen.append(seen)

    @rule(data=st.data(), who=st.integers(0, 1), by_name=st.booleans())
    def get(self, data, who, by_name):
        if len(self.seen) > 40:
            return
        self.sync()
        thing = self.some(data, self.things, "which")
        if not thing or (by_name and thing.name is None):
            return
        pin = self.windows[who].get(thing.name if by_name else thing.handle)
        if thing.is_reserved and who == 1:
            assert pin is None, "another's reservation was pinned"
        else:
            assert pin.handle == thing.handle
            self.seen.append(Seen(pin, thing, True, who))
            thing.pins += 1

    @rule(data=st.data())
    def look_for_nothing(self, data):
        name = data.draw(NAMES, label="name")
        self.sync()
        if not self.named(name):
            assert self.windows[1].get(name) is None
            self.wrong(FileNotFoundError, self.arenas[1].open, name)

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def view(self, data):
        seen = self.some(data, self.seen, "which")
        seen.check()
        seen.views += seen.what.pieces() if seen.is_pin else [memoryview(seen.what)]

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def end(self, data):
        """put() or close(): refused while views are in use."""
        seen = self.some(data, self.seen, "which")
        end = seen.what.put if seen.is_pin else seen.what.close
        seen.check()
        if seen.views:
            self.wrong(BufferError, end)
            for view in seen.views:
                view.release()
        end()
        self.wrong(pmemarena.ClosedError, memoryview, seen.what)
        self.forget(seen)

    def forget(self, seen):
        self.seen.remove(seen)
        if seen.is_pin:
            seen.thing.pins -= 1
        else:
            seen.thing.maps -= 1

    @rule(who=st.integers(0, 1))
    def reopen_window(self, who):
        pins = [seen for seen in self.seen if seen.is_pin and seen.who == who]
        if any(seen.views for seen in pins):
            self.wrong(BufferError, self.windows[who].close)
            return
        self.windows[who].close()
        for seen in pins:
            self.wrong(pmemarena.ClosedError, memoryview, seen.what)
            self.forget(seen)
        self.windows[who] = self.arenas[who].window(pins=256)

    # ---- all of it ----

    @rule()
    def press(self):
        """Somebody wants much space: what may go, goes, and nothing else."""
        try:
            self.arenas[1].reserve(None, PRESSURE).abort()
        except pmemarena.FullError:
            self.sync()
            assert not [thing for thing in self.things if thing.may_go() and len(thing.cells) * BASE >= PAGE], "these could have gone"
        self.sync()

    @rule()
    def list(self):
        self.sync()
        infos = {info.handle: info for info in self.arenas[1].list()}
        assert infos.keys() == {thing.handle for thing in self.things if not thing.is_reserved}
        for thing in self.things:
            if not thing.is_reserved:
                info = infos[thing.handle]
                assert (info.name or None, info.len, info.attributes, info.is_evictable) == \
                    (thing.name, len(thing.cells) * BASE, thing.attributes, thing.is_evictable)

    def teardown(self):
        try:
            for seen in self.seen:
                seen.check()
            self.list()
        finally:
            # A failure that is on its way keeps what its frames have.
            for seen in self.seen:
                seen.finish()
            self.seen.clear()
            for session in self.sessions:
                session.close(defer=True)
            self.clean_up()


class CacheMachine(Machine):
    """Two caches of one namespace. A block may be gone at any time that somebody wants space, and is never another one."""

    KEYS = st.sampled_from(["k", b"k2", "", "x" * 246, "x" * 247])
    DATA = st.builds(lambda byte, size: bytes([byte]) * size, BYTES, st.sampled_from([1, 100, BASE, 3 * BASE + 1, 3 * MiB]))

    def __init__(self):
        super().__init__()
        self.caches = [pmemarena.Cache(self.lab.socket, ready_bytes=ready) for ready in (0, 4 * MiB)]
        self.there, self.pins = {}, []
        self.is_short = False           # somebody wanted space: what is not pinned may be gone

    def check(self, key, data):
        """What a look at the key said; what is missing and may be is not there from now on."""
        expected = self.there.get(key)
        if data is None and expected is not None:
            assert self.is_short, f"{key!r} is gone, and nobody needed its space"
            del self.there[key]
        else:
            assert data == expected, f"{key!r} is not what was put"

    @rule(who=st.integers(0, 1), key=KEYS, data=DATA, replace=st.booleans())
    def put(self, who, key, data, replace):
        self.check(key, self.caches[who].read(key))
        try:
            self.caches[who].put(key, data, replace=replace)
        except pmemarena.FullError:
            self.is_short = True
            return
        if replace or len(self.there.get(key, b"")) != len(data):
            self.there[key] = data

    @rule(who=st.integers(0, 1), blocks=st.dictionaries(KEYS, DATA, max_size=5))
    def put_many(self, who, blocks):
        errors = self.caches[who].put_many(blocks, replace=True)
        for (key, data), error in zip(blocks.items(), errors):
            if error is None:
                self.there[key] = data
            else:
                assert isinstance(error, pmemarena.FullError)
                self.is_short = True

    @rule(who=st.integers(0, 1), keys=st.lists(KEYS, max_size=6))
    def get_many(self, who, keys):
        pins = self.caches[who].get_many(keys)
        for key, pin in zip(keys, pins):
            self.check(key, pin and bytes(pin))
            if pin:
                self.pins.append((who, pin, self.there[key], memoryview(pin)))

    @rule(who=st.integers(0, 1), key=KEYS, data=DATA)
    def read_many(self, who, key, data):
        buffer = bytearray(len(data))
        got = self.caches[who].read_many([key], [buffer])[0]
        if got or len(self.there.get(key, b"")) == len(data):
            self.check(key, bytes(buffer) if got else None)
        assert got or not any(buffer), "a miss has changed the buffer"

    @rule(data=st.data())
    def release(self, data):
        if self.pins:
            entry = data.draw(st.sampled_from(self.pins), label="which")
            self.pins.remove(entry)
            self.finish(*entry)

    @staticmethod
    def finish(_, pin, data, view):
        assert view == data, "a pin shows other bytes"
        view.release()
        pin.put()

    @rule(who=st.integers(0, 1), key=KEYS)
    def delete(self, who, key):
        gone = self.caches[who].delete(key)
        assert gone == (key in self.there) or (self.is_short and not gone)
        self.there.pop(key, None)

    @rule(who=st.integers(0, 1))
    def count(self, who):
        for key, is_there in zip(list(self.there), self.caches[who].exists_many(list(self.there))):
            if not is_there:
                self.check(key, None)
        assert len(self.caches[who]) == len(self.there)

    @rule()
    def press(self):
        with pmemarena.Session(self.lab.socket) as session:
            self.is_short = True
            try:
                session.arena().reserve(None, PRESSURE).abort()
            except pmemarena.FullError:
                pass

    @rule(who=st.integers(0, 1))
    def reopen(self, who):
        if any(entry[0] == who for entry in self.pins):
            self.wrong(BufferError, self.caches[who].close)
        else:
            self.caches[who].close()
            self.wrong(pmemarena.ClosedError, self.caches[who].get, "k")
            self.caches[who] = pmemarena.Cache(self.lab.socket, ready_bytes=who * 4 * MiB)

    @precondition(lambda self: IS_LONG)
    @rule(chance=st.integers(0, 9))
    def kill(self, chance):
        if chance == 7:
            self.lab.kill()
            self.lab.start()

    def teardown(self):
        try:
            for entry in self.pins:
                self.finish(*entry)
        finally:
            self.pins.clear()
            for cache in self.caches:
                cache.close(defer=True)
            self.clean_up()


class TestHypothesis(Stage):
    def model(self, machine):
        machine.lab = self.lab
        signal.alarm(60 + 2 * EXAMPLES)
        run_state_machine_as_test(machine, settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None, derandomize=not IS_LONG,
            suppress_health_check=list(HealthCheck), print_blob=False))
        self.assertEqual((list(self.arena.list()), self.arena.usage().reserved), ([], 0))
        self.lab.is_sound()
        print(f"FIGURE python {machine.__name__}: {EXAMPLES} sequences of {STEPS} calls at most")

    def test_an_arena_is_as_its_model(self):
        self.model(ArenaMachine)

    def test_a_cache_is_as_its_model(self):
        self.model(CacheMachine)


if __name__ == "__main__":
    main()
