# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own suites in this process: they pass, a wrong expectation and a wrong line of C fail, and kunit.py reads it."""
from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kemu.rung.c.build import Library, build
from kemu.rung.c.kernel import Kernel
from kemu.rung.c.kunit import FLAVOURS, run_kunit
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.series import find_series
from kemu.rung.uml.tree import Tree
from tests.c.planted import Plant

CASES = ["extract", "fname_overrun", "data", "csum", "hardlink", "many", "fname_pad", "fname_path_max", "hdr_hex"]
WRONG = Plant("wrong-expectation", "init/initramfs_test.c",
              "	KUNIT_EXPECT_EQ(test, st.nlink, 1);", "	KUNIT_EXPECT_EQ(test, st.nlink, 2);", "kunit", "")
BUG = Plant("checksum-not-compared", "init/initramfs.c",
            "		if (csum_present && io_csum != hdr_csum)", "		if (csum_present && 0)", "kunit", "")
PANIC = Plant("panics", "init/initramfs.c", "	if (!bufs)", "	if (bufs)", "kunit", "")


def planted(tree: Tree, plant: Plant) -> Library:
    return build(Recipe(tree, patches=(plant.patch(Path(tree.path)),), slot="planted"), plant.flavour)


@pytest.fixture(scope="module", params=sorted(FLAVOURS.values()))
def suites(request: pytest.FixtureRequest, library: Callable[[str], Library]) -> Library:
    return library(request.param)


def test_the_suite_of_the_initramfs_passes(suites: Library, tree: Tree) -> None:
    run = run_kunit(suites, tree.path)
    assert (run.end, run.exit_code, run.splat) == ("done", 0, None), run.console
    assert [c.name for c in run.outcome.cases] == [f"initramfs.initramfs_test_{name}" for name in CASES]
    assert {c.status for c in run.outcome.cases} == {"passed"}


def test_it_takes_milliseconds(library: Callable[[str], Library]) -> None:
    with Kernel(library=library("kunit")) as kernel:
        k = kernel.instance
        begin = time.process_time()
        k.check(k.lib.kemu_kunit())
        assert "ok 1 initramfs" in k.log() and time.process_time() - begin < 0.5


@pytest.mark.parametrize("glob, names, code", [
    ("initramfs.*csum", ["csum"], 0), ("nonesuch*", [], 125), ("initramfs.nonesuch", [], 125)])
def test_a_glob_chooses(suites: Library, tree: Tree, glob: str, names: list[str], code: int) -> None:
    run = run_kunit(suites, tree.path, glob)
    assert [c.name.removeprefix("initramfs.initramfs_test_") for c in run.outcome.cases if c.status == "passed"] == names
    assert run.exit_code == code, run.console


def test_a_wrong_expectation_fails_and_says_where(tree: Tree, library: Callable[[str], Library]) -> None:
    library("kunit")
    run = run_kunit(planted(tree, WRONG), tree.path)
    failed = [c for c in run.outcome.cases if c.status == "failed"]
    assert (run.end, run.exit_code, len(failed)) == ("done", 1, 1), run.console
    assert "EXPECTATION FAILED at init/initramfs_test.c:" in run.console and "st.nlink == 2" in run.console


def test_a_wrong_line_of_the_unpacker_fails_its_case(tree: Tree, library: Callable[[str], Library]) -> None:
    library("kunit")
    run = run_kunit(planted(tree, BUG), tree.path)
    assert [c.name for c in run.outcome.cases if c.status == "failed"] == ["initramfs.initramfs_test_csum"], run.console


def test_a_panic_in_a_case_is_a_panic(tree: Tree, library: Callable[[str], Library]) -> None:
    library("kunit")
    run = run_kunit(planted(tree, PANIC), tree.path)
    assert (run.end, run.exit_code) == ("panic", 255) and "can't allocate buffers" in (run.message or "")


def test_the_suite_of_a_series_passes(tree: Tree, library: Callable[[str], Library]) -> None:
    library("kunit")
    series = find_series("erofs-kunit")
    run = run_kunit(build(replace(series.recipe(tree, "fast", ()), slot="planted"), "kunit"), tree.path, "erofs*")
    assert (run.end, run.exit_code) == ("done", 0), run.console
    assert len(run.outcome.cases) >= 5 and {c.name.split(".")[0] for c in run.outcome.cases} == {"erofs"}


def kemu(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kemu", *args], capture_output=True, text=True)


def test_the_command_prints_what_the_kernels_parser_takes(tree: Tree, library: Callable[[str], Library]) -> None:
    library("kunit")
    done = kemu("linux", "kunit", "--rung", "c")
    assert done.returncode == 0 and done.stdout.startswith("KTAP version 1\n1..1\n"), done.stderr
    parser = subprocess.run([sys.executable, str(tree.path / "tools/testing/kunit/kunit.py"), "parse"], input=done.stdout,
                            capture_output=True, text=True, cwd=tree.path)
    assert parser.returncode == 0 and "Testing complete. Ran 9 tests: passed: 9" in parser.stdout, parser.stdout


@pytest.mark.parametrize("args, code, said", [
    (["nonesuch*", "--rung", "c"], 125, "kemu: linux: kunit: no test ran (no suite matches 'nonesuch*')\n"),
    (["--rung", "c", "--flavour", "debug"], 2, "kemu: linux: kunit: --flavour debug: --rung c has fast, kasan\n"),
])
def test_what_goes_wrong_is_one_line(args: list[str], code: int, said: str) -> None:
    done = kemu("linux", "kunit", *args)
    assert (done.returncode, done.stderr) == (code, said)
