# SPDX-License-Identifier: GPL-2.0-only
"""What is tried on the booted kernel, and what is said of it; the kernels' searches are made up here."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kemu.explore.experiment import Experiment, load_entry_points, registry
from kemu.explore.finding import NOT_TRIED, Finding
from kemu.explore.run import Run, execute
from kemu.explore.source import ListSource
from kemu.machine.current import this
from kemu.machine.series import Series
from kemu.report import splat_report
from kemu.rung.uml.errors import BuildError
from kemu.rung.uml.sched import confirm as c
from kemu.rung.uml.sched.hunt import Hunt

PATCH = b"""\
--- a/fs/erofs/super.c
+++ b/fs/erofs/super.c
@@ -1 +1,2 @@
 // SPDX-License-Identifier: GPL-2.0-only
+/* a series */
"""


@pytest.fixture
def c_of(tmp_path: Path) -> str:
    """A folder of patches."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "0001.patch").write_bytes(PATCH)
    (folder / "series.toml").write_text('config = ["CONFIG_EROFS_FS_X=y"]\n')
    return str(folder)


class Kernels:
    """In place of searches: which causes each kernel shows. ``asked``: (experiment, flavour, patches, configuration)."""

    def __init__(self, with_c: list[str], without: list[str]):
        self.shows = {True: with_c, False: without}
        self.asked: list[tuple[str, str, int, tuple[str, ...]]] = []

    def hits(self, exp: Experiment, recipe: Any, end: float, say: object = None) -> Iterator[c.Hit]:
        flavour, patches, extra, _ = recipe
        self.asked.append((exp.name, flavour, len(patches), tuple(extra)))
        for cause in self.shows[bool(patches)]:
            yield c.Hit(cause, f"token-of-{cause}", (cause, "task1 stops in f() at a.c:1, while task2 runs", "more"))


def shown(monkeypatch: pytest.MonkeyPatch, series: Series | None, kernels: Kernels, on: tuple[str, ...] = ("test.there",),
          detector: str = "", waits: bool = True) -> Finding:
    """A finding of the port in a series, wrong if the first task begins, confirmed."""
    def early(run: Run) -> None:
        """Wrong unless the second task begins."""
        seen: list[int] = []
        with run.machine(series=[series] if series else []):
            if waits:
                run.chooser.arm_schedule()
            for n in (1, 2):
                this.sched.spawn(f"task{n}", lambda n=n: seen.append(n))         # type: ignore[misc]
            this.sched.run_others()
        if seen[0] == 1:
            run.fail("too early", detector=detector or "difference")

    exp = Experiment("test.port", "test", early, on_linux=on)
    there = Experiment("test.there", "test", early, rungs=("sched",), feed=Hunt(lambda pick: None))      # type: ignore
    other = Experiment("test.other", "test", early, rungs=("sched",))
    for e in (exp, there, other):
        monkeypatch.setitem(registry, e.name, e)
    monkeypatch.setattr(c, "hits", kernels.hits)
    monkeypatch.setattr(c, "tree_is_here", lambda: True)
    f = execute(exp, ListSource([])).finding
    assert f is not None
    assert f.confirmed == {"c": None, "linux": None, "why": NOT_TRIED}
    c.confirm([f], keep=lambda token: token.upper())
    assert f.as_json()["confirmed"] is f.confirmed
    return f


def test_what_linux_shows_with_the_series_and_not_without(monkeypatch: pytest.MonkeyPatch, c_of: str) -> None:
    kernels = Kernels(["a hang"], ["another thing"])
    f = shown(monkeypatch, Series("mine", (), c=c_of), kernels)
    assert f.confirmed == {"c": None, "linux": True, "why": "test.there (sched, with mine) TOKEN-OF-A HANG: a hang; "
                           "task1 stops in f() at a.c:1, while task2 runs; more"}
    assert kernels.asked == [("test.there", "sched", 1, ("CONFIG_EROFS_FS_X=y",)), ("test.there", "sched", 0, ())]
    assert f"confirmed: {f.confirmed['why']}" in splat_report.lines(f)


