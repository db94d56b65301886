# SPDX-License-Identifier: GPL-2.0-only
"""A finding as text: the splat, the minimal input, the minimal schedule and fault, the line of C, and how to see it again."""
from __future__ import annotations

import shlex

from kemu.explore.finding import NOT_TRIED, Finding


def lines(f: Finding) -> list[str]:
    """The report, in this order and no other: tools read it."""
    out = [*_flat(f.report), ""]
    out.append("minimal input:")
    out += [f"  {x}" for x in (f.input or ["(nothing was chosen)"])]
    if f.immaterial:
        out.append(f"  (any will do: {', '.join(f.immaterial)})")
    out.append("minimal schedule and fault:")
    out += [f"  {x}" for x in (f.choices or ["no preemption, no fault"])]
    if f.config:
        out += ["configuration that it depends on:", *(f"  {x}" for x in f.config)]
    out.append(f"in C: {f.c_location or '(not in ported code)'}")
    if f.confirmed["why"] != NOT_TRIED:
        out.append({True: "confirmed: ", False: "not reproduced on Linux: ", None: "not tried on Linux: "}[f.confirmed["linux"]]
                   + str(f.confirmed["why"]))
    out.append(f"kemu replay {f.ref(f.token)}" + (f" {f.module}" if f.module else "")
               + (f" --flavour {f.flavour}" if f.flavour else "") + _with(f.series)
               + "".join(f" --assume-fixed {word}" for word in f.assumed))
    return out


def _with(series: list[str]) -> str:
    return "".join(f" {s}" if s.startswith("--tree ") else f" --series {shlex.quote(s)}" for s in series)


def _flat(report: list[str]) -> list[str]:
    return [line for text in report for line in text.split("\n")]
