# SPDX-License-Identifier: BSD-3-Clause
"""
Power cuts: a guest with a persistent NVDIMM image under load is killed at a random moment and booted again, over and over.

Each boot goes through three stages and may be cut in each: recovery (the daemon starts on what the last cut left), the check
(compared with the model), the load.
"""

import random
from pathlib import Path

from machine import GuestError, Machine, new_nvdimm
from model import Finding, Lost, Model

NVDIMM_MIB = 160
MOST_LINES = 1500           # of the load before a cut
SILENCE_S = 90
MOST_CRASHES = 2


class Boot:
    """One life of the guest."""

    def __init__(self, guest: Machine, model: Model):
        self._guest, self._model = guest, model
        self._lines = guest.lines(SILENCE_S)
        self._log = []

    def _next(self) -> str:
        for line in self._lines:
            if line.startswith("log "):
                self._log.append(line[4:])
            elif line.startswith("broken "):
                raise Lost("\n    ".join([line, *self._log[-60:]]))
            else:
                return line
        raise GuestError(f"the guest ended too soon{self._guest.console_tail()}")

    def wait_for(self, text: str):
        line = self._next()
        if line != text:
            raise Lost(f"the guest said: {line}")

    def check(self):
        """Everything that powercheck says, held against the model."""
        finding = Finding()
        while (line := self._next()) != "checked":
            finding.hear(line)
        self._model.compare(finding.things)
        finding.account()

    def load_until(self, nr_lines: int):
        for _ in range(3):
            line = self._next()
            if not line.startswith("ready "):
                raise Lost(f"the load said: {line}")
        self._guest.say("go")
        for _ in range(nr_lines):
            self._model.hear(self._next())

    def hear_the_rest(self):
        """What the guest had said before it was killed. The last line may have been cut as well."""
        for line in self._lines:
            if not line.startswith("log "):
                self._model.hear(line)


def run(start, scratch: Path, cuts: int, rng: random.Random) -> str:
    """@start(cmdline, nvdimm) boots a guest. Returns what to tell about it; Lost or GuestError."""
    nvdimm = new_nvdimm(scratch / "nvdimm.img", NVDIMM_MIB)
    model = Model()
    in_recovery = crashes = 0
    for cut in range(cuts):
        guest = start(f"lab.seed={rng.randrange(1 << 30)}", nvdimm)
        try:
            in_recovery += cut_once(guest, model, rng, may_cut_recovery=cut > 0)
        except Lost as error:
            raise Lost(f"cut {cut}: {error}") from None
        except GuestError as error:
            # A crash of the guest's kernel, which emulation brings about now and then, is one more way to lose power.
            crashes += 1
            if not guest.has_crashed() or crashes > MOST_CRASHES:
                raise GuestError(f"cut {cut}: {error}") from None
        finally:
            guest.close()
    last_boot(start("lab.last", nvdimm), model)
    return (f"{model.acknowledged} operations acknowledged, {in_recovery} cuts in recovery, "
            f"{crashes} crashes of the guest's kernel, "
            f"{len(model.things)} allocations at the end")


def cut_once(guest: Machine, model: Model, rng: random.Random, may_cut_recovery: bool) -> bool:
    boot = Boot(guest, model)
    boot.wait_for("recovering")
    if may_cut_recovery and rng.random() < 0.25:
        guest.pause(rng.uniform(0, 1.0))
        guest.cut_power()
        return True
    boot.wait_for("recovered")
    boot.check()
    boot.load_until(rng.randrange(1, MOST_LINES))
    guest.pause(rng.uniform(0, 0.02))
    guest.cut_power()
    boot.hear_the_rest()
    return False


def last_boot(guest: Machine, model: Model):
    try:
        boot = Boot(guest, model)
        boot.wait_for("recovering")
        boot.wait_for("recovered")
        boot.check()
        boot.wait_for("end")
        guest.wait()
    finally:
        guest.close()