def test_what_linux_shows_anyway_confirms_nothing(monkeypatch: pytest.MonkeyPatch, c_of: str) -> None:
    f = shown(monkeypatch, Series("mine", (), c=c_of), Kernels(["known"], ["known"]))
    assert f.confirmed["linux"] is False
    assert "that Linux does not show without it" in f.confirmed["why"]
    assert f"not reproduced on Linux: {f.confirmed['why']}" in splat_report.lines(f)


def test_a_search_goes_on_behind_what_linux_shows_anyway(monkeypatch: pytest.MonkeyPatch, c_of: str) -> None:
    f = shown(monkeypatch, Series("mine", (), c=c_of), Kernels(["known", "new"], ["known"]))
    assert f.confirmed["linux"] is True
    assert "TOKEN-OF-NEW" in f.confirmed["why"]


def test_nothing_is_shown(monkeypatch: pytest.MonkeyPatch, c_of: str) -> None:
    kernels = Kernels([], ["known"])
    assert shown(monkeypatch, Series("mine", (), c=c_of), kernels).confirmed["linux"] is False
    assert len(kernels.asked) == 1              # what Linux shows without it is nobody's question then


def test_bad_accesses_are_looked_for_by_kasan(monkeypatch: pytest.MonkeyPatch, c_of: str) -> None:
    kernels = Kernels(["bad"], [])
    assert shown(monkeypatch, Series("mine", (), c=c_of), kernels, detector="KASAN").confirmed["linux"] is True
    assert {flavour for _, flavour, _, _ in kernels.asked} == {"sched-kasan"}


def test_findings_of_one_kind_are_tried_once(monkeypatch: pytest.MonkeyPatch, c_of: str) -> None:
    kernels = Kernels(["bad"], [])
    f = shown(monkeypatch, Series("mine", (), c=c_of), kernels)
    asked = len(kernels.asked)
    c.confirm([f, f])
    assert len(kernels.asked) == 2 * asked


def test_why_nothing_is_tried(monkeypatch: pytest.MonkeyPatch, c_of: str, tmp_path: Path) -> None:
    kernels = Kernels(["bad"], [])
    mine = Series("mine", (), c=c_of)
    for f, why in ((shown(monkeypatch, None, kernels), "the port of the tree as it is"),
                   (shown(monkeypatch, Series("no-such-series", ()), kernels), "the series no-such-series has no C side"),
                   (shown(monkeypatch, Series("gone", (), c=str(tmp_path / "gone")), kernels), "the series gone has no C side: "),
                   (shown(monkeypatch, mine, kernels, on=()), "no experiment of chosen schedules is named for test.port"),
                   (shown(monkeypatch, mine, kernels, on=("test.other",)), "test.port names test.other, which is no"),
                   (shown(monkeypatch, mine, kernels, waits=False), "does not rest on a schedule")):
        assert f.confirmed["linux"] is None
        assert why in f.confirmed["why"]
    assert not kernels.asked


def test_no_kernel_can_be_had(monkeypatch: pytest.MonkeyPatch, c_of: str) -> None:
    def broken(*args: object) -> Iterator[c.Hit]:
        raise BuildError("make vmlinux failed\nmany lines")

    kernels = Kernels([], [])
    monkeypatch.setattr(kernels, "hits", broken)
    f = shown(monkeypatch, Series("mine", (), c=c_of), kernels)
    assert f.confirmed == {"c": None, "linux": None, "why": "no kernel with mine: make vmlinux failed"}
    monkeypatch.setattr(c, "tree_is_here", lambda: False)
    c.confirm([f])
    assert f.confirmed["why"] == "no kernel tree on this machine: kemu linux fetch"


def test_a_series_of_patches_has_its_c_by_its_name() -> None:
    assert [p.name for p in c._c_of(Series("erofs-kunit", ())).patches] == ["0001-erofs-add-KUnit-tests-of-plain-mounts.patch"]


def test_the_experiments_that_are_named_are_there() -> None:
    load_entry_points()
    naming = [e for e in registry.values() if e.on_linux]
    assert {"memback.two-mounts", "memback-rfc.two-mounts", "bdev.late-bios", "file.same-bytes",
            "initramfs.schedules"} <= {e.name for e in naming}
    for e in naming:
        assert all("sched" in there.rungs for there in c.experiments_for(e)), e.name
