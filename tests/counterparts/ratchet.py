# SPDX-License-Identifier: GPL-2.0-only
"""``bodies.txt``: ``FILE:FUNCTION | +N -M | REASON``: a body has N statements that its C has not, and lacks M that its C has.

The numbers may fall, and are then written down; they do not grow. Where they are LARGE the line says why.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.counterparts.allowed import Malformed
from tests.counterparts.bodies import Body

BODIES = Path(__file__).with_name("bodies.txt")
LARGE = 24
HEAD = ("# FILE:FUNCTION | +statements that C has not -statements that only C has | REASON (python -m tests.counterparts "
        "--bodies --write)\n")


@dataclass(frozen=True)
class Held:
    """What a line of the list allows."""

    more: int
    less: int
    reason: str


def read(path: Path = BODIES) -> dict[str, Held]:
    """where -> what it may have."""
    out: dict[str, Held] = {}
    for n, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        m = re.fullmatch(r"(\S+:\w+) \| \+(\d+) -(\d+) \|(?: (\S.*))?", line)
        if m is None:
            raise Malformed(f"{path.name}:{n}: not FILE:FUNCTION | +N -M | REASON")
        if m[1] in out:
            raise Malformed(f"{path.name}:{n}: {m[1]} is there twice")
        out[m[1]] = Held(int(m[2]), int(m[3]), m[4] or "")
    return out


def counted(bodies: Iterable[Body]) -> dict[str, tuple[int, int]]:
    """where -> the numbers, of those that have any; a function with two bodies (a structure's and a call's) has the sum."""
    out: dict[str, tuple[int, int]] = {}
    for b in bodies:
        if b.more or b.less:
            n, m = out.get(b.where, (0, 0))
            out[b.where] = n + len(b.more), m + len(b.less)
    return out


def judge(now: Mapping[str, tuple[int, int]], held: Mapping[str, Held]) -> list[str]:
    """What is wrong: a number that grew, one that fell and is not written down, a large one without a reason."""
    out = []
    for where in sorted(now.keys() | held.keys()):
        more, less = now.get(where, (0, 0))
        h = held.get(where, Held(0, 0, ""))
        if more > h.more or less > h.less:
            out.append(f"{where}: +{more} -{less}, and only +{h.more} -{h.less} is allowed: kemu port diff "
                       f"{where.rpartition(':')[2]}")
        elif (more, less) != (h.more, h.less):
            out.append(f"{where}: +{more} -{less} is less than +{h.more} -{h.less}: python -m tests.counterparts --bodies "
                       f"--write")
        elif more + less > LARGE and len(h.reason.split()) < 3:
            out.append(f"{where}: +{more} -{less} needs a reason")
    return out


def lowered(now: Mapping[str, tuple[int, int]], held: Mapping[str, Held]) -> dict[str, Held]:
    """The list with what fell; what grew stays as it was."""
    out = {}
    for where, h in held.items():
        more, less = now.get(where, (0, 0))
        if more or less:
            out[where] = Held(min(more, h.more), min(less, h.less), h.reason)
    return out


def write(held: Mapping[str, Held], path: Path = BODIES) -> None:
    """The list, sorted."""
    path.write_text(HEAD + "".join(f"{where} | +{h.more} -{h.less} |{' ' * bool(h.reason)}{h.reason}\n" for where,
                                   h in sorted(held.items())))
