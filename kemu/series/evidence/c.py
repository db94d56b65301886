# SPDX-License-Identifier: GPL-2.0-only
"""What the C half of a series has to show for itself."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kemu.rung.uml.errors import BuildError, ConfigError
from kemu.rung.uml.make import Say
from kemu.rung.uml.series import Finding, Series, check
from kemu.rung.uml.seriestest import Step, run_steps
from kemu.rung.uml.tree import Tree
from kemu.series.evidence.claims import Claim, counted
from kemu.series.review import session, together
from kemu.series.static.check import built


def applies(series: Series, tree: Tree, given: str) -> Claim:
    """Each patch on those before it, and checkpatch."""
    found = list(check(series, tree))
    files = {path for patch in series.patches for path in patch.touched()}
    what = f"{counted(len(series.patches), 'patch', 'patches')} to {counted(len(files), 'file')}"
    failed = [f for f in found if f.status == "fail"]
    if failed:
        return Claim("applies", f"{what}: {_first(failed)}", f"kemu series check {given}", False)
    remarks = [f for f in found if f.status == "warning"]
    said = f"checkpatch --strict: {_first(remarks) if remarks else 'no remarks'}"
    return Claim("applies", f"{what}, each on those before it; {said}", f"kemu series check {given}", not remarks,
                 {"patches": len(series.patches), "files": len(files), "remarks": len(remarks)})


def builds(series: Series, tree: Tree, given: str, say: Say, jobs: int) -> Claim:
    """The kernel's own checks of what it was built to."""
    found = list(built(series, tree, say, jobs))
    bad = [f for f in found if f.status == "fail" or (f.status == "warning" and not _not_run(f))]
    left = [f.tool for f in found if _not_run(f)]
    said = (_first(bad) if bad else "; ".join(f"{f.tool}: {f.summary}" for f in found if f.status == "success")
            + (f"; not run: {', '.join(left)}" if left else ""))
    return Claim("builds", said, f"kemu series check --build {given}", not bad, {"remarks": len(bad), "not_run": left})


def _not_run(f: Finding) -> bool:
    return f.status == "warning" and f.summary.startswith("not run")


def _first(found: Sequence[Finding]) -> str:
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    f = found[0]
    return f"{f.tool}: {f'{f.patch}: ' if f.patch else ''}{f.summary}{more}"


def reviewed(series: Series, tree: Tree, given: str, seconds: float, seed: int, say: Say,
             files: Iterable[Path] = ()) -> tuple[list[Claim], list[str]]:
    """The kernel's own C with the series against the one without, under sanitizers; and what of the series has not run."""
    command = f"kemu review {given} --rung c" if not _is_path(given) else f"kemu review {given}"
    command += f" --seconds {seconds:g}" + (f" --seed {seed}" if seed else "")
    try:
        pair = session.prepare(tree, series.patches, series.config, say)
    except (BuildError, ConfigError) as e:
        return [Claim("C", str(e), command, False)], ["the C in this process: it does not build there"]
    out = together.review(pair, seconds, seed, files=list(files))
    wrong = [*(f.difference.title for f in out.found), *out.warnings]
    claim = Claim("C", f"the kernel's own C with and without it in one process, under KASAN and UBSAN: "
                       f"{counted(out.trials, 'trial')} with {counted(out.faults, 'failing call')}"
                       f", {counted(len(wrong), 'finding')}{': ' + '; '.join(wrong[:3]) if wrong else ''}",
                  command, not wrong and not out.interrupted,
                  {"trials": out.trials, "faults": out.faults, "findings": len(wrong), "seconds": round(out.seconds, 1)})
    lines = len(pair.blocks.lines)
    ran = lines - out.missed
    cover = Claim("covered", f"{ran} of {counted(lines, 'changed line')} with code of their own ran in those trials", command,
                  None, {"lines": lines, "ran": ran}) if lines else None
    return [claim, *([cover] if cover else [])], [note for note in out.notes]


def _is_path(given: str) -> bool:
    return "/" in given or Path(given).exists()


def booted(series: Series, tree: Tree, given: str, say: Say, jobs: int, images: Sequence[Path],
           told: Callable[[Step], None] = lambda step: None) -> Claim:
    """The kernel with the series, booted: KUnit and the same answers as without."""
    steps = []
    for step in run_steps(series, tree, images=images, say=say, jobs=jobs, examples=500):
        told(step)
        steps.append(step)
    count = Counter(s.status for s in steps)
    bad = [s for s in steps if s.status == "not ok"]
    skipped = [f"{s.name} ({s.why})" for s in steps if s.status == "skip"]
    said = f"booted as User-Mode Linux: {counted(count['ok'], 'step')} ok"
    said += f"; failed: {', '.join(s.name for s in bad)}" if bad else ""
    said += f"; left out: {', '.join(skipped)}" if skipped else ""
    return Claim("booted", said, f"kemu series test {given} --examples 500", not bad,
                 {"ok": count["ok"], "failed": len(bad), "skipped": len(skipped)})
