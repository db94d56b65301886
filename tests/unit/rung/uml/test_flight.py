# SPDX-License-Identifier: GPL-2.0-only
"""Cases under way, with a kernel that does as the test says: in order, crashes, answers that lie."""
from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, cast

import pytest

from kemu.rung.entries import check_entries, parse_entries
from kemu.rung.uml import flight, wire
from kemu.rung.uml.cases import Case
from kemu.rung.uml.errors import BootError, RungError
from kemu.rung.uml.flight import ANSWER_ROOM, DEPTH, IMAGE_ROOM, SHARE, Flight
from kemu.rung.uml.process import Process
from kemu.rung.uml.wire import Backend, Op

_REQUEST = struct.Struct(f"<8I6Q2I{wire.DISKS}Q")
_ANSWER = struct.Struct("<IIiIQIIIIQ")


class Kernel:
    """Answers with the first byte of its image, as the text. What it does with a request is ``answers``."""

    def __init__(self, answers: Callable[[Kernel, dict[str, Any]], None], share: bool = True):
        self.shared = bytearray(SHARE) if share else None
        self.answers = answers
        self.came = bytearray()
        self.out = bytearray()
        self.most = 0
        self.dead = self.closed = False
        self.started = self.before = 0

    def send(self, data: bytes, timeout: float) -> None:
        if self.dead:
            raise BootError("the kernel ended")
        self.came += data
        self.most = max(self.most, len(self.came) // _REQUEST.size)

    def work(self) -> None:
        while self.came and not self.dead:
            f = _REQUEST.unpack_from(self.came)
            r = dict(zip(("magic", "id", "op", "backend", "memory", "arg", "flags", "_", "at", "cap", "entries", "images_at",
                          "answer_at", "answer_room", "options_len", "images"), f))
            size = _REQUEST.size + r["options_len"] + (0 if r["flags"] & wire.IS_SHARED else sum(f[16:]))
            first = self.shared if r["flags"] & wire.IS_SHARED else self.came[_REQUEST.size + r["options_len"]:size]
            r["first"] = first[r["images_at"]] if first else 0
            r["size"] = sum(f[16:])
            del self.came[:size]
            self.answers(self, r)

    def answer(self, r: dict[str, Any], body: bytes = b"", text: int = -1, **other: int) -> None:
        shared = bool(r["answer_room"]) and len(body) <= r["answer_room"]
        head = {"magic": wire.ANSWER_MAGIC, "id": r["id"], "error": 0, "entries": 0, "entries_len": 0,
                "text_len": len(body) if text < 0 else text, "kmsg_len": 0, "full": 0, "shared": int(shared), "logged": 0} | other
        if shared and self.shared is not None:
            self.shared[r["answer_at"]:r["answer_at"] + len(body)] = body
        self.out += _ANSWER.pack(*head.values()) + (b"" if shared else body)

    def receive(self, size: int, timeout: float) -> bytes:
        self.work()
        if len(self.out) < size:
            raise BootError("the kernel ended")
        out = bytes(self.out[:size])
        del self.out[:size]
        return out

    def logged(self, place: int) -> None:
        pass

    def drain(self) -> None:
        pass

    def console(self, since: int = 0) -> str:
        return "its last words"

    def close(self) -> None:
        self.closed = True


def echo(kernel: Kernel, r: dict[str, Any]) -> None:
    """The first byte, as a number, and how large everything was."""
    kernel.answer(r, b"%d of %d" % (r["first"], r["size"]))


class Bench:
    """A flight and the kernels that it has booted."""

    def __init__(self, answers: Callable[[Kernel, dict[str, Any]], None], share: bool = True):
        self.kernels: list[Kernel] = []
        self.running: Kernel | None = None
        self.answers, self.share = answers, share
        self.flight = Flight(self.boot, self.lost, 1.0)

    def boot(self) -> Process:
        if self.running is None:
            self.running = Kernel(self.answers, self.share)
            self.kernels.append(self.running)
        return cast(Process, self.running)

    def lost(self) -> None:
        self.running = None

    def ask(self, *images: bytes, **how: Any) -> flight.Asked:
        return self.flight.ask(Case(Op.EROFS, list(images), **how))


def test_answers_are_those_of_their_cases() -> None:
    b = Bench(echo)
    asked = [b.ask(bytes([n]) * (n + 1)) for n in range(3 * DEPTH)]
    assert b.kernels[0].most == DEPTH, "so many are under way"
    assert [b.flight.answer(a).message for a in reversed(asked)] == [f"{n} of {n + 1}" for n in reversed(range(3 * DEPTH))]
    assert len(b.kernels) == 1


def test_images_that_are_too_large_for_their_place() -> None:
    b = Bench(echo)
    sizes = (10, IMAGE_ROOM, IMAGE_ROOM + 1, 5, 3 * IMAGE_ROOM, SHARE, 7, IMAGE_ROOM + 1)
    asked = [b.ask(bytes([n + 1]) + bytes(size - 1)) for n, size in enumerate(sizes)]
    assert [b.flight.answer(a).message for a in asked] == [f"{n + 1} of {size}" for n, size in enumerate(sizes)]


def test_devices_lie_behind_the_image() -> None:
    b = Bench(echo)
    assert b.flight.answer(b.ask(b"abc", b"defg", b"")).message == "97 of 7"
    assert b.kernels[0].shared is not None and bytes(b.kernels[0].shared).count(b"abcdefg") == 1


@pytest.mark.parametrize("how", [{"backend": Backend.LOOP}, {"options": "x" * 900}])
def test_what_needs_the_channel_goes_alone(how: dict[str, Any]) -> None:
    b = Bench(echo)
    asked = [b.ask(b"a"), b.ask(b"bb", **how), b.ask(b"c")]
    assert b.kernels[0].most == 1, "the second waits until the first is answered"
    assert [b.flight.answer(a).message for a in asked] == ["97 of 1", "98 of 2", "99 of 1"]


def test_without_shared_memory_one_is_under_way() -> None:
    b = Bench(echo, share=False)
    asked = [b.ask(bytes([n])) for n in range(3)]
    assert [b.flight.answer(a).message for a in asked] == ["0 of 1", "1 of 1", "2 of 1"]


def test_a_large_answer_comes_through_the_channel() -> None:
    b = Bench(lambda kernel, r: kernel.answer(r, b"x" * (ANSWER_ROOM + 1 if r["first"] else ANSWER_ROOM)))
    asked = [b.ask(bytes([n])) for n in range(2)]
    assert [len(b.flight.answer(a).message or "") for a in asked] == [ANSWER_ROOM, ANSWER_ROOM + 1]


def test_the_case_that_ends_a_kernel_is_the_one_without_an_answer() -> None:
    def answers(kernel: Kernel, r: dict[str, Any]) -> None:
        if r["first"] in (2, 5):
            kernel.dead = True
        else:
            echo(kernel, r)

    b = Bench(answers)
    asked = [b.ask(bytes([n])) for n in range(8)]
    got = [b.flight.answer(a) for a in asked]
    assert [r.crash for r in got] == [None, None, "exit", None, None, "exit", None, None]
    assert got[2].console == "its last words" and got[7].message == "7 of 1"
    assert [k.closed for k in b.kernels] == [True, True, False]


def test_a_splat_costs_the_cases_behind_it_another_kernel() -> None:
    line = b"<4>BUG: KASAN: slab-out-of-bounds in f\n"

    def answers(kernel: Kernel, r: dict[str, Any]) -> None:
        if r["first"] == 1:
            kernel.answer(r, line, text=0, kmsg_len=len(line))
        else:
            echo(kernel, r)

    b = Bench(answers)
    got = [b.flight.answer(a) for a in [b.ask(bytes([n])) for n in range(3)]]
    assert [(r.crash, r.message) for r in got] == [
        (None, "0 of 1"), ("splat", "BUG: KASAN: slab-out-of-bounds in f"), (None, "2 of 1")]
    assert len(b.kernels) == 2


def test_a_kernel_that_does_not_boot_is_said_to_who_asked() -> None:
    b = Bench(echo)

    def boot() -> Process:
        raise BootError("no kernel")

    b.flight = Flight(boot, b.lost, 1.0)
    asked = [b.ask(b"a"), b.ask(b"b")]
    for a in asked:
        with pytest.raises(BootError, match="no kernel"):
            b.flight.answer(a)


def test_what_nobody_wants_any_more_is_not_asked_again() -> None:
    seen: list[int] = []

    def answers(kernel: Kernel, r: dict[str, Any]) -> None:
        if r["first"] == 1 and len(b.kernels) == 1:
            kernel.dead = True
        else:
            seen.append(r["first"])
            echo(kernel, r)

    b = Bench(answers)
    asked = [b.ask(bytes([n])) for n in range(5)]
    asked[3].wanted = False
    assert [b.flight.answer(asked[n]).message for n in (0, 2, 4)] == ["0 of 1", "2 of 1", "4 of 1"]
    assert asked[1].result is not None and asked[1].result.crash == "exit"
    assert seen == [0, 2, 4]


def test_a_kernel_that_is_ended_meanwhile() -> None:
    b = Bench(echo)
    asked = [b.ask(bytes([n])) for n in range(2 * DEPTH)]
    assert b.flight.answer(asked[0]).message == "0 of 1"
    b.lost()
    b.flight.again()
    assert [b.flight.answer(a).message for a in asked] == [f"{n} of 1" for n in range(2 * DEPTH)]
    assert len(b.kernels) == 2


LIES: list[dict[str, int]] = [
    {"magic": 1}, {"id": 77}, {"entries_len": 1 << 62}, {"text_len": ANSWER_ROOM + 1}, {"kmsg_len": 0xFFFFFFFF},
    {"entries": 1}, {"entries": 0xFFFFFFFF}, {"entries_len": 64}, {"entries": 1, "entries_len": 64}]


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_an_answer_that_lies_is_a_crash_of_its_case(lie: dict[str, int]) -> None:
    """Ones that say that they are larger than their room, or hold what they do not; the room has another case's bytes in it."""
    def answers(kernel: Kernel, r: dict[str, Any]) -> None:
        if r["first"] == 1 and kernel is b.kernels[0]:
            kernel.answer(r, b"\xff" * 64, **lie)
        else:
            echo(kernel, r)

    b = Bench(answers)
    got = [b.flight.answer(a) for a in [b.ask(bytes([n])) for n in range(3)]]
    assert [r.crash for r in got] == [None, "exit", None]
    assert "answer" in (got[1].message or "") and got[2].message == "2 of 1"


def test_shared_is_said_of_an_answer_that_had_no_room() -> None:
    b = Bench(lambda kernel, r: kernel.answer(r, b"x", shared=1), share=False)
    assert b.flight.answer(b.ask(b"a")).crash == "exit"


def test_a_tree_that_is_too_large_is_an_error_and_the_next_case_is_answered() -> None:
    b = Bench(lambda kernel, r: kernel.answer(r, b"", full=1) if r["first"] else echo(kernel, r))
    asked = [b.ask(b"\1"), b.ask(b"\0")]
    with pytest.raises(RungError, match="larger than an answer"):
        b.flight.answer(asked[0])
    assert b.flight.answer(asked[1]).message == "0 of 1"


def _entry(path: bytes, flags: int = 1, mode: int = 0o100644, xattrs: bytes = b"", **lie: int) -> bytes:
    head = {"path_len": len(path), "target_len": 0, "xattrs_len": len(xattrs)} | lie
    return struct.pack("<12IqQ", *head.values(), 0, flags, mode, 0, 0, 1, 0, 0, 0, 0, 0) + path + xattrs


def test_what_entries_can_be_taken() -> None:
    good = _entry(b"/", 1, 0o40755) + _entry(b"/a", 5, xattrs=struct.pack("<HI", 6, 1) + b"user.ax") + _entry(
        b"/b", 5, xattrs=struct.pack("<HI", 6, 0xFFFFFFFF) + b"user.b") + _entry(b"/c", 0, 0)
    check_entries(good, 4)
    assert [e["path"] for e in parse_entries(good, 4)] == ["/", "/a", "/b", "/c"]
    for bad, count in ((good, 3), (good, 5), (good[:-1], 4), (_entry(b"/", path_len=1 << 31), 1), (_entry(b"/", target_len=1), 1),
                       (_entry(b"/", mode=0o170000), 1), (_entry(b"/", 5, xattrs=b"xyz"), 1),
                       (_entry(b"/", 5, xattrs=struct.pack("<HI", 9, 9) + b"user.a"), 1), (_entry(b"/", xattrs_len=5), 1)):
        with pytest.raises(ValueError, match="entries|xattr|st_mode"):
            check_entries(bad, count)
