# SPDX-License-Identifier: GPL-2.0-only
"""What the coverage search of the C rung has kept, on every rung: ``kemu fuzz bdev.kept --rung py`` (or c, or linux).

An input that reaches what no input before it reached in the C is worth being looked at by the port and all its detectors. A token
carries the input: what the coverage search finds is a run of ``bdev.kept.c``.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.placement import Placement
from kemu.rung.kept import Kept, begun, plain

from erofs_memback.harness.differential import BACKENDS, CONFIG, ROOM, Case, without_iomap
from erofs_memback.harness.mount import EROFS

if TYPE_CHECKING:
    from kemu.rung.c.cover.case import Case as KeptCase
    from kemu.rung.differential import Seen

__role__ = "harness"


class Input(Case):
    """A kept input, as the other differential experiments have theirs."""

    def __init__(self, kept: KeptCase):
        super().__init__(kept.data, Placement(kept.at, 4096, kept.memory), kept.options, kept.devices)
        self.kept = kept

    def linux(self, rung: str = "linux", **how: Any) -> Seen:
        """What Linux makes of it, booted or its C in this process."""
        from kemu.rung.c.cover.case import CAP  # noqa: PLC0415  (start-up)

        return super().linux(rung, backend=self.kept.backend, cap=CAP, **how)


@experiment("{backend}.kept.{rung}", variants=BACKENDS, rungs=("c", "py", "linux"), base="erofs", run_seconds=60.0,
            feed=Kept("erofs"))
def kept(run: Run, backend: str) -> None:
    """What the coverage search has kept ends no kernel, and the port makes the same of it as the kernel's C."""
    from kemu.rung import differential  # noqa: PLC0415  (start-up)
    from kemu.rung.asked import at_hand  # noqa: PLC0415  (start-up)
    from kemu.rung.c.cover.case import CAP  # noqa: PLC0415  (start-up)

    case = begun(run, "erofs", "module")
    if case is None:
        return
    if (case.fail_nth and run.rung == "c") or case.kind != "erofs":
        return
    if backend != "bdev" and (case.devices or case.backend == "file"):
        return
    source = "fileio" if case.backend == "file" else backend
    same = Input(plain(case))
    machine = run.machine(memory=ROOM, series=EROFS.backend(source).series(), config=CONFIG)
    here = same.here(machine, source, CAP, reports=run.rung == "py")
    run.saw(f"mount {here.mount_error}", *(f"{e['type']}:{e['error']}" for e in here.entries))
    rung = run.rung if run.rung != "py" else "c"
    if rung == "c" and at_hand("c") is None:
        return                                  # the detectors have seen it
    linux = same.linux(rung)
    without_iomap(backend, linux)
    differential.judge(run, linux, here, "kemu", lambda zeroed: same.linux(rung, afresh=True, zeroed=zeroed),
                       lambda: same.uninitialised(source), rung=rung)

