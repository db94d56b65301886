# SPDX-License-Identifier: GPL-2.0-only
"""Findings of a mount from memory, tried in other kernels: what they are asked, and what is said of it."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kemu.explore.finding import Finding
from kemu.machine.given import GivenImage, GivenMount
from kemu.machine.series import Series
from kemu.report.manifest import Entry, entry
from kemu.rung.protocol import Answer
from kemu.rung.uml.errors import RungError
from kemu.rung.uml.sched.confirm import NotThere
from kemu.rung.uml.tree import Tree
from kemu.series.backend import Backend
from kemu.series.backend.tried import IN_C, MAPPED, VIRTUAL, by_region, page_of, rests_on, side_of

ROOT = entry("/", type="dir", mode=0o755, uid=0, gid=0, size=40, nlink=2, xattrs={})
FILE = entry("/a", type="file", mode=0o644, uid=0, gid=0, size=1, nlink=1, xattrs={}, sha256="12")


def answered(entries: Sequence[Entry] = (), **fields: Any) -> Answer:
    a = Answer(**fields)
    a.__dict__["entries"] = list(entries)
    return a


class Kernel:
    """Answers by a function of how it is asked."""

    def __init__(self, answer: Callable[[dict[str, Any]], Answer]):
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def erofs(self, image: bytes, **how: Any) -> Answer:
        self.asked.append({"image": image, **how})
        return self.answer(how)


def mounted(page_size: int = 4096, memory: str = "vmalloc") -> GivenMount:
    return GivenMount("erofs", "memback-rfc", (GivenImage(b"image", 17, memory),), page_size=page_size)


def found(detector: str, title: str = "wrong", choices: Sequence[str] = (), report: Sequence[str] = ()) -> Finding:
    return Finding("t", title, detector, "high", "", "", list(report), "c", choices=list(choices))


def tried(f: Finding, answer: Callable[[dict[str, Any]], Answer], given: GivenMount | None = None,
          ) -> tuple[dict[str, Any], Kernel, list[tuple[str, str]]]:
    kernel, made = Kernel(answer), list[tuple[str, str]]()

    def judge_of(rung: str, flavour: str) -> Any:
        made.append((rung, flavour))
        return kernel

    return by_region(f, given or mounted(), judge_of), kernel, made


def test_the_same_place_by_both_ways() -> None:
    said, kernel, made = tried(found("difference"), lambda how: answered([ROOT, FILE] if how["backend"] == "disk" else [ROOT]))
    assert said["c"] is said["linux"] is True and "/a: names" in said["why"] and said["why"].count("instead of") == 2
    assert made == [("c", IN_C), ("linux", "fast")]
    assert [k["backend"] for k in kernel.asked] == ["disk", "region"] * 2
    assert {(k["image"], k["at"], k["memory"]) for k in kernel.asked} == {(b"image", 17, "vmalloc")}


def test_nothing_of_the_kind() -> None:
    said, _, _ = tried(found("difference"), lambda how: answered([ROOT, FILE]))
    assert said["c"] is said["linux"] is False
    assert said["why"].startswith("not reproduced on c (asan): by a block device")
    assert "not reproduced on linux (fast)" in said["why"]


def test_a_report_is_looked_for_in_a_slab_object_too() -> None:
    def answer(how: dict[str, Any]) -> Answer:
        bad = how["backend"] == "region" and how["memory"] == "slab"
        return answered(crash="splat", message="BUG: KASAN: slab-out-of-bounds in f") if bad else answered([ROOT])

    said, _, made = tried(found("KASAN"), answer)
    assert said["c"] is False and said["linux"] is True and made[1] == ("linux", "kasan")
    assert "linux (kasan), in slab memory: BUG: KASAN: slab-out-of-bounds in f" in said["why"]


def test_what_is_left_behind_is_looked_for_by_a_wrong_option() -> None:
    failed: list[bool] = []

    def answer(how: dict[str, Any]) -> Answer:
        if how["backend"] == "region":
            failed.append(how["options"] == "nonsense")
            return answered(mount_error="EINVAL")
        return answered([ROOT]) if not failed else answered(crash="splat", message="BUG: KASAN: use-after-free in g")

    said, kernel, _ = tried(found("state", choices=["call 3 fails"]), answer)
    assert said["c"] is True and all(failed) and "a block device: BUG: KASAN: use-after-free in g" in said["why"]
    assert [k["memory"] for k in kernel.asked[1:4]] == ["linear", "vmalloc", "linear"], "elsewhere than what was freed"


def test_calls_fail_one_after_the_other() -> None:
    def answer(how: dict[str, Any]) -> Answer:
        if how["fail_nth"] == 5:
            return answered(crash="panic", message="BUG: f")
        return answered([ROOT], fired=bool(how["fail_nth"]) or None)

    said, _, made = tried(found("BUG", choices=["call 3 fails"]), answer)
    assert said["c"] is True and "with failing call 5: BUG: f" in said["why"] and made[1] == ("linux", "debug")


def test_contents_only_show_what_nobody_has_written() -> None:
    said, _, _ = tried(found("KMSAN"), lambda how: answered([ROOT], mount_error=None if how["backend"] == "disk" else "EIO"))
    assert said["c"] is said["linux"] is False and "no KMSAN" in said["why"]


def test_a_kernel_that_cannot_be_had() -> None:
    def judge_of(rung: str, flavour: str) -> Any:
        raise RungError(f"no {rung}\nand more")

    said = by_region(found("difference"), mounted(), judge_of)
    assert said == {"c": None, "linux": None, "why": "c (asan): no c; linux (fast): no linux"}


def test_other_pages() -> None:
    with pytest.raises(NotThere, match="pages of 16384 bytes"):
        tried(found("difference"), lambda how: answered(), mounted(16384))


def test_the_configuration_is_named() -> None:
    f = found("BUG", "BUG: virt_to_page() of an address that is not in the direct map")
    rests_on(f)
    rests_on(f)
    assert f.config == [VIRTUAL]
    f = found("KASAN", report=["The address is beside a window: its neighbour is not mapped there"])
    rests_on(f)
    assert not f.config
    rests_on(f, shown=False)
    assert f.config == [MAPPED]


def test_the_page_of_a_port() -> None:
    page = page_of(mounted())
    assert page is not None and "erofs_memback_set_pending" in page.text()
    assert page_of(GivenMount("erofs", "bdev", ())) is None and page_of(GivenMount("erofs", "nothing", ())) is None


def test_the_c_of_two_is_not_made(tmp_path: Any) -> None:
    with pytest.raises(NotThere, match="several series"):
        side_of([Series("a", ("x",)), Series("b", ("x",))], Backend("b.c"), Tree(tmp_path))
