# SPDX-License-Identifier: GPL-2.0-only
"""Which rung, and how its kernel is compiled."""
from __future__ import annotations

import pytest

from kemu.cli import main
from kemu.cli._rung import flavour_of, rung_of, with_series
from kemu.cli.common import EXIT_CONFIG, EXIT_USAGE, CommandError
from kemu.explore import token
from kemu.explore.experiment import load_entry_points, registry
from kemu.rung.uml.sched.asked import asked_sched
from kemu.series.whole import whole

load_entry_points()


def test_the_flavour_is_as_given_else_as_found_else_as_the_environment_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEMU_FLAVOUR", raising=False)
    assert flavour_of(None, "c") == "plain" and flavour_of(None, "py") == ""
    monkeypatch.setenv("KEMU_FLAVOUR", "asan")
    assert flavour_of(None, "c") == "asan" and flavour_of(None, "c", "ubsan") == "ubsan" and flavour_of("plain", "c") == "plain"
    assert flavour_of(None, "linux") == ""
    monkeypatch.setenv("KEMU_FLAVOUR", "fast")
    with pytest.raises(CommandError, match="KEMU_FLAVOUR=fast: there are plain, asan") as e:
        flavour_of(None, "c")
    assert e.value.code == EXIT_USAGE
    with pytest.raises(CommandError, match="--flavour asan is for --rung c"):
        flavour_of("asan", "py")


def test_a_token_is_replayed_where_it_was_found() -> None:
    for name, rung in (("bdev.damaged", "py"), ("bdev.damaged.linux", "linux"), ("bdev.damaged.c", "c"),
                       ("initramfs.packed.c", "c")):
        assert rung_of(registry[name]) == rung
    assert len({token.experiment_id(f"bdev.damaged{x}") for x in ("", ".c", ".linux")}) == 3


@pytest.mark.parametrize("command", [("fuzz", "bdev.damaged", "--rung", "c", "--examples", "1"),
                                     ("review", "erofs-memback", "--rung", "c", "--examples", "1"),
                                     ("replay", token.of_seed("bdev.damaged.c", 1)),
                                     ("replay", token.of_seed("bdev.damaged.linux", 1), "--rung", "c")], ids=" ".join)
def test_without_a_tree_it_is_said_in_one_line(command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KEMU_TREE", "/nowhere")
    assert main(list(command)) == EXIT_CONFIG
    err = capsys.readouterr().err
    assert err == f"kemu: {command[0]}: --rung c: /nowhere: not a kernel tree (no Makefile or arch/um there)\n"


def test_a_series_is_built_into_a_kernel_whose_schedules_are_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    there = token.of_seed("sched.readers", 1)
    assert main(["replay", token.of_seed("bdev.damaged", 1), "--series", "erofs-kunit"]) == EXIT_CONFIG
    assert capsys.readouterr().err.startswith("kemu: replay: --series erofs-kunit: it has C patches only, and the port needs a ")
    assert main(["replay", there, "--series", "no-such-series"]) == EXIT_CONFIG
    assert capsys.readouterr().err.startswith("kemu: replay: --series: no series 'no-such-series': ")
    before = asked_sched().recipe
    with with_series("sched", [whole("erofs-kunit")]) as how:
        assert how == {"given": ("erofs-kunit",)}
        flavour, patches, extra, slot = asked_sched().recipe
        assert (flavour, [p.name for p in patches], list(extra), slot) == (
            before[0], ["0001-erofs-add-KUnit-tests-of-plain-mounts.patch"], ["CONFIG_EROFS_FS_KUNIT_TEST=y"],
            "series-erofs-kunit")
    assert asked_sched().recipe == before


def test_what_is_confirmed_is_the_port_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "erofs", "--rung", "c", "--confirm"]) == EXIT_USAGE
    assert capsys.readouterr().err == "kemu: review: --confirm is for what the port shows (--rung py)\n"


def test_a_rung_that_an_experiment_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", token.of_seed("bdev.two-mounts", 1), "--rung", "c"]) == EXIT_CONFIG
    assert "bdev.two-mounts does not run on the c rung; it runs on: py" in capsys.readouterr().err
    assert main(["fuzz", "bdev.two-mounts", "--rung", "c", "--examples", "1"]) == EXIT_CONFIG
    assert "none of these experiments runs on the c rung" in capsys.readouterr().err
