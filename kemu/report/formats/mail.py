# SPDX-License-Identifier: GPL-2.0-only
"""A review as the text of a mail to a list: plain, 72 columns, worst first; what else there is stands behind a token."""
from __future__ import annotations

import textwrap
from collections.abc import Sequence

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.progress import Progress
from kemu.report.formats.place import confirmed_in_words

COLUMNS = 72
_MOST = 12              # lines of a report


def mail(name: str, p: Progress, experiments: Sequence[Experiment]) -> str:
    """The text."""
    found = p.sorted_findings()
    head = (f"{name} was run against what it stands on: {p.examples} examples of {len(p.per_experiment)} experiments in "
            f"{p.seconds:.0f} s. {'Nothing is wrong in them.' if not found else f'{len(found)} findings:'}")
    out = [*_wrapped(head), ""]
    for n, f in enumerate(found, 1):
        out += [*_finding(n, f), ""]
    if p.of_base:
        out += [*_wrapped(f"{len(p.of_base)} more are shown by what it stands on as well: "
                          + "; ".join(f.title for f in p.of_base)), ""]
    return "\n".join(out).rstrip("\n").encode("utf-8", "replace").decode()


def _finding(n: int, f: Finding) -> list[str]:
    out = _wrapped(f"{n}. [{f.severity}] {f.title}", "   ")
    if f.c_location or f.function:
        out += _wrapped(f"in {f.c_location or f.function}", "   ", "   ")
    if f.trigger:
        out += _wrapped(f"trigger: {f.trigger}", "     ", "   ")
    told = [line for text in f.report[1:] for line in text.split("\n") if line.strip()]
    out += [f"   > {line}"[:COLUMNS].rstrip() for line in told[:_MOST]]
    if len(told) > _MOST:
        out.append(f"   > ... {len(told) - _MOST} more lines")
    if f.config:
        out += _wrapped(f"depends on {', '.join(f.config)}", "     ", "   ")
    return [*out, *_wrapped(confirmed_in_words(f), "     ", "   "), f"   kemu replay {f.ref(f.token)}"]


def _wrapped(text: str, indent: str = "", first: str = "") -> list[str]:
    return textwrap.wrap(" ".join(text.split()), COLUMNS, initial_indent=first, subsequent_indent=indent)
