# SPDX-License-Identifier: GPL-2.0-only
"""A review as one page that needs nothing beside it."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.progress import Progress
from kemu.report import splat_report
from kemu.report.formats.place import confirmed_in_words

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
pre{overflow-x:auto;background:#f4f4f4;padding:.7rem;font-size:.85rem}code{font-size:.9em}summary{cursor:pointer}
.critical,.high{border-left:.4rem solid #b00020}.medium{border-left:.4rem solid #9a6700}.low{border-left:.4rem solid #57606a}
section{padding-left:.9rem;margin:1.5rem 0}
@media(prefers-color-scheme:dark){body{background:#16181c;color:#e6e6e6}pre{background:#23262c}}"""


def html(name: str, p: Progress, experiments: Sequence[Experiment]) -> str:
    """The page."""
    found = p.sorted_findings()
    parts = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
             '<meta name="viewport" content="width=device-width, initial-scale=1">',
             f"<title>kemu review {escape(name)}</title><style>{_STYLE}</style></head><body><main>",
             f"<h1>Review of {escape(name)}</h1>",
             f"<p>{p.examples} examples of {len(p.per_experiment)} experiments in {p.seconds:.0f} s: "
             f"{len(found)} finding{'s' if len(found) != 1 else ''}.</p>"]
    parts += [_section(f) for f in found]
    if p.of_base:
        parts.append("<h2>Shown by what it stands on as well</h2><ul>"
                     + "".join(f"<li>{escape(f.title)}</li>" for f in p.of_base) + "</ul>")
    return "\n".join([*parts, "</main></body></html>"]).encode("utf-8", "replace").decode()


def _section(f: Finding) -> str:
    report = escape("\n".join(splat_report.lines(f)))
    rows = [("Where", f"<code>{escape(f.c_location or f.function or '-')}</code>"),
            ("Severity", f"{f.severity}, {escape(f.detector)}"), ("Trigger", escape(f.trigger)),
            ("Other kernels", escape(confirmed_in_words(f))),
            ("Again", f"<code>kemu replay {escape(f.ref(f.token))}</code>")]
    return (f'<section class="{f.severity}"><h2>{escape(f.title)}</h2><dl>'
            + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
            + f"</dl><details><summary>Report</summary><pre>{report}</pre></details></section>")
