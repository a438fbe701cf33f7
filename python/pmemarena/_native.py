# SPDX-License-Identifier: BSD-3-Clause
"""What is written in C (src/), by the name under which type checkers find its stub beside it."""

from _pmemarena import Mapping, Piece, Pin, Pins, Session, Window, adopt, library_version

__all__ = ["Mapping", "Piece", "Pin", "Pins", "Session", "Window", "adopt", "library_version"]
