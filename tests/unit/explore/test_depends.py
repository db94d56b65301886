# SPDX-License-Identifier: GPL-2.0-only
"""A finding says the CONFIG values that it depends on."""
from __future__ import annotations

from kemu.explore.depends import depends_on
from kemu.explore.experiment import Experiment
from kemu.explore.run import Run, execute
from kemu.explore.source import ListSource
from kemu.linux.kconfig import IS_ENABLED, config_value
from kemu.machine.machine import Machine


def _finding(fn):
    exp = Experiment("depends", "tests", fn)
    out = execute(exp, ListSource([]))
    out.finding.offsets = []
    return out, exp


def test_only_what_changes_the_outcome_is_said():
    def fn(run: Run) -> None:
        with run.machine(config={"CONFIG_A": True}):
            assert config_value("CONFIG_NUMBER", 16) == 16
            if IS_ENABLED("CONFIG_A") and not IS_ENABLED("CONFIG_B"):
                IS_ENABLED("CONFIG_C")
                run.fail("it is so", cause="so")

    out, exp = _finding(fn)
    assert out.asked == {"CONFIG_NUMBER": 16, "CONFIG_A": True, "CONFIG_B": False, "CONFIG_C": False}
    assert depends_on(out.finding, exp) == ["CONFIG_A=y", "CONFIG_B=n"]
    assert depends_on(out.finding, exp, rung="linux") == []


def test_the_machine_that_it_is_compared_with_counts():
    def fn(run: Run) -> None:
        with run.machine() as m:
            m.idle()
        with Machine(config={"CONFIG_BUFFER_HEAD": False}):
            if not IS_ENABLED("CONFIG_BUFFER_HEAD"):
                run.fail("differs from the disk", cause="differs")

    out, exp = _finding(fn)
    assert depends_on(out.finding, exp) == ["CONFIG_BUFFER_HEAD=n"]


def test_the_report_and_the_object_have_it():
    from kemu.report.splat_report import lines

    def fn(run: Run) -> None:
        with run.machine():
            if not IS_ENABLED("CONFIG_B"):
                run.fail("it is so", cause="so")

    out, exp = _finding(fn)
    out.finding.config = depends_on(out.finding, exp)
    text = lines(out.finding)
    at = text.index("configuration that it depends on:")
    assert text[at + 1] == "  CONFIG_B=n" and out.finding.as_json()["config"] == ["CONFIG_B=n"]
