# SPDX-License-Identifier: GPL-2.0-only
"""What the search by coverage finds is a finding: kept, listed, shown again by a token that carries its input; and what it
keeps is run by the port.
"""
from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import kemu.rung.c.asked
import kemu.rung.c.kernel
from kemu.cli import main
from kemu.explore import token
from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.run import execute, replay
from kemu.explore.search import search
from kemu.explore.source import ListSource
from kemu.forge.pick import Pick
from kemu.linux.port.series import Series
from kemu.report.store import findings
from kemu.rung.asked import asked
from kemu.rung.c.build import Library, build
from kemu.rung.c.cover import doors
from kemu.rung.c.cover.case import Case, unpack
from kemu.rung.c.cover.corpus import Corpus
from kemu.rung.c.kernel import Kernel
from kemu.rung.kept import drawn, offsets_of
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.tree import Tree
from tests.c.planted import PLANTS, Plant
from tests.conftest import DATA

from erofs_memback import decompressor_lzma

load_entry_points()
IMAGE = Case((DATA / "erofs" / "tiny-plain.erofs").read_bytes())
STEP = Plant("step", "fs/erofs/super.c", "	if (dsb->dirblkbits) {",
             "	BUG_ON(le64_to_cpu(dsb->inos) >> 40);\n	if (dsb->dirblkbits) {", "cov", "Kernel panic - not syncing: BUG!",
             "erofs_read_superblock")
FREED = Plant("freed", "init/initramfs.c", "	hdr_csum = be32_to_cpu(header[12]);\n",
              """	hdr_csum = be32_to_cpu(header[12]);
	if (major > 7) {
		char *p = kmalloc(64, GFP_KERNEL);

		kfree(p);
		nlink += READ_ONCE(p[1]);
	}
""", "asan", "KASAN: slab-use-after-free", "parse_header")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Callable[[str], Library]) -> Iterator[None]:
    library("plain")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    asked("c").close()


@pytest.fixture
def planted(tree: Tree, library: Callable[[str], Library], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Plant], None]]:
    """The commands' kernel has a bug from now on."""
    for flavour in ("cov", "asan", "gcov", "ubsan"):
        library(flavour)
    kernels = asked("c")

    def plant(bug: Plant) -> None:
        def wrong(recipe: Recipe, flavour: str, *say: Any) -> Library:
            return build(Recipe(tree, patches=(bug.patch(Path(tree.path)),), slot="planted"), flavour)

        for module in (kemu.rung.c.asked, kemu.rung.c.kernel):
            monkeypatch.setattr(module, "build", wrong)
        monkeypatch.setattr(kernels, "_library", None)

    yield plant
    kernels.close()
    monkeypatch.undo()
    kernels._library = None                                         # type: ignore[attr-defined]


