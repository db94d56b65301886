# SPDX-License-Identifier: GPL-2.0-only
"""The archives that the coverage search of the C rung has kept, on every rung: ``kemu fuzz initramfs.kept --rung py`` (or c, or
linux). A token carries the archive: what the coverage search finds is a run of ``initramfs.kept.c``.
"""
from __future__ import annotations

from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.rung.kept import Kept, begun

from initramfs.harness.differential import by_linux, by_port, disagreement, known

__role__ = "harness"


@experiment("initramfs.kept.{rung}", series="initramfs", rungs=("c", "py", "linux"), run_seconds=60.0, feed=Kept("cpio"))
def kept(run: Run) -> None:
    """What the coverage search has kept ends no kernel, and the port unpacks the same as the kernel's C."""
    from kemu.rung import differential  # noqa: PLC0415  (start-up)
    from kemu.rung.asked import Unanswered, asked, at_hand  # noqa: PLC0415  (start-up)
    from kemu.rung.c.cover.case import CAP  # noqa: PLC0415  (start-up)
    from kemu.rung.uml.errors import RungError  # noqa: PLC0415  (start-up)

    case = begun(run, "cpio")
    if case is None:
        return
    if case.fail_nth and run.rung == "c":
        return
    port = by_port(case.data, CAP, at=case.at, **({"machine": run.machine} if run.rung == "py" else {}))
    run.saw(port.message or "unpacked", port.end, *(e["type"] for e in port.entries))
    rung = run.rung if run.rung != "py" else "c"
    if rung == "c" and at_hand("c") is None:
        if port.splat is not None:              # there is nobody to be compared with, but the detectors have seen it
            raise port.splat
        return
    try:
        kernel = asked(rung).judge()
        linux = by_linux(kernel, case.data, case.at, CAP)
        text = disagreement(port, linux)
        why = known(kernel, case.data, port, linux) if text else ""
    except RungError as e:
        raise Unanswered(e) from None
    run.saw(why)
    if text and not why:
        if port.splat is not None and not linux.end:
            raise port.splat
        if linux.died is not None:
            differential.crashed(run, linux.died, f"kemu: {port}")
        run.fail(text.split("\n")[0], *text.split("\n"), *(f"{asked(rung).who} said: {line}" for line in linux.detail[-3:]),
                 cause=f"{port.message} / {linux.message}")
