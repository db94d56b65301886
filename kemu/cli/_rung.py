# SPDX-License-Identifier: GPL-2.0-only
"""Where examples run: what a rung needs before the first one, and what remains to be ended after the last."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kemu.cli.common import CommandError
from kemu.explore.experiment import Experiment
from kemu.explore.run import RungLost


def rung_of(experiment: Experiment) -> str:
    """The rung on which a token of this experiment is replayed."""
    return "py" if "py" in experiment.rungs else experiment.rungs[0]


@contextmanager
def on_rung(rung: str, quiet: bool) -> Iterator[dict[str, Any]]:
    """The options for a search or a replay on this rung. Builds the kernel of the Linux rung if need be; ends it afterwards."""
    if rung != "linux":
        yield {"rung": rung}
        return
    from kemu.cli.linux import failures  # start-up
    from kemu.rung.uml import differential  # start-up
    from kemu.rung.uml.build import progress  # start-up

    def build() -> int:
        differential.prepare(progress() if not quiet else lambda text: None)
        return 0

    failures("linux", build)
    try:
        yield {"rung": rung, "detect": False}       # what is compared is what both kernels answer; detectors have the py rung
    except RungLost as e:
        raise CommandError(f"linux: {e}", e.exit_code) from None
    finally:
        differential.close()
