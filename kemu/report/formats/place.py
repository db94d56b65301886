# SPDX-License-Identifier: GPL-2.0-only
"""Where in the C a finding is."""
from __future__ import annotations

import re
from typing import NamedTuple

from kemu.explore.finding import Finding

_PLACE = re.compile(r"(?P<file>[\w./-]+\.[ch])(?::(?P<line>\d+))?(?: (?P<function>\w+))?")


class Place(NamedTuple):
    """A file of the tree, a line of it (0: not known) and the function."""

    file: str
    line: int
    function: str


def place_of(f: Finding) -> Place | None:
    """The statement; None where a finding has none."""
    m = _PLACE.match(f.c_location)
    return Place(m["file"], int(m["line"] or 0), m["function"] or f.function) if m else None


def confirmed_in_words(f: Finding) -> str:
    """What other rungs have said."""
    how = {True: "confirmed", False: "not reproduced on Linux", None: "not tried on Linux"}[f.confirmed["linux"]]
    return f"{how}: {f.confirmed['why']}"
