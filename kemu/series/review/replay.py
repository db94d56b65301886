# SPDX-License-Identifier: GPL-2.0-only
"""A difference as a token: the patches and the trials are its choices, so that it is seen again wherever it is replayed."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from errno import EIO

from kemu.explore.experiment import experiment, installed, known_bad, registry
from kemu.explore.finding import Finding
from kemu.explore.run import Outcome, Run, execute
from kemu.explore.source import ListSource
from kemu.forge.pick import Pick
from kemu.rung import asked as rungs
from kemu.rung import kept
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.series import Finding as Remark
from kemu.rung.uml.tree import find_tree
from kemu.series.backend.tried import rests_on
from kemu.series.review import static
from kemu.series.review.found import details_of, detector_of, place_of, severity_of
from kemu.series.review.search import Found
from kemu.series.review.session import Pair, prepare
from kemu.series.review.together import contained
from kemu.series.review.trial import Trial
from kemu.series.review.words import bytes_of, put

NAME = "series.against-base"
_PATCHES, _TEXT, _TRIALS = 1 << 10, 1 << 22, 1 << 10
_HOW = 4 * 4095 + 3                    # two bits, and an errno; none is EIO


@dataclass(frozen=True)
class Asked:
    """What a token holds."""

    patches: tuple[Patch, ...]
    config: tuple[str, ...]
    trials: tuple[Trial, ...]
    below: tuple[Patch, ...] = ()


def drawn(pick: Pick) -> Asked:
    """What is asked; the simplest is nothing."""
    patches = tuple(Patch(f"patch {i + 1}", f"patch {i + 1}", bytes_of(pick, "patch", _TEXT))
                    for i in range(pick.int("patches", 0, _PATCHES)))
    config = tuple(bytes_of(pick, "configuration", _TEXT).decode("utf-8", "replace").split("\n"))
    trials = []
    for _ in range(pick.int("trials", 0, _TRIALS)):
        look, nth = bool(pick.int("look", 0, 1)), pick.int("which call fails", 0, 1 << 20)
        call = bytes_of(pick, "call", 256).decode("utf-8", "replace")
        how, region = pick.int("grace periods, whose call fails, with what", 0, _HOW), bool(pick.int("region", 0, 1))
        trials.append(Trial(kept.drawn(pick), look, call, nth, how >> 2 or EIO, bool(how & 1), region, bool(how & 2)))
    below = tuple(Patch(f"below {i + 1}", f"below {i + 1}", bytes_of(pick, "patch", _TEXT))
                  for i in range(pick.int("patches below", 0, _PATCHES)))
    return Asked(patches, tuple(c for c in config if c), tuple(trials), below)


def offsets_of(asked: Asked) -> list[int]:
    """The choices that are drawn so."""
    out = [len(asked.patches)]
    for patch in asked.patches:
        put(out, patch.data)
    put(out, "\n".join(asked.config).encode())
    out.append(len(asked.trials))
    for trial in asked.trials:
        out += [int(trial.look), trial.nth]
        put(out, trial.call.encode())
        error = 0 if trial.error == EIO else trial.error
        out += [int(trial.soon) | int(trial.apart) << 1 | error << 2, int(trial.region)]
        out += kept.offsets_of(trial.case)
    out.append(len(asked.below))
    for patch in asked.below:
        put(out, patch.data)
    return out


@experiment(NAME, series="series", rungs=("c",), run_seconds=600.0)
def against_base(run: Run) -> None:
    """A series shows what its base shows, in these trials."""
    asked = drawn(run.pick)
    _, given, extra, _ = rungs.asked("c").recipe       # with --series
    patches, config = (given, extra) if given else (asked.patches, asked.config)
    if not patches or not asked.trials:
        return
    pair = prepare(find_tree(None), patches, config, below=() if given else asked.below)
    for trial in asked.trials[:-1]:
        run.show(f"after {trial}")
    run.show(str(asked.trials[-1]), *kept.shown(asked.trials[-1].case)[1:])
    run.files = kept.files_of(asked.trials[-1].case)
    run.failing += [text for trial in asked.trials[-1:] for text in trial.failing]
    difference = contained(pair, asked.trials)
    if difference is None:
        return
    found = Found(difference, list(asked.trials))
    run.fail(difference.title, *details_of(found), cause=difference.key(), severity=severity_of(difference),
             detector=detector_of(difference), c=place_of(found, pair.changed, pair.blocks))


known_bad("series", "it needs a series and trials: kemu review")
installed.add(NAME)


def _of_nothing(patches: Sequence[Patch], config: Sequence[str], below: Sequence[Patch]) -> str:
    offsets = offsets_of(Asked(tuple(patches), tuple(config), (), tuple(below)))
    return execute(registry[NAME], ListSource(offsets), rung="c", detect=False).token


def said(remark: Remark, pair: Pair, patches: Sequence[Patch], config: Sequence[str], below: Sequence[Patch] = ()) -> Finding:
    """What a tool says of the series."""
    path, number = static.place_of(remark)
    function = pair.changed.holding(path, number)
    place = f"{path}:{number} {function}".strip() if path else ""
    out = Finding(NAME, remark.summary, remark.tool, "high" if remark.status == "fail" else "low", function, place,
                  [remark.summary, *remark.details.splitlines()], f"{remark.tool}: {remark.summary}",
                  token=_of_nothing(patches, config, below), headlines=["no kernel is run"], rung="source")
    out.confirmed = {"c": None, "linux": None, "why": f"{remark.tool} says it of the source"}
    return out


def byte_order(line: str, pair: Pair, patches: Sequence[Patch], config: Sequence[str],
               below: Sequence[Patch] = ()) -> Finding:
    """What sparse says of the types of the series."""
    place, _, what = line.partition(": ")
    path, _, number = place.rpartition(":")
    function = pair.changed.holding(path, int(number)) if number.isdigit() else ""
    token = _of_nothing(patches, config, below)
    return Finding(NAME, f"a value of the disk's byte order is used as a number: {what}", "sparse", "high", function,
                   f"{place} {function}".strip(), [f"{place}: {what}"], f"byte order: {place}", token=token,
                   headlines=["any machine whose byte order is another"], rung="source")


def finding_of(found: Found, patches: Sequence[Patch], config: Sequence[str], below: Sequence[Patch] = ()) -> Finding:
    """A finding whose token shows it again."""
    offsets = offsets_of(Asked(tuple(patches), tuple(config), tuple(found.trials), tuple(below)))
    out: Outcome = execute(registry[NAME], ListSource(offsets), rung="c", detect=False)
    if out.finding is None:                            # not again: as it was seen
        d = found.difference
        out.finding = Finding(NAME, d.title, detector_of(d), severity_of(d), d.function, d.place, details_of(found), d.key(),
                              token=out.token, input=[str(t) for t in found.trials], headlines=[str(found.trials[-1])])
    out.finding.offsets = out.offsets
    if found.difference.kind in ("errno", "tree", "facts", "look", "log"):     # one line that answers wrongly has many answers
        out.finding.cause = f"answers by {out.finding.c_location}"
    out.finding.module = ""
    rests_on(out.finding)
    out.finding.confirmed = {"c": True, "linux": None, "why": "not tried on another rung"}
    return out.finding
