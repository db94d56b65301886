# SPDX-License-Identifier: GPL-2.0-only
"""Kept cases, changes to them, and the least one: what needs no kernel."""
from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import replace

import pytest

from kemu.rung.c.cover.begin import boots, modules
from kemu.rung.c.cover.case import Case, NotACase, unpack
from kemu.rung.c.cover.corpus import Corpus
from kemu.rung.c.cover.least import least
from kemu.rung.c.cover.mutate import Mutator, places

CASE = Case(b"\0" * 64 + b"abc" + bytes(100), options="noacl", backend="file", at=17, devices=(b"one", b""), fail_nth=3)


@pytest.mark.parametrize("case", [Case(b""), Case(b"\n{}\n", "cpio"), CASE])
def test_what_is_kept_comes_back(case):
    assert unpack(case.pack()) == case


@pytest.mark.parametrize("raw", [b"", b"\n", b"{}\n", b"[]\n", b'{"kemu-case": 2, "sizes": [0]}\n', CASE.pack()[:-1],
                                 b'{"kemu-case": 1, "sizes": []}\n', b'{"kemu-case": 1, "sizes": [0], "no": 1}\n',
                                 b'{"kemu-case": 1, "sizes": [0], "at": "x"}\n', b'{"kemu-case": 1, "sizes": [-1, 1]}\n'])
def test_anything_else_is_no_case(raw):
    with pytest.raises(NotACase):
        unpack(raw)


def test_a_corpus_holds_each_case_once_and_passes_over_what_it_cannot_read(tmp_path):
    corpus = Corpus(tmp_path / "corpus")
    assert list(corpus) == []
    assert corpus.add(CASE) == corpus.add(CASE) != corpus.add(Case(b"x"))
    (tmp_path / "corpus" / "00.case").write_bytes(b"torn")
    assert sorted(Corpus(tmp_path / "corpus"), key=lambda c: c.key()) == sorted([CASE, Case(b"x")], key=lambda c: c.key())


def test_one_seed_makes_the_same_changes():
    def made(seed):
        m = Mutator(random.Random(seed))
        return [m.mutate(CASE, places(CASE.data), Case(bytes(range(200)))) for _ in range(300)]
    assert made(1) == made(1) != made(2)
    assert len(set(made(1))) > 200
    m = Mutator(random.Random(0))
    assert all(isinstance(m.mutate(Case(b"07070100", "cpio"), [0], Case(b"", "cpio")), Case) for _ in range(300))


def test_places_are_where_something_is():
    assert places(bytes(512) + b"\0\0\1" + bytes(20) + b"\1") == [512, 528]
    assert places(bytes(100)) == [0]


def test_the_least_case_differs_in_one_byte_and_is_as_short_as_can_be():
    base = bytes(range(256)) * 16
    data = bytearray(base)
    data[7], data[300], data[2000] = 0, 0xEE, 1
    bad = Case(bytes(data), "cpio", at=9, memory="slab", fail_nth=4)
    small = least(bad, Case(base, "cpio"), lambda c: c.data[300:301] == b"\xee")
    assert small == Case(base[:300] + b"\xee", "cpio")
    assert least(bad, None, lambda c: c == bad) == bad
    asked = []
    least(replace(bad, at=0), Case(base, "cpio"), lambda c: bool(asked.append(c)), tries=5)
    assert len(asked) == 5


@pytest.mark.parametrize(("args", "said"), [
    (["--coverage", "nosuch"], "nosuch: with --coverage, files and folders to begin with are named: there is no such file"),
    (["--coverage", "--rung", "linux"], "--coverage: it steers the search of the C rung"),
    (["--coverage", "--workers", "2"], "--workers does not go with --coverage"),
    (["--coverage", "--list"], "--list does not go with --coverage"),
    (["--corpus", "x"], "--corpus goes with --coverage"),
    (["--unreached", "x"], "--unreached goes with --coverage"),
])
def test_wrong_use_is_one_line(args, said):
    done = subprocess.run([sys.executable, "-m", "kemu", "fuzz", *args], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"kemu: fuzz: {said}") and len(done.stderr.splitlines()) == 1


def member(name: bytes, ino: int = 1) -> bytes:
    fields = [ino, 0o100644, 0, 0, 1, 0, 0, 8, 1, 0, 0, len(name) + 1, 0]
    return b"070701" + b"".join(b"%08x" % f for f in fields) + name + bytes(4)


def bucket(header: bytes) -> int:
    """hash() of init/initramfs.c."""
    ino, major, minor = (int(header[i:i + 8], 16) for i in (6, 62, 70))
    tmp = (ino + minor + (major << 3)) & 0xffffffff
    return (tmp + (tmp >> 5)) & 31


def test_two_members_are_linked_or_looked_for_in_one_place():
    data = member(b"a", 7) + bytes(2) + member(b"b", 99)
    second = data.index(b"070701", 10)
    seen = set()
    for seed in range(60):
        changed = bytearray(data)
        Mutator(random.Random(seed))._link(changed, 3)
        assert len(changed) == len(data) and bucket(changed) is not None
        one, two = ([int(changed[at + i:at + i + 8], 16) for i in (6, 62, 70)] for at in (0, second))
        seen.add((one == two, bucket(changed) == bucket(changed[second:])))
    assert {(True, True), (False, True)} <= seen
    Mutator(random.Random(0))._link(bytearray(b"070701"), 0)


def test_a_search_begins_with_boots_and_modules_of_each_algorithm():
    begun = [*boots(3)]
    assert {c.kind for c in begun} == {"erofs", "cpio", "module"} and begun == [*boots(3)]
    assert {c.options for c in begun if c.kind == "cpio"} >= {"retain_initrd", "initrdmem=0,4096"}
    assert all(c.alone == (c.kind == "module" or (c.kind == "cpio" and bool(c.options))) for c in begun)

    def image(algorithms: int, size: int) -> Case:
        return Case(bytes(1024 + 84) + algorithms.to_bytes(2, "little") + bytes(size))

    cases = [image(1, 50), image(1, 40), image(4, 9), image(4, 3), Case(b"x"), Case(b"y", "cpio"), image(8, 1 << 19)]
    made = [*modules(cases, lambda case: len(case.data) != len(image(4, 3).data))]
    assert {c.kind for c in made} == {"module"} and {bool(c.options) for c in made} == {False, True}
    assert {c.data for c in made} == {image(1, 40).data, image(4, 9).data}
