# SPDX-License-Identifier: GPL-2.0-only
"""What is said of a difference."""
from __future__ import annotations

from kemu.explore.finding import classify
from kemu.series.review.changed import Blocks, Changed
from kemu.series.review.search import Found
from kemu.series.review.seen import Difference

_KINDS = {"leak": ("leak", "medium"), "errno": ("difference", "high"), "tree": ("difference", "high"),
          "facts": ("difference", "medium"), "look": ("difference", "medium"), "log": ("difference", "low"),
          "locks": ("locks", "high"), "order": ("order", "medium"), "byte order": ("sparse", "high")}


def detector_of(difference: Difference) -> str:
    """How it shows."""
    return classify(difference.title)[0] if difference.kind == "crash" else _KINDS[difference.kind][0]


def severity_of(difference: Difference) -> str:
    """How bad that is."""
    return classify(difference.title)[1] if difference.kind == "crash" else _KINDS[difference.kind][1]


def details_of(found: Found) -> list[str]:
    """What else is to be said."""
    some = [line for line in found.difference.details if line != found.difference.title]
    if len(found.trials) > 1:
        some.append(f"behind {len(found.trials) - 1} other trials in the same kernel")
    return some


def place_of(found: Found, changed: Changed, blocks: Blocks) -> tuple[str, str]:
    """Function and file:line: where the report says it is, else the first changed line that ran, else any changed function."""
    d = found.difference
    if d.function and d.place:
        return d.function, d.place
    ran = sorted(line for line, some in blocks.lines.items() if some & d.ran)
    path, number = next(iter(ran or sorted(changed.lines)), ("", 0))
    reached = sorted(name for name, some in blocks.of.items() if some & d.ran)
    function = changed.holding(path, number) or next(iter(reached or sorted(changed.names)), "")
    return function, f"{path}:{number}" if path else ""
