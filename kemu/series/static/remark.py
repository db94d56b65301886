# SPDX-License-Identifier: GPL-2.0-only
"""What a tool says of a file, and what of it is new."""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(r"^(?P<file>[^\s:]+):(?P<line>\d+):(?:\d+:)? (?P<kind>warning|error|fatal error): (?P<text>.*)$")
_NUMBERED = re.compile(r"\b\d+ (?=bytes?\b)|:\d+(:\d+)?\b")


@dataclass(frozen=True)
class Remark:
    """``tool`` says ``text`` of a line of a file of the tree. ``kind``: warning or error."""

    tool: str
    file: str
    line: int
    kind: str
    text: str

    def key(self) -> tuple[str, str, str]:
        """The same in a tree where lines stand elsewhere."""
        return self.tool, self.file, _NUMBERED.sub("", self.text)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def parse(tool: str, text: str) -> list[Remark]:
    """The remarks in a tool's output; each place once (a header is read for many files)."""
    found = [Remark(tool, m["file"].removeprefix("../"), int(m["line"]), m["kind"].rpartition(" ")[2], m["text"])
             for m in map(_LINE.match, text.splitlines()) if m]
    return list(dict.fromkeys(found))


def new(base: Iterable[Remark], series: Iterable[Remark]) -> list[Remark]:
    """Those that the base does not have: of equal ones as many as there are more."""
    left = Counter(r.key() for r in base)
    out = []
    for r in series:
        if left[r.key()] > 0:
            left[r.key()] -= 1
        else:
            out.append(r)
    return out
