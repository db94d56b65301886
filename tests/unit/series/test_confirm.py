# SPDX-License-Identifier: GPL-2.0-only
"""Findings of the port that other kernels are asked about."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from kemu.explore.experiment import Experiment, experiment, registry
from kemu.explore.finding import Finding
from kemu.explore.run import Expected, Run
from kemu.machine.given import Given, GivenBoot, GivenImage, GivenMount
from kemu.report.manifest import Entry, entry
from kemu.rung.protocol import Answer
from kemu.rung.uml.errors import RungError
from kemu.series import confirm as confirming
from kemu.series.confirm import Rungs, by_input, confirm, shows

IMAGE = GivenImage(b"image", 17, "vmalloc")
ROOT = entry("/", type="dir", mode=0o755, uid=0, gid=0, size=40, nlink=2, xattrs={})


class Told:
    """A kernel that gives one answer, and remembers what it was asked."""

    def __init__(self, answer: Answer):
        self.answer = answer
        self.asked: list[tuple[str, object, dict[str, Any]]] = []

    def erofs(self, image: object, **how: Any) -> Answer:
        self.asked.append(("erofs", image, how))
        return self.answer

    def cpio(self, archive: object, **how: Any) -> Answer:
        self.asked.append(("cpio", archive, how))
        return self.answer


class Fakes(Rungs):
    """Rungs with such kernels."""

    def __init__(self, c: Told | RungError, linux: Told | RungError):
        super().__init__()
        self.made: list[tuple[str, str]] = []
        self.kernels = {"c": c, "linux": linux}

    def judge(self, rung: str, flavour: str, side: Sequence[object]) -> Any:
        self.made.append((rung, flavour))
        kernel = self.kernels[rung]
        if isinstance(kernel, RungError):
            raise kernel
        return kernel


def answered(entries: Sequence[Entry], **fields: Any) -> Answer:
    a = Answer(**fields)
    a.__dict__["entries"] = list(entries)
    return a


@pytest.fixture(autouse=True)
def tree(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(confirming, "tree_is_here", lambda: True)
    yield
    registry.pop("t.confirm", None)


def of(given: list[Given], expected: Expected | None = None, choices: Sequence[str] = (), detector: str = "difference",
       ) -> tuple[Finding, Experiment]:
    """A finding of an experiment that mounts these."""
    def run(run: Run) -> None:
        with run.machine() as m:
            m.given += given
        run.expected = expected
        run.fail("wrong")

    registry.pop("t.confirm", None)
    experiment("t.confirm", series="t")(run)
    f = Finding("t.confirm", "wrong", detector, "high", "", "", ["wrong"], "c", choices=list(choices))
    return f, registry["t.confirm"]


def test_the_same_on_both() -> None:
    f, exp = of([GivenMount("erofs", "bdev", (IMAGE, GivenImage(b"extra")), "noacl")], Expected("", [ROOT]))
    c = Told(answered([ROOT | {"mode": 0o700}]))
    rungs = Fakes(c, Told(answered([ROOT | {"mode": 0o700}])))
    assert by_input(f, exp, rungs) == {"c": True, "linux": True,
                                       "why": "c (asan): /: mode: 448 instead of 493; linux (fast): the same"}
    assert c.asked == [("erofs", b"image", {"at": 17, "options": "noacl", "devices": [b"extra"], "backend": "disk",
                                            "memory": "vmalloc", "cap": confirming.CAP})]


def test_a_report_is_looked_for_in_a_kernel_that_gives_some() -> None:
    f, exp = of([GivenMount("erofs", "fileio", (IMAGE,))], detector="KASAN")
    rungs = Fakes(Told(answered([], crash="splat", message="KASAN: heap", function="z_erofs_x", place="fs/erofs/zdata.c:8")),
                  Told(answered([ROOT])))
    assert by_input(f, exp, rungs) == {
        "c": True, "linux": False,
        "why": "c (asan): KASAN: heap, z_erofs_x at fs/erofs/zdata.c:8; linux (kasan): nothing of the kind"}
    assert rungs.made == [("c", "asan"), ("linux", "kasan")]


def test_a_kernel_that_cannot_be_built_says_so() -> None:
    f, exp = of([GivenBoot(GivenImage(b"0707", 5), None)], Expected("junk", []))
    linux = Told(answered([], message="junk"))
    assert by_input(f, exp, Fakes(RungError("no gcc\nmore"), linux)) == {
        "c": None, "linux": False, "why": "c (asan): no gcc; linux (fast): nothing of the kind"}
    assert linux.asked[0][:2] == ("cpio", b"0707") and linux.asked[0][2]["at"] == 5


@pytest.mark.parametrize(("given", "choices", "why"), [
    ([], (), "mounts and boots nothing"),
    ([GivenMount("erofs", "bdev", (IMAGE,))], ("the 3rd kmalloc() fails",), "another number"),
    ([GivenMount("erofs", "memback", (IMAGE,))], (), "the back end memback"),
    ([GivenMount("erofs", "bdev", (IMAGE,), page_size=65536)], (), "pages of 65536"),
    ([GivenBoot(None, None)], (), "without an initrd"),
    ([GivenBoot(IMAGE, None, "", ("layered",))], (), "a boot of layered")])
def test_what_cannot_be_asked_says_why(given: list[Given], choices: Sequence[str], why: str) -> None:
    f, exp = of(given, choices=choices)
    told = by_input(f, exp, Fakes(RungError("not asked"), RungError("not asked")))
    assert (told["c"], told["linux"]) == (None, None) and why in told["why"]


@pytest.mark.parametrize(("answer", "expected", "said"), [
    (answered([ROOT]), Expected("", [ROOT]), ""),
    (answered([]), None, ""),
    (answered([], mount_error="EUCLEAN"), Expected("", [ROOT]), "EUCLEAN instead of none"),
    (answered([ROOT]), Expected("EINVAL"), "no error instead of EINVAL"),
    (answered([], mount_error="EINVAL"), Expected("EINVAL"), ""),
    (answered([], crash="hang"), Expected("", [ROOT]), "hang"),
    (answered([ROOT, entry("/a")]), Expected("", [ROOT]), "/a: names: has it instead of has not")])
def test_what_is_wrong_with_an_answer(answer: Answer, expected: Expected | None, said: str) -> None:
    assert shows(answer, expected) == said


def test_all_findings_say_something(monkeypatch: pytest.MonkeyPatch) -> None:
    f, _ = of([GivenMount("erofs", "memback", (IMAGE,))])
    confirm([f])
    assert f.confirmed == {"c": None, "linux": None, "why": "the back end memback is not one that another kernel has"}
