# SPDX-License-Identifier: GPL-2.0-only
"""The port beside the kernel's C: short, in earnest, with a port that is wrong on purpose, and with C that is.

Longer: ``kemu fuzz --rung c --examples 50000 --workers 2``.
"""
from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kemu.explore import token
from kemu.explore.experiment import registry
from kemu.explore.run import execute, replay
from kemu.explore.search import search
from kemu.explore.source import SeedSource
from kemu.rung.asked import asked
from kemu.rung.c.build import Library, build
from kemu.rung.c.kernel import Kernel
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.tree import Tree
from tests.campaigns import finds_nothing, kemu, wrong_port_is_found

import erofs_memback.harness.differential as experiments
import initramfs.harness.differential as archives

NAMES = sorted(n for n, e in registry.items() if e.fn.__module__ in (experiments.__name__, archives.__name__) and "c" in e.rungs)


@pytest.fixture(scope="module", autouse=True)
def one_kernel(library: Callable[[str], Library]) -> Iterator[None]:
    library("plain")
    yield
    asked("c").close()


def test_there_is_one_for_each_of_the_linux_rung() -> None:
    linux = {n.removesuffix(".linux") for n, e in registry.items() if e.rungs == ("linux",) and e.feed is None
             and e.series != "series"}                 # what reviews of C keep
    assert linux == {n.removesuffix(".c") for n in NAMES} and len(NAMES) == 12
    for n in NAMES:
        below = registry[n].below
        assert below is None or below.rungs == ("c",)


@pytest.mark.parametrize("flavour", ["plain", "asan"])
def test_a_short_campaign_finds_nothing(flavour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked("c"), "flavour", flavour)
    finds_nothing(NAMES, 1200, "c")


def test_a_wrong_port_is_found_shrunk_and_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_port_is_found(monkeypatch, "c")


def planted(tree: Tree, file: str, old: str, new: str) -> Patch:
    text = (Path(tree.path) / file).read_text()
    assert text.count(old) == 1
    diff = difflib.unified_diff(text.splitlines(True), text.replace(old, new).splitlines(True), f"a/{file}", f"b/{file}")
    return Patch("planted", "planted", "".join(diff).encode())


def test_the_end_of_the_c_is_found_shrunk_and_replayed_with_its_place(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = planted(tree, "fs/erofs/inode.c", "	if (unlikely(inode->i_size < 0)) {",
                    "	BUG_ON(inode->i_size > 5000);\n	if (unlikely(inode->i_size < 0)) {")
    wrong = build(Recipe(tree, patches=(patch,), slot="planted"), "plain")
    c = (tree.path / "fs/erofs/inode.c").read_text().split("\n")    # the library may be older than its folder is now
    line = next(i for i, text in enumerate(c, 1) if "if (unlikely(inode->i_size < 0)) {" in text)
    kernels = asked("c")
    kernels.close()
    monkeypatch.setattr(kernels, "_library", wrong)
    monkeypatch.setattr(kernels, "_built", kernels.recipe)
    exp = registry["bdev.ground-truth.c"]
    p = search([exp], examples=300, shrink_seconds=3.0, rung="c", detect=False)
    assert len(p.findings) == 1, [f.title for f in p.findings]
    f = p.findings[0]
    assert f.c_location == f"fs/erofs/inode.c:{line} erofs_read_inode", f.report
    assert "BUG" in f.title and f.detector == "BUG" and f.function == "erofs_read_inode"
    assert any(text.startswith("  erofs_iget at fs/erofs/inode.c:") for text in f.report), f.report
    assert sum(map(bool, f.offsets)) <= 6, f.offsets
    again = replay(exp, token.decode(f.token), rung="c", detect=False)
    assert again.finding is not None and again.finding.cause == f.cause
    kernels.close()
    monkeypatch.undo()
    assert replay(exp, token.decode(f.token), rung="c", detect=False).finding is None, "not the planted kernel's any more"


def test_the_commands(library: Callable[[str], Library]) -> None:
    library("asan")
    done = kemu("fuzz", "bdev.damaged", "--rung", "c", "--examples", "40", "--ktap")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok 1 bdev.damaged.c" in done.stdout and done.stdout.startswith("KTAP version 1") and "SKIP" not in done.stdout
    done = kemu("fuzz", "memback.streams.linux", "--rung", "c", "--flavour", "asan", "--examples", "40", "--workers", "2",
                "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    out = json.loads(done.stdout)
    assert out["findings"] == [] and out["examples"] == 40
    done = kemu("replay", token.of_seed("memback.damaged.c", 3))
    assert done.returncode == 0 and "memback.damaged.c: nothing is wrong" in done.stdout, done.stdout + done.stderr
    done = kemu("review", "erofs-memback", "--rung", "c", "--examples", "40", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["findings"] == [], done.stdout + done.stderr


def test_a_seed_makes_the_same_example_on_both_rungs() -> None:
    a, b = (execute(registry["bdev.damaged.c"], SeedSource(11), rung="c", detect=False, trace=True) for _ in range(2))
    assert a.trace is not None and b.trace is not None and a.trace.text() == b.trace.text() and a.draws == b.draws


# what an lzma header asks for is beyond what any kernel has, or nothing
LZMA = "5d00{window}{size}00180ddd046232fdf9ef43eb69155360b0adbb"


@pytest.mark.parametrize(("window", "size", "warns", "message"), [
    ("000100", "0000000000000000", True, "decompressor failed"), ("ffffffff", "ffffffffffffff", False, "decompressor failed")])
def test_memory_that_there_is_not(library: Callable[[str], Library], window: str, size: str, warns: bool, message: str) -> None:
    with Kernel(library=library("plain")) as k:
        a = k.cpio(bytes.fromhex(LZMA.format(window=window, size=size)))
        assert a.crash is None
        assert any(line.startswith("WARNING: ") for line in a.kmsg) == warns, a.kmsg
        assert any("vmalloc error: size 18446744073709551360, exceeds total pages" in line for line in a.kmsg) != warns, a.kmsg
        assert k.cpio(b"").crash is None and k.boots == 1


@pytest.mark.parametrize("memory", ["linear", "vmalloc"])
def test_behind_the_last_page_there_is_nothing(library: Callable[[str], Library], memory: str) -> None:
    short = b"BZh9"                                    # the decompressor reads on behind it
    with Kernel(library=library("plain")) as k:
        for whole in (b"", bytes(4096), bytes(3 * 4096), bytes(5000)):
            assert k.cpio(whole, at=0, memory=memory).crash is None
        assert k.boots == 1
        a = k.cpio(short, at=4096 - len(short), memory=memory)
        assert (a.crash, (a.message or "").split(" ")[0]) == ("splat", "SIGSEGV"), a.message
        assert k.cpio(short, at=0, memory=memory).crash is None
