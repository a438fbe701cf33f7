# SPDX-License-Identifier: BSD-3-Clause
"""What an arena must hold after a power cut, by what the guest's load said before and after each operation."""

from dataclasses import dataclass, field, replace

PAGE = 4096
WHOLE = 2 << 20             # the arena's page


class Lost(Exception):
    """The arena after the cut is not what was acknowledged before it."""


@dataclass(frozen=True)
class Thing:
    """One allocation: @pages pages of contents @generation, zeroes behind them."""
    name: str
    size: int
    mode: int = 0o600
    gid: int = 0
    generation: int = 0
    pages: int = 0

    def resized(self, size: int) -> "Thing":
        pages = min(self.pages, size // PAGE)
        return replace(self, size=size, pages=pages, generation=self.generation if pages else 0)


GONE = None


@dataclass
class Try:
    """An operation under way: what @id may be once it is done. id 0: a new one that only the answer names."""
    id: int
    afters: list[Thing | None]


@dataclass
class Model:
    things: dict[int, Thing] = field(default_factory=dict)
    tries: dict[int, Try] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    acknowledged: int = 0

    def hear(self, line: str):
        """One line of powerload."""
        word, rest = line.split(" ", 1)
        if word == "try":
            seq, what, arguments = rest.split(" ", 2)
            self.tries[int(seq)] = self._parse(what, arguments)
        elif word == "did":
            seq, id_, size = map(int, rest.split())
            self._did(self.tries.pop(seq), id_, size)
        elif word == "not":
            self.tries.pop(int(rest.split()[0]))
        elif word == "saw":
            self._saw(int(rest))
        else:
            raise Lost(f"the load said: {line}")

    def _parse(self, what: str, arguments: str) -> Try:
        if what == "create":
            size, name = arguments.split(" ", 1)
            return Try(0, [Thing(name, int(size))])
        if what == "publish":
            id_, size, generation, name = arguments.split(" ", 3)
            return Try(int(id_), [Thing(name, int(size), generation=int(generation), pages=int(size) // PAGE)])
        id_, _, value = arguments.partition(" ")
        thing = self.things[int(id_)]
        afters = {"free": lambda: [GONE],
                  # Whole pages stay whole pages.
                  "resize": lambda: [thing.resized(int(value)), thing.resized(max(int(value), WHOLE))],
                  "rename": lambda: [replace(thing, name=value)],
                  "mode": lambda: [replace(thing, mode=int(value, 8))],
                  "group": lambda: [replace(thing, gid=int(value))]}[what]()
        return Try(int(id_), afters)

    def _saw(self, id_: int):
        if id_ in self.seen:
            raise Lost(f"id {id_} was handed out a second time")
        self.seen.add(id_)

    def _did(self, done: Try, id_: int, size: int):
        self.acknowledged += 1
        if done.id == 0:
            self._saw(id_)
        if done.afters == [GONE]:
            del self.things[id_]
            return
        after = [thing for thing in done.afters if thing.size == size]
        if not after:
            raise Lost(f"id {id_} was acknowledged with size {size} and should be {done.afters}")
        self.things[id_] = after[0]

    def compare(self, found: dict[int, Thing]):
        """@found is what was there after the cut. What was under way may be done or not, whole: from then on it is as found."""
        left = list(self.tries.values())
        for id_, thing in found.items():
            if self.things.get(id_) == thing:
                continue
            left.remove(self._explain(id_, thing, left))
        for id_ in self.things.keys() - found.keys():
            if not any(one.id == id_ and GONE in one.afters for one in left):
                raise Lost(f"gone: id {id_}, {self.things[id_]}")
        names = [thing.name for thing in found.values() if thing.name]
        if len(names) != len(set(names)):
            raise Lost("two allocations have one name")
        self.things, self.tries = dict(found), {}

    def _explain(self, id_: int, thing: Thing, left: list[Try]) -> Try:
        for one in left:
            if thing in one.afters and one.id in (0, id_):
                if one.id == 0:
                    self._saw(id_)
                return one
        if id_ not in self.things:
            raise Lost(f"never acknowledged, or freed: id {id_}, {thing}")
        raise Lost(f"id {id_} is {thing} and should be {self.things[id_]}" +
                   "".join(f" or {after}" for one in left if one.id == id_ for after in one.afters))


@dataclass
class Finding:
    """What powercheck says of an arena."""
    things: dict[int, Thing] = field(default_factory=dict)
    size: int = 0
    free: int = -1

    def hear(self, line: str):
        word, _, rest = line.partition(" ")
        if word == "have":
            id_, size, mode, gid, generation, pages, name = rest.split(" ", 6)
            self.things[int(id_)] = Thing(name, int(size), int(mode, 8), int(gid), int(generation), int(pages))
        elif word == "size":
            self.size = int(rest.split()[0])
        elif word == "free":
            self.free = int(rest)
        else:
            raise Lost(f"the check said: {line}")

    def account(self):
        """Every byte is either somebody's or could be had."""
        used = sum(thing.size for thing in self.things.values())
        if used + self.free != self.size:
            raise Lost(f"{self.size - used - self.free} bytes are nobody's and cannot be had "
                       f"(size {self.size}, used {used}, free {self.free})")
