# SPDX-License-Identifier: GPL-2.0-only
"""What is served inside the kernel, with memory that both sides share, is what a program in its user space answers; and many
cases under way are each of them alone.
"""
from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kemu.rung.protocol import Answer
from kemu.rung.uml import Oracle, RungError
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.cases import Case
from kemu.rung.uml.flight import ANSWER_ROOM, DEPTH, IMAGE_ROOM
from kemu.rung.uml.wire import Bug, Op
from tests.uml.conftest import CORPUS, UNINITIALISED, rows

pytestmark = pytest.mark.linux
DATA = Path(__file__).parent.parent / "data"
SMALL = (DATA / "small.erofs").read_bytes()


@pytest.fixture(scope="module")
def program(kernel: Kernel) -> Iterator[Oracle]:
    """The same kernel, asked through a program in its user space."""
    with Oracle(kernel=kernel, inside=False) as o:
        yield o


def _bytes(r: Answer) -> tuple[object, ...]:
    """All that an answer says; the entries as they came, but for times that the clock has set."""
    packed = r.packed
    if packed is not None and not packed.dir_sizes:
        return (r.mount_error, r.entries, r.message, r.crash, r.kmsg)
    return (r.mount_error, packed and (packed.count, packed.data), r.message, r.crash, r.kmsg)


def _images() -> list[tuple[str, bytes]]:
    """The images of the tests, and each of them damaged."""
    dice, out = random.Random(13), []
    for path in sorted(DATA.glob("*.erofs")):
        data = path.read_bytes()
        if len(data) > 1 << 20:
            continue
        out.append((path.name, data))
        for n in range(20):
            bad = bytearray(data)
            for _ in range(dice.randrange(1, 6)):
                bad[dice.choice((dice.randrange(1024, 1152), dice.randrange(len(bad)))) % len(bad)] = dice.randrange(256)
            out.append((f"{path.name}#{n}", bytes(bad)))
        out.append((f"{path.name} cut", data[:dice.randrange(len(data))]))
    return out


@pytest.mark.parametrize(("at", "memory"), [(0, "linear"), (513, "vmalloc")])
def test_images_are_answered_alike(oracle: Oracle, program: Oracle, at: int, memory: str) -> None:
    images = _images()
    assert len(images) > 50
    inside = oracle.many(oracle.erofs_case(data, at=at, memory=memory, cap=1 << 22, max_entries=500) for _, data in images)
    for (name, data), got in zip(images, inside, strict=True):
        assert _bytes(program.erofs(data, at=at, memory=memory, cap=1 << 22, max_entries=500)) == _bytes(got), name
    assert oracle.boots == 1


def test_facts_are_told_alike(oracle: Oracle, program: Oracle) -> None:
    """Extents, holes, reads past the page cache and through a mapping, whose faults a load would take."""
    images, fields = _images(), ("fiemap=", "holes=", "direct=0,", "mapped=0,", "statfs=", "dirents=0,")
    inside = oracle.many(oracle.erofs_case(data, cap=1 << 22, max_entries=500, facts=True) for _, data in images)
    seen = set()
    for (name, data), got in zip(images, inside, strict=True):
        want = program.erofs(data, cap=1 << 22, max_entries=500, facts=True)
        want.kmsg = [line for line in want.kmsg if "segfault at" not in line]       # the kernel says so of a program
        assert got.facts == want.facts and _bytes(got) == _bytes(want), name
        seen |= {field for field in fields for line in got.facts if field in line}
        seen |= {"SIGBUS" for line in got.facts if "mapped=" in line and "mapped=0," not in line and "mapped=-" not in line}
    assert seen == {*fields, "SIGBUS"} and oracle.boots == 1


def test_the_images_of_the_corpus_are_answered_alike(oracle: Oracle, program: Oracle) -> None:
    names = rows(CORPUS / "erofs" / "index.jsonl")

    def cases(o: Oracle) -> Iterator[Case]:
        for row in names:
            yield o.erofs_case(CORPUS / "erofs" / f"{row['name']}.erofs", options=row["mount_options"],
                               devices=[CORPUS / "erofs" / name for name in row["devices"]])

    for row, a, b in zip(names, program.many(cases(program)), oracle.many(cases(oracle)), strict=True):
        assert row["name"] in UNINITIALISED or _bytes(a) == _bytes(b), row["name"]


def test_the_archives_of_the_corpus_are_answered_alike(kernel: Kernel) -> None:
    names = [row["name"] for row in rows(CORPUS / "cpio" / "index.jsonl") if not row["crash"]]
    with Oracle(kernel=kernel) as oracle, Oracle(kernel=kernel, inside=False) as program:
        inside = oracle.many(oracle.cpio_case(CORPUS / "cpio" / name) for name in names)
        for name, got in zip(names, inside, strict=True):
            assert _bytes(program.cpio(CORPUS / "cpio" / name)) == _bytes(got), name


def _member(path: bytes, mode: int, data: bytes = b"") -> bytes:
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + path + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _archive(files: int, size: int, name: int = 8) -> bytes:
    members = (_member(b"%0*d" % (name, n), 0o100644, bytes([n & 255]) * size) for n in range(files))
    return b"".join(members) + _member(b"TRAILER!!!", 0)


