# SPDX-License-Identifier: GPL-2.0-only
"""``kemu review --confirm``: a finding of a module's own series, whose C is built into the kernel and hunted."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from kemu.cli import main
from kemu.rung.uml.sched import asked
from tests.sched.conftest import Ask
from tests.sched.port_findings import FINDINGS

MODULE = '''
"""PID 1 does not wait for the root any more."""
from dataclasses import replace
from pathlib import Path

from initramfs import main
from initramfs.harness.designs import find
from initramfs.harness.experiments_cpio import EVERYTHING
from initramfs.harness.observed import boot
from kemu.explore.experiment import experiment
from kemu.machine.series import Series

series = Series("nobody-waits", ("initramfs",), c=str(Path(__file__).parent / "c"))
series.edits(main.kernel_init_freeable, ("    wait_for_initramfs()\\n", ""))


@experiment("mine.whole-tree", series="mine", on_linux=("sched.boot",))
def whole_tree(run):
    """PID 1 finds the whole tree."""
    seen = boot(replace(find("upstream"), series=(series,)), EVERYTHING, run=run, schedule=True)
    if not any(e["path"] == "/n" for e in seen.tree):
        run.fail("PID 1 does not find /n")
'''


def test_a_finding_that_rests_on_a_schedule_is_tried_with_the_series_c(ask: Ask, tmp_path: Path,
                                                                       capsys: pytest.CaptureFixture[str]) -> None:
    ask()
    race = next(r for r in FINDINGS if r.name == "nobody-waits")
    (tmp_path / "c").mkdir()
    for i, patch in enumerate(race.patches(), 1):
        (tmp_path / "c" / f"{i:04}.patch").write_bytes(patch.data)
    module = tmp_path / "nobody_waits.py"
    module.write_text(MODULE)
    assert main(["review", str(module), "--seconds", "3", "--workers", "1", "--fresh", "--json", "--confirm"]) == 1
    said = json.loads(capsys.readouterr().out)
    (finding,) = [f for f in said["findings"] if f["title"] == "PID 1 does not find /n"]
    assert finding["confirmed"]["linux"] is True, finding["confirmed"]["why"]
    why = finding["confirmed"]["why"]
    assert why.startswith("sched.boot (sched, with c) ")
    assert "the boot depends on who runs" in why
    assert " stops in " in why and " at init/initramfs.c:" in why
    assert asked.asked_sched().recipe == ("sched", (), (), "plain")
    token = why.split(") ", 1)[1].partition(":")[0]
    assert main(["replay", token, "--series", str(tmp_path / "c")]) == 1
    assert "the boot depends on who runs" in capsys.readouterr().out
    assert main(["replay", token]) == 0             # Linux as it is
    assert "nothing is wrong on this run" in capsys.readouterr().out
