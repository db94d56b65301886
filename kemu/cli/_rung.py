# SPDX-License-Identifier: GPL-2.0-only
"""Where examples run: what a rung needs before the first one, and what remains to be ended after the last."""
from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from kemu.cli import _series
from kemu.cli._stdio import complain
from kemu.cli.common import EXIT_USAGE, CommandError
from kemu.explore.experiment import Experiment
from kemu.explore.run import RungLost

if TYPE_CHECKING:                   # start-up
    from kemu.rung.uml.make import Say
    from kemu.series.whole import Whole

RUNGS = ("py", "c", "linux", "sched")
FLAVOURS = ("plain", "asan", "ubsan")
SCHED = ("sched", "sched-kasan", "sched-race")


def add_flavour_argument(parser: argparse.ArgumentParser) -> None:
    """How the C rung's kernel is compiled."""
    parser.add_argument("--flavour", choices=(*FLAVOURS, *SCHED), default=None,
                        help="what the kernel's C is compiled with: on the C rung plain, asan or ubsan (default: $KEMU_FLAVOUR, "
                             "else plain), on the rung sched sched, sched-kasan or sched-race")


def flavour_of(given: str | None, rung: str, found_with: str = "") -> str:
    """The flavour of a rung's kernel: as ``given``, else as a finding was found, else $KEMU_FLAVOUR."""
    if given and given not in {"c": FLAVOURS, "sched": SCHED}.get(rung, ()):
        raise CommandError(f"--flavour {given} is for --rung {'sched' if given in SCHED else 'c'}", EXIT_USAGE)
    if rung == "sched":
        return given or (found_with if found_with in SCHED else SCHED[0])
    if rung != "c":
        return ""
    flavour = given or found_with or os.environ.get("KEMU_FLAVOUR") or FLAVOURS[0]
    if flavour not in FLAVOURS:
        raise CommandError(f"KEMU_FLAVOUR={flavour}: there are {', '.join(FLAVOURS)}", EXIT_USAGE)
    return flavour


def rung_of(experiment: Experiment) -> str:
    """The rung on which a token of this experiment is replayed."""
    return "py" if "py" in experiment.rungs else experiment.rungs[0]


class Kernels(Protocol):
    """The kernels of a rung."""

    flavour: str
    recipe: Any

    def prepare(self, say: Say = ...) -> None:
        """Build the kernel if that has not been done."""

    def close(self) -> None:
        """End the kernels of this process."""


@contextmanager
def with_series(rung: str, stack: Sequence[Whole], beside: bool = False) -> Iterator[dict[str, Any]]:
    """The options for a search or a replay with these series: the port's on the rung py, else what is built into the rung's
    kernel meanwhile; the port that is compared with that has the Python halves, where there are any. ``beside``: the C that the
    port is compared with has them, too.
    """
    if not stack:
        yield {}
        return
    how: dict[str, Any] = {"given": tuple(w.given for w in stack)}
    if rung == "py":
        how["series"] = tuple(_series.python_of(stack))
        if not beside or any(w.c is None for w in stack):
            yield how
            return
    elif rung != "sched" and any(w.python is not None for w in stack):
        how["series"] = tuple(_series.python_of([w for w in stack if w.python is not None]))
    from kemu.rung.asked import asked  # start-up
    from kemu.rung.uml.sched.asked import asked_sched  # start-up

    kernels: Kernels = asked_sched() if rung == "sched" else asked(rung if rung != "py" else "c")
    before = kernels.recipe
    try:
        kernels.recipe = before[0], *_series.c_of(stack)
        yield how
    finally:
        kernels.recipe = before


@contextmanager
def on_rung(rung: str, quiet: bool, flavour: str = "", beside: bool = False) -> Iterator[dict[str, Any]]:
    """The options for a search or a replay on this rung. Builds the kernel of the Linux or the C rung if need be; ends it
    afterwards. ``beside``: with the py rung, too, the kernel's C is wanted for comparison; where there is none, that is said.
    """
    if rung == "py" and not beside:
        yield {"rung": rung}
        return
    from kemu.cli.linux import failures  # start-up
    from kemu.rung.asked import asked  # start-up
    from kemu.rung.uml.build import progress  # start-up
    from kemu.rung.uml.errors import RungError  # start-up
    from kemu.rung.uml.sched.asked import asked_sched  # start-up

    kernels: Kernels = asked_sched() if rung == "sched" else asked(rung if rung != "py" else "c")
    before, kernels.flavour = kernels.flavour, flavour or FLAVOURS[0]

    def build() -> int:
        kernels.prepare(progress() if not quiet else lambda text: None)
        return 0

    try:
        if rung == "py":
            try:
                build()
            except RungError as e:
                complain(f"kemu: the port is not compared with the kernel's C: {e}")
            yield {"rung": rung}
            return
        failures(f"--rung {rung}" if rung != "linux" else rung, build)
        how = {"flavour": flavour} if flavour not in ("", FLAVOURS[0], SCHED[0]) else {}
        yield {"rung": rung, "detect": False, **how}    # what is compared is what both kernels answer; detectors have the py rung
    except RungLost as e:
        raise CommandError(f"{rung}: {e}", e.exit_code) from None
    finally:
        kernels.close()
        kernels.flavour = before
