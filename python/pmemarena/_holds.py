# SPDX-License-Identifier: BSD-3-Clause
"""Holds: blocks that were looked up are pinned until they are loaded."""

import threading
import time


class Holds:
    """Pins of blocks that were looked up and are about to be loaded: until then nobody's delete and no eviction takes them away.
    They end after `seconds`, or earlier where they would be more than `max_bytes` or `max_pins`."""

    def __init__(self, seconds, max_bytes, max_pins):
        self.seconds, self.max_bytes, self.max_pins = seconds, max_bytes, max_pins
        self.lock = threading.Lock()
        self.held = {}                  # name: (deadline, Found), the oldest first
        self.bytes = 0

    def _drop(self, name):
        _, found = self.held.pop(name)
        self.bytes -= found.size
        found.pin.put()

    def add(self, name, found):
        """Takes `found`."""
        with self.lock:
            if name in self.held:
                self._drop(name)
            self.held[name] = time.monotonic() + self.seconds, found
            self.bytes += found.size
            self._trim()

    def __contains__(self, name):
        with self.lock:
            return name in self.held

    def take(self, name):
        """The block, which is the caller's to put; None: it is not held."""
        with self.lock:
            _, found = self.held.pop(name, (0, None))
            if found is not None:
                self.bytes -= found.size
            return found

    def _trim(self):
        now = time.monotonic()
        while self.held:
            name, (deadline, _) = next(iter(self.held.items()))
            if deadline > now and self.bytes <= self.max_bytes and len(self.held) <= self.max_pins:
                return
            self._drop(name)

    def trim(self):
        """Ends those that are over."""
        with self.lock:
            self._trim()

    def clear(self):
        with self.lock:
            while self.held:
                self._drop(next(iter(self.held)))
