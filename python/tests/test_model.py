#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Sequences of random acts on one arena by two sessions, against a model of what must be seen: names, lengths, bytes, what a pin and
a view keep, what refuses to close. A sequence is its seed: PMEMARENA_SEED=N runs that one alone, PMEMARENA_SEEDS so many."""

import os
import random

from stage import IS_SANITIZED, Stage, main, pmemarena

NAMES = [f"n{i}" for i in range(8)]
STEPS = 400
SEEDS = int(os.environ.get("PMEMARENA_SEEDS", "3" if IS_SANITIZED else "12"))


class Thing:
    """An allocation as it must be: what its bytes are, and whether it is published."""

    def __init__(self, it, byte):
        self.it, self.byte, self.name = it, byte, it.name


class Kept:
    """A pin or a mapping, with its views, and the byte that they must show."""

    def __init__(self, what, byte, end):
        self.what, self.byte, self.end, self.views = what, byte, end, []


class Sequence:
    def __init__(self, test, seed):
        self.test, self.seed, self.random = test, seed, random.Random(seed)
        self.sessions = [pmemarena.Session(test.lab.socket) for _ in range(2)]
        self.arenas = [session.arena() for session in self.sessions]
        self.windows = [arena.window(pins=200) for arena in self.arenas]
        self.published, self.reserved, self.kept, self.loose = {}, [], [], []
        self.acts = [self.create, self.create, self.reserve, self.publish, self.abort, self.free, self.rename, self.replace, self.stat, self.get,
                     self.get, self.get_many, self.map, self.view, self.view, self.release, self.end, self.defer, self.drop, self.list,
                     self.reopen_window]

    # ---- what is chosen ----

    def arena(self):
        return self.random.choice(self.arenas)

    def fill(self, it):
        byte = self.random.randrange(1, 256)
        with it.map(write=True) as memory:
            memory.fill(byte)
        return Thing(it, byte)

    def is_taken(self, name):
        return name in self.published or any(thing.name == name for thing in self.reserved)

    # ---- acts ----

    def create(self):
        name, arena = self.random.choice(NAMES), self.arena()
        try:
            it = arena.create(name, self.random.choice([1, 4096, 10000, 2 << 20]))
        except FileExistsError:
            assert name in self.published
        except pmemarena.BusyError:
            assert self.is_taken(name)
        except pmemarena.FullError:
            pass
        else:
            assert not self.is_taken(name)
            self.published[name] = self.fill(it)
            self.close(it)

    def close(self, it):
        try:
            it.close()
        except pmemarena.BusyError:
            assert self.kept or self.loose

    def reserve(self):
        name = self.random.choice([None, *NAMES])
        if name is not None and self.is_taken(name):
            return self.test.refused((FileExistsError, pmemarena.BusyError), self.arena().reserve, name, 4096)
        try:
            self.reserved.append(self.fill(self.arena().reserve(name, self.random.choice([4096, 2 << 20]))))
        except pmemarena.FullError:
            pass

    def publish(self):
        if self.reserved:
            thing = self.reserved.pop(self.random.randrange(len(self.reserved)))
            thing.it.publish()
            self.close(thing.it)
            if thing.name is not None:
                self.published[thing.name] = thing

    def replace(self):
        name = self.random.choice(NAMES)
        if not self.reserved or any(thing.name == name for thing in self.reserved):
            return
        thing = self.reserved.pop(self.random.randrange(len(self.reserved)))
        thing.it.publish(name, replace=True)
        self.close(thing.it)
        thing.name = name
        self.published[name] = thing

    def abort(self):
        if self.reserved:
            thing = self.reserved.pop(self.random.randrange(len(self.reserved)))
            thing.it.abort()
            assert not thing.it.is_valid()

    def free(self):
        name = self.random.choice(NAMES)
        if name in self.published:
            thing = self.published[name]
            try:
                self.arena().free(self.random.choice([name, thing.it.handle]))
            except pmemarena.BusyError:
                return
            del self.published[name]
            assert not thing.it.is_valid()
        else:
            self.test.refused(FileNotFoundError if not self.is_taken(name) else OSError, self.arena().free, name)

    def rename(self):
        old, new = self.random.sample(NAMES, 2)
        if old in self.published and not self.is_taken(new):
            self.sessions[0].run_one(pmemarena.Op.rename(self.published[old].it, new))
            self.published[new] = self.published.pop(old)
            self.published[new].name = new

    def stat(self):
        name = self.random.choice(NAMES)
        info = self.arena().stat_many([name])[0]
        if name in self.published:
            assert info.handle == self.published[name].it.handle and not info.is_reserved
        elif not isinstance(info, OSError):
            assert info.is_reserved

    def list(self):
        named = {info.name: info.handle for info in self.arena().list("n")}
        assert named == {name: thing.it.handle for name, thing in self.published.items()}

    def keep(self, pin, name, i):
        """What is published, or reserved by the session that asks."""
        own = [thing for thing in self.reserved if thing.name == name and thing.it.session is self.sessions[i]]
        thing = self.published.get(name, own[0] if own else None)
        assert (pin is not None) == (thing is not None), f"{name}: {pin}, expected {thing}"
        if pin is not None:
            assert pin.handle == thing.it.handle
            if len(self.kept) < 100:
                self.kept.append(Kept(pin, thing.byte, "put"))

    def get(self):
        name, i = self.random.choice(NAMES), self.random.randrange(2)
        self.keep(self.windows[i].get(name), name, i)

    def get_many(self):
        names = [self.random.choice(NAMES) for _ in range(self.random.randrange(20))]
        i = self.random.randrange(2)
        for name, pin in zip(names, self.windows[i].get_many(names)):
            self.keep(pin, name, i)

    def map(self):
        name = self.random.choice(NAMES)
        if name in self.published and len(self.kept) < 100:
            it = self.arena().open(name, read_only=self.random.random() < 0.5)
            self.kept.append(Kept(it.map(), self.published[name].byte, "close"))

    def view(self):
        if self.kept:
            kept = self.random.choice(self.kept)
            if kept.what.readonly and (kept.end == "close" or kept.what.nr_pieces == 1):
                kept.views.append(memoryview(kept.what))
            elif kept.end == "put":
                kept.views.extend(kept.what.pieces())

    def release(self):
        if self.loose:
            view, byte = self.loose.pop(self.random.randrange(len(self.loose)))
            assert view[0] == view[-1] == byte
            view.release()

    def end(self):
        """put() or close(): refused while views are in use."""
        if not self.kept:
            return
        kept = self.random.choice(self.kept)
        end = getattr(kept.what, kept.end)
        if kept.views:
            self.test.refused(BufferError, end)
            for view in kept.views:
                assert view[0] == view[-1] == kept.byte
                view.release()
        end()
        self.test.refused(pmemarena.ClosedError, memoryview, kept.what)
        self.kept.remove(kept)

    def defer(self):
        if self.kept:
            kept = self.kept.pop(self.random.randrange(len(self.kept)))
            getattr(kept.what, kept.end)(defer=True)
            self.test.refused(pmemarena.ClosedError, memoryview, kept.what)
            self.loose += [(view, kept.byte) for view in kept.views]

    def drop(self):
        """Nobody ends it: its views keep it."""
        if self.kept:
            kept = self.kept.pop(self.random.randrange(len(self.kept)))
            self.loose += [(view, kept.byte) for view in kept.views]

    def reopen_window(self):
        if self.random.random() < 0.9:
            return
        i = self.random.randrange(2)
        if self.windows[i].views:
            self.test.refused(BufferError, self.windows[i].close)
        else:
            self.windows[i].close()
            self.windows[i] = self.arenas[i].window(pins=200)
            self.kept = [kept for kept in self.kept if kept.end == "close" or not kept.what.is_put]

    # ---- all ----

    def run(self):
        for step in range(STEPS):
            act = self.random.choice(self.acts)
            try:
                act()
            except Exception as error:
                raise AssertionError(f"seed {self.seed}, step {step}, {act.__name__}: {type(error).__name__}: {error}") from error
        self.finish()

    def finish(self):
        for view, byte in [*self.loose, *((view, kept.byte) for kept in self.kept for view in kept.views)]:
            assert view[0] == view[-1] == byte, f"seed {self.seed}: a view shows {view[0]}, expected {byte}"
            view.release()
        self.list()
        self.kept.clear()
        for session in self.sessions:
            session.close(defer=True)


class TestModel(Stage):
    def test_sequences(self):
        one = os.environ.get("PMEMARENA_SEED")
        for seed in [int(one)] if one else range(SEEDS):
            Sequence(self, seed).run()
            self.arena.free_many([info.handle for info in self.arena.list()])
        self.lab.is_sound()
        print(f"FIGURE python model: {SEEDS} sequences of {STEPS} acts")


if __name__ == "__main__":
    main()
