# SPDX-License-Identifier: GPL-2.0-only
"""What counts as a difference between two kernels, and what a finding about it says."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.run import Run, execute
from kemu.explore.source import SeedSource
from kemu.report import manifest
from kemu.report.splat_report import lines
from kemu.rung import asked
from kemu.rung.differential import HANG, Seen, difference, judge, same_end, seen
from kemu.rung.protocol import Answer, Judge
from kemu.rung.uml.make import Say, nothing

OOPS = Answer(crash="splat", message="KASAN: slab-out-of-bounds: read of 4, 0 bytes behind a 16-byte object of kmalloc",
              console="KASAN: ...\n  erofs_iget at fs/erofs/inode.c:300\n  erofs_lookup at fs/erofs/namei.c:20",
              function="erofs_iget", place="fs/erofs/inode.c:300")


class NoKernel(asked.Asked):
    """Is asked nothing."""

    who = "C"

    def prepare(self, say: Say = nothing) -> None:
        raise AssertionError("nobody is asked")

    def start(self, zeroed: bool) -> Judge:
        raise AssertionError("nobody is asked")


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(asked, "_rungs", {"c": NoKernel()})
    yield


def found(linux: Seen, here: Seen) -> Finding | None:
    """The finding of an example in which the kernels said this."""
    def compare(run: Run) -> None:
        """They agree."""
        judge(run, linux, here, "kemu")

    return execute(Experiment("t.compare.c", "t", compare, rungs=("c",)), SeedSource(0), rung="c", detect=False,
                   flavour="asan").finding


def test_what_counts_as_a_difference() -> None:
    e = manifest.entry("/", type="dir", mode=0o755)
    f = manifest.entry("/f", type="file", sha256="0" * 64)
    same = Seen(None, [e, f], ["erofs (device kemu0): a", "erofs (device kemu0): b", "init: c"])
    assert difference(same, Seen(None, [f, e], ["erofs (device 0:1): b", "erofs (device 0:1): a"]), "kemu") is None
    for other, cause in (
            (Seen("EIO"), "mount None / EIO"),
            (Seen(None, [e]), "names: has it / has not"),
            (Seen(None, [e, {**f, "sha256": "1" * 64}]), "sha256"),
            (Seen(None, [e, {**f, "sha256": None, "error": "EIO"}]), "error: None / EIO"),
            (Seen(None, [e, f], ["erofs (device ram0): a"]), "log: erofs: b / nothing more"),
            (Seen(None, [e, f], same.log, "BUG: KASAN: slab-use-after-free in f"),
             "splat: None / BUG: KASAN: slab-use-after-free in f"),
    ):
        found = difference(same, other, "kemu")
        assert found is not None and found[1] == cause, found


def test_a_sanitizer_says_it_in_other_words() -> None:
    assert same_end("KASAN: slab-out-of-bounds: read of 1", "BUG: KASAN: slab-out-of-bounds in f")
    assert not same_end("KASAN: slab-out-of-bounds: read of 1", "BUG: KASAN: slab-use-after-free in f")
    assert not same_end("KASAN: slab-out-of-bounds: read of 1", None)
    assert same_end(HANG, HANG) and same_end(None, None) and not same_end(HANG, None)


def test_the_end_of_the_kernels_c_is_a_finding_with_its_place() -> None:
    f = found(seen(OOPS), Seen(None))
    assert f is not None
    assert f.title == OOPS.message and f.c_location == "fs/erofs/inode.c:300 erofs_iget" and f.function == "erofs_iget"
    assert (f.detector, f.severity) == ("KASAN", "critical")
    assert "  erofs_lookup at fs/erofs/namei.c:20" in f.report and f.report[-1] == "kemu: no splat"
    assert lines(f)[-2:] == ["in C: fs/erofs/inode.c:300 erofs_iget", f"kemu replay {f.token} {f.module} --flavour asan"]
    other = seen(Answer(crash="splat", message=(OOPS.message or "").replace("4", "8"), console="", function="erofs_iget",
                        place="fs/erofs/inode.c:301"))
    again = found(other, Seen(None))
    assert again is not None and again.cause == f.cause, "numbers are no cause"


def test_the_same_end_of_both_is_no_difference() -> None:
    assert found(seen(OOPS), Seen(None, splat="BUG: KASAN: slab-out-of-bounds in erofs_iget")) is None


def test_what_the_port_alone_does_is_a_difference() -> None:
    f = found(Seen(None), Seen("EUCLEAN"))
    assert f is not None and f.title == "mount: C works, kemu EUCLEAN"
    f = found(Seen(None), Seen(None, splat="BUG: KASAN: slab-out-of-bounds in f"))
    assert f is not None and f.title.startswith("C: no splat, kemu: BUG: KASAN")
