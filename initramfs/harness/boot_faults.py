# SPDX-License-Identifier: GPL-2.0-only
"""``kemu boot --faults`` and ``--fail-nth``: the same boot with one call failing, and what each call that can fail ends in."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kemu.check.bootstate import leftovers
from kemu.explore.chooser import Choices, Fault
from kemu.machine.boot import BootResult
from kemu.machine.machine import Machine
from kemu.report import manifest
from kemu.rung.py.failing import failing

Boot = Callable[..., BootResult]            # boot_initrd() with everything but prepare and after


class One:
    """A boot with one failing call."""

    def __init__(self, boot: Boot, n: int, prepare: Callable[[Machine], Any]):
        self.left: list[str] = []
        made: list[Choices] = []

        def ready(m: Machine) -> None:
            prepare(m)
            made.append(failing(n, m))

        result = boot(prepare=ready, after=lambda r: self.left.extend(leftovers(r.machine)))
        self.calls = made[0].fault_points
        self.fault: Fault | None = made[0].faults[0] if made[0].faults else None
        self.tree = result.tree
        self.log = [line for _, level, line in result.entries if level < 7
                    and not line.startswith(("FAULT_INJECTION", "name fail"))]
        self.reports = [s.title for s in result.splats]
        self.ended = result.ended
        self.end = result.error.title.rstrip() if result.error is not None else self.log[-1]

    def row(self, without: One) -> dict[str, Any]:
        """What differs from the boot in which nothing fails."""
        assert self.fault is not None
        f = self.fault
        known = set(without.log)
        return {"n": f.number, "kind": f.kind, "call": f.what, "via": f.via, "site": f.site, "ended": self.ended, "end": self.end,
                "tree": "the same" if manifest.equal(self.tree, without.tree) else "another" if self.tree else "none",
                "said": [line for line in self.log if line not in known and line.rstrip() != self.end],
                "left": [x for x in self.left if x not in without.left] if self.ended == "init" else [],
                "reports": [r for r in self.reports if r not in without.reports]}


def sweep(boot: Boot, prepare: Callable[[Machine], Any]) -> Iterator[dict[str, Any]]:
    """A row for each call that can fail, until a boot comes to its end before the n-th."""
    without = One(boot, 0, prepare)
    n = 1
    while True:
        one = One(boot, n, prepare)
        if one.fault is None:
            return
        yield one.row(without)
        n += 1


def bad(row: dict[str, Any]) -> bool:
    """Neither a fallback that leaves nothing behind nor a panic: a detector's report (the kernel's own BUG_ON() is a panic), or
    something left by a
    boot that came to init."""
    return any(not r.startswith("kernel BUG in ") for r in row["reports"]) or bool(row["ended"] == "init" and row["left"])


def lines(rows: list[dict[str, Any]], seconds: float, verbose: bool) -> list[str]:
    """For a person: boots that end alike together, the bad ones first; one line a boot if ``verbose``."""
    out = [f"{len(rows)} calls can fail; {len(rows)} boots with one of them failing: {seconds:.1f} s"]
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for r in rows:
        key = (not bad(r), r["ended"] != "init", r["end"], r["tree"], tuple(r["said"][:1]), tuple(r["left"]), tuple(r["reports"]))
        groups.setdefault(key, []).append(r)
    for (fine, _, end, tree, said, left, reports), members in sorted(groups.items(),
                                                                     key=lambda x: (x[0][0], x[0][1], -len(x[1]))):
        out.append(f"{'' if fine else 'BAD '}{len(members)} x {end}; tree: {tree}")
        out += [f"    says   {s}" for s in said] + [f"    report {s}" for s in reports] + [f"    left   {s}" for s in left]
        calls: dict[str, list[int]] = {}
        for r in members:
            calls.setdefault(_call(r), []).append(r["n"])
        shown = list(calls.items())
        for call, ns in shown if verbose else shown[:4]:
            out.append(f"    n={_ranges(ns)}: {call}")
        if len(shown) > 4 and not verbose:
            out.append(f"    and {len(shown) - 4} more places (-v)")
    return out


def _call(r: dict[str, Any]) -> str:
    via = f", in {r['via']}()" if r["via"] else ""
    return f"{r['kind']} in {r['call']}{via} called by {r['site']}"


def _ranges(ns: list[int]) -> str:
    out: list[str] = []
    for n in ns:
        last = out[-1].split("-") if out else []
        if last and int(last[-1]) == n - 1:
            out[-1] = f"{last[0]}-{n}"
        else:
            out.append(str(n))
    return ",".join(out[:8]) + (",..." if len(out) > 8 else "")


__all__ = ["One", "bad", "failing", "lines", "sweep"]