@pytest.mark.parametrize(("files", "size", "name"), [
    (3, IMAGE_ROOM, 8),                                 # an archive that has to lie elsewhere
    (ANSWER_ROOM // 250, 1, 200),                       # an answer that is larger than its room
    (20, 4 << 20, 8),                                   # an archive that is larger than the memory
])
def test_what_is_too_large_for_its_place(oracle: Oracle, program: Oracle, files: int, size: int, name: int) -> None:
    data, little = _archive(files, size, name), _archive(1, 1)
    got = list(oracle.many(oracle.cpio_case(d) for d in (little, data, little, data)))
    assert [len(r.entries) for r in got] == [2, files + 1, 2, files + 1]
    assert _bytes(got[1]) == _bytes(got[3]) == _bytes(program.cpio(data))


def test_many_are_as_each_alone_and_others_may_be_asked_meanwhile(oracle: Oracle) -> None:
    images = [data for _, data in _images()][:3 * DEPTH]
    alone = [_bytes(oracle.erofs(data)) for data in images]
    together = []
    for n, r in enumerate(oracle.many(map(oracle.erofs_case, images))):
        together.append(_bytes(r))
        if n % 5 == 0:
            assert b"erofs" in oracle.read("proc/filesystems")
    assert together == alone
    for r in oracle.many(map(oracle.erofs_case, images)):
        assert _bytes(r) == alone[0]
        break                                           # the others are of no interest any more
    assert _bytes(oracle.erofs(images[7])) == alone[7]


def test_a_kernel_that_is_ended_among_many(kernel: Kernel) -> None:
    with Oracle(kernel=kernel) as o:
        want = _bytes(o.erofs(SMALL))
        for n, r in enumerate(o.many(o.erofs_case(SMALL) for _ in range(3 * DEPTH))):
            assert _bytes(r) == want
            if n in (0, 20):
                o.close()
        assert o.boots == 3


def test_a_crash_among_many(kernel: Kernel) -> None:
    with Oracle(kernel=kernel, timeout=5) as o:
        good = _bytes(o.erofs(SMALL))
        bugs = {3: "panic", 9: "warn", 10: "hang", 30: "oops"}
        got = list(o.many(Case(Op.BUG, arg=Bug[bugs[n].upper()]) if n in bugs else o.erofs_case(SMALL) for n in range(40)))
        assert [r.crash for r in got if r.crash] == ["panic", "splat", "hang", "panic"]
        assert {n: r.crash for n, r in enumerate(got) if r.crash}.keys() == bugs.keys()
        assert all(_bytes(r) == good for n, r in enumerate(got) if n not in bugs)
        assert "ordered panic" in got[3].console and "erofs" not in got[3].console, "its own console"
        assert o.boots == 1 + len(bugs)


def test_a_case_that_cannot_be_asked_stops_nobody(oracle: Oracle) -> None:
    many = oracle.many(oracle.erofs_case(SMALL, at=at) for at in (0, 1, 4096, 2))
    assert next(many).mount_error is None
    with pytest.raises(RungError, match="0..4095"):
        list(many)
    assert oracle.erofs(SMALL).mount_error is None


def test_long_options_are_the_same_options(oracle: Oracle, program: Oracle) -> None:
    for options in ("user_xattr," * 60 + "noacl", "user_xattr," * 300 + "noacl", "user_xattr," * 100 + "nonesuch=1"):
        a, b = oracle.erofs(SMALL, options=options), program.erofs(SMALL, options=options)
        assert _bytes(a) == _bytes(b)
    assert b.mount_error == "EINVAL"


def _deep(levels: int, name: bytes = b"d" * 200) -> bytes:
    """A newc archive of folders in each other: paths that are as long as can be."""
    return b"".join(_member(b"/".join([name] * (n + 1)), 0o40755) for n in range(levels)) + _member(b"TRAILER!!!", 0)


def test_a_deep_tree(oracle: Oracle, program: Oracle) -> None:
    data = _deep(18)
    a, b = oracle.cpio(data), program.cpio(data)
    assert _bytes(a) == _bytes(b) and len(a.entries) == 19


def test_nothing_is_kept_of_a_large_case(oracle: Oracle) -> None:
    """The memory that a case's answer took is another's later; what is read is what was written for it."""
    big, little = _archive(800, 1), _archive(1, 1)
    want = _bytes(oracle.cpio(little))
    for _ in range(3):
        got = list(oracle.many(oracle.cpio_case(d) for d in [big] * DEPTH + [little] * DEPTH))
        assert all(_bytes(r) == want for r in got[DEPTH:])


def test_a_run_of_a_thousand_leaves_the_kernel_as_it_was(oracle: Oracle) -> None:
    def free() -> int:
        return int(oracle.read("proc/meminfo").split(b"MemFree:")[1].split()[0])

    list(oracle.many(oracle.erofs_case(SMALL) for _ in range(100)))
    before = free()
    list(oracle.many(oracle.erofs_case(SMALL) for _ in range(1000)))
    assert before - free() < 2048, "KiB"


@pytest.mark.parametrize("flavour_name", ["debug", "kasan"])
def test_other_flavours_have_it_too(flavour: Callable[[str], Kernel], flavour_name: str) -> None:
    kernel = flavour(flavour_name)
    with Oracle(kernel=kernel) as oracle, Oracle(kernel=kernel, inside=False) as program:
        for _, data in _images()[:40]:
            assert _bytes(oracle.erofs(data, cap=1 << 20, max_entries=200)) == _bytes(
                program.erofs(data, cap=1 << 20, max_entries=200))