def kemu_(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(["-q", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_a_case_is_the_choices_of_a_run_and_a_token_carries_it() -> None:
    for case in (IMAGE, Case(b"070701" * 7 + b"x", "cpio", at=17, fail_nth=3),
                 Case(b"\0" * 1025, options="acl,user_xattr", backend="file", memory="slab", at=4095,
                      devices=(b"abc", b"", bytes(range(256))), facts=True, doors=True)):
        tok = token.of_choices("x", execute(registry["bdev.kept.py"], ListSource(offsets_of(case))).draws) \
            if case == IMAGE else ""
        source = ListSource(token.decode(tok).offsets if tok else offsets_of(case))

        class Values:
            def value(self, name: str, low: int, high: int, source: ListSource = source) -> int:
                return source.draw(name, low, high) if low < high else low

        assert drawn(Pick(Values())) == case and not source.cut


def test_what_it_finds_is_kept_listed_shown_replayed_and_replayed_elsewhere(
        planted: Callable[[Plant], None], capsys: pytest.CaptureFixture[str], tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch) -> None:
    planted(STEP)
    code, out, err = kemu_(capsys, "fuzz", "--coverage", "--examples", "4000", str(DATA / "erofs" / "tiny-plain.erofs"))
    assert code == 1, err
    assert f"{STEP.said} in fs/erofs/super.c:" in err and " findings, " in out
    [kept] = [k for k in findings.all_kept() if k.finding.function == STEP.place]      # others are Linux's own
    f = kept.finding
    assert f.experiment == "bdev.kept.c" and kept.rung == "c" and f.small
    assert f.title == STEP.said and f.detector == "BUG" and f.function == STEP.place
    assert f.c_location.startswith("fs/erofs/super.c:") and f.c_location.endswith(f" {STEP.place}")
    assert any(line.startswith("  erofs_fc_fill_super at fs/erofs/super.c:") for line in f.report), f.report
    assert f.trigger.startswith("erofs, ") and any(line.startswith("0x00400: e2e1 f5e0") for line in f.input)

    code, out, _ = kemu_(capsys, "findings", "list", "--json")
    [row] = [r for r in json.loads(out) if r["id"] == kept.id]
    assert (row["title"], row["c_location"], row["token"]) == (f.title, f.c_location, kept.token)
    code, out, _ = kemu_(capsys, "findings", "show", row["id"])
    assert f"kemu replay {kept.token}" in out and "minimal input:" in out and STEP.place in out
    code, out, _ = kemu_(capsys, "replay", kept.token, "--save", str(tmp_path / "saved"))
    assert code == 1 and out.startswith(f.title) and f"kemu replay {kept.token}" in out and max(map(len, out.split("\n"))) < 200
    [image] = (tmp_path / "saved").glob("*.erofs")
    assert image.read_bytes()[1024:1028] == IMAGE.data[1024:1028]
    assert kemu_(capsys, "findings", "confirm", kept.id)[0] == 1
    assert kemu_(capsys, "findings", "export", kept.id, "-o", str(tmp_path / "elsewhere.jsonl"))[0] == 0

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another machine"))
    code, out, err = kemu_(capsys, "replay", kept.token)
    assert code == 2 and err.count("\n") == 1 and "kemu findings export" in err
    code, out, err = kemu_(capsys, "replay", str(tmp_path / "elsewhere.jsonl"))
    assert code == 1 and out.startswith(f.title)
    code, out, err = kemu_(capsys, "replay", str(tmp_path / "elsewhere.jsonl"), "--rung", "py")
    assert code == 1 and STEP.said in out, out


def test_a_sanitizers_report_is_one_with_ktap_and_json(planted: Callable[[Plant], None],
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    planted(FREED)
    how = ("fuzz", "--coverage", "--examples", "1500", "--fresh", str(DATA / "root.cpio"))
    code, out, err = kemu_(capsys, *how, "--json")
    result = json.loads(out)
    assert code == 1 and result["executions"] >= 1500 and result["seconds"] > 0
    found = [f for f in result["findings"] if f["function"] == FREED.place]
    assert found and found[0]["experiment"] == "initramfs.kept.c", result["findings"]
    assert found[0]["c_location"].startswith("init/initramfs.c:") and found[0]["title"].startswith(FREED.said)
    assert "\nAllocated by:\n" in found[0]["report"] and "\nFreed by:\n" in found[0]["report"], found[0]["report"]
    code, out, err = kemu_(capsys, *how, "--ktap")
    assert code == 1 and out.startswith("KTAP version 1") and "not ok 1 initramfs.kept.c" in out and "ok 1 bdev.kept.c" in out


@pytest.mark.parametrize("flavour", ["ubsan", "plain"])
def test_the_second_kernel_is_of_the_flavour_that_is_named(flavour: str, capsys: pytest.CaptureFixture[str],
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    start = kemu.rung.c.kernel.Instance.__init__

    def seen(self: Any, library: Library, *args: Any) -> None:
        used.append(library.flavour)
        start(self, library, *args)

    monkeypatch.setattr(kemu.rung.c.kernel.Instance, "__init__", seen)
    code, out, err = kemu_(capsys, "fuzz", "--coverage", "--flavour", flavour, "--examples", "600", "--fresh", "--json")
    assert code in (0, 1) and json.loads(out)["executions"] >= 600, out + err
    assert {"cov", flavour, "gcov"} <= set(used) <= {"cov", flavour, "gcov", "plain"}


@pytest.mark.parametrize("args, said", [
    (["--rung", "linux"], "--coverage: it steers the search of the C rung"), (["--workers", "2"], "--workers does not go"),
    (["--list"], "--list does not go"), (["--resume", "--fresh"], "--resume: a search with --fresh has kept nothing"),
    (["--resume"], "--resume: no search like this one was interrupted"), (["no-such-file"], "no-such-file: with --coverage"),
    (["--rung", "py", "--unreached", "x"], "--unreached does not go with --coverage --rung py"),
    (["--rung", "py", "--flavour", "asan"], "--flavour asan is for --rung c"),
])
def test_what_does_not_go_is_refused_in_one_line(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Corpus(Path(os.environ["XDG_STATE_HOME"]) / "kemu/coverage/corpus").add(IMAGE)
    code, out, err = kemu_(capsys, "fuzz", "--coverage", *args)
    assert code == 2 and out == "" and err.startswith(f"kemu: fuzz: {said}") and err.count("\n") == 1, err


def test_without_anything_kept_the_port_has_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = kemu_(capsys, "fuzz", "--coverage", "--rung", "py")
    assert code == 3 and err == "kemu: fuzz: nothing has been kept to be run on the py rung: kemu fuzz --coverage keeps it\n"
    shutil.rmtree(Path(os.environ["XDG_STATE_HOME"]), ignore_errors=True)


def test_of_two_kernels_each_has_its_own_faults(library: Callable[[str], Library], tree: Tree) -> None:
    null = next(p for p in PLANTS if p.name == "null-call")
    wrong = build(Recipe(tree, patches=(null.patch(Path(tree.path)),), slot="planted"), null.flavour)
    image = (DATA / "erofs" / "tiny-lz4hc-allfrag.erofs").read_bytes()
    good = library("plain")
    with Kernel(library=wrong) as first, Kernel(library=good) as second, Kernel(library=wrong) as third:
        for _ in range(2):                                          # in any order: each is loaded again beside the others
            for kernel in (first, second, third, second, first, first):
                answer = kernel.erofs(image)
                assert (answer.crash is None) == (kernel is second)
                assert kernel is second or (answer.message or "").startswith(null.said)
        assert second.boots == 1


def test_a_case_that_is_over_time_between_two_calls_is_a_hang(library: Callable[[str], Library]) -> None:
    def slow(k: Any) -> None:
        until = time.process_time() + 0.5
        while time.process_time() < until:
            pass
        while True:
            doors.names(k, b"/mnt")

    with Kernel(library=library("plain"), timeout=0.2) as kernel:
        assert kernel.erofs(IMAGE.data, then=slow).crash == "hang"
        assert kernel.erofs(IMAGE.data).crash is None


def unbounded() -> Series:
    """The port without one limit of z_erofs_load_lzma_config()."""
    series = Series("unbounded", ("erofs_memback",))
    series.edits(decompressor_lzma.z_erofs_load_lzma_config,
                 ("dict_size > Z_EROFS_LZMA_MAX_DICT_SIZE or dict_size < 4096", "dict_size < 4096"))
    return series


def test_a_bug_of_the_port_that_only_a_kept_input_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in sorted((DATA / "coverage").glob("*.case")):
        Corpus(Path(os.environ["XDG_STATE_HOME"]) / "kemu/coverage/corpus").add(unpack(path.read_bytes()))
    asked("c").prepare()
    judge, others = registry["bdev.kept.py"], [registry[n] for n in ("bdev.damaged", "bdev.cut-short", "bdev.ground-truth")]
    assert not search(others, examples=150, series=(unbounded(),), shrink_seconds=0.0).findings
    assert not search([judge], examples=3).findings
    p = search([judge], examples=3, series=(unbounded(),), shrink_seconds=1.0)
    assert [f.cause for f in p.findings] == ["mount EINVAL / EIO"], [f.title for f in p.findings]
    f = p.findings[0]
    assert f.title == "mount: C EINVAL, kemu EIO"
    again = replay(judge, token.decode(f.token), series=(unbounded(),))
    assert again.finding is not None and again.finding.cause == f.cause
    assert replay(judge, token.decode(f.token)).finding is None


def test_the_commands_on_the_py_rung(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    how = ("fuzz", "--coverage", "--rung", "py", "--examples", "8", "--corpus", str(tmp_path), "--json")
    code, out, err = kemu_(capsys, *how, str(DATA / "coverage"), str(DATA / "root.cpio"))
    assert code == 0 and json.loads(out)["examples"] == 8 and json.loads(out)["findings"] == [], out + err
    code, out, err = kemu_(capsys, "fuzz", "bdev.kept", "initramfs.kept", "--rung", "c", "--flavour", "asan",
                           "--examples", "4", "--json")
    assert code == 0 and json.loads(out)["examples"] <= 4, out + err
