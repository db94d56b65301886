# SPDX-License-Identifier: GPL-2.0-only
"""KTAP in, and the kernel's own suites."""
from __future__ import annotations

from pathlib import Path

import pytest

from kemu.report import ktap
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.kunit import run_kunit
from kemu.rung.uml.tree import Tree

GOOD = """\
printk: noise
KTAP version 1
1..1
    KTAP version 1
    # Subtest: s
    1..3
    ok 1 a
    not ok 2 b
    ok 3 c # SKIP not here
# s: pass:1 fail:1 skip:1 total:3
not ok 1 s
"""


def test_cases_and_counts(tree: Tree) -> None:
    got = ktap.parse(GOOD.splitlines(), tree.path)
    assert [(c.name, c.status) for c in got.cases] == [("s.a", "passed"), ("s.b", "failed"), ("s.c", "skipped")]
    assert (got.total, got.ok) == (3, False) and got.summary == "1 passed, 1 failed, 1 skipped"


def test_output_that_ends_half_way_is_not_ok(tree: Tree) -> None:
    text = GOOD.replace("not ok 2 b", "ok 2 b")
    assert not ktap.parse(text[:text.index("    ok 3")].splitlines(), tree.path).ok


def test_no_ktap_at_all(tree: Tree) -> None:
    got = ktap.parse(["Kernel panic - not syncing: x"], tree.path)
    assert (got.total, got.ok) == (0, False)


def test_a_tree_without_a_parser(tmp_path: Path) -> None:
    with pytest.raises(ktap.NoParser, match=r"kunit_parser\.py"):
        ktap.parse([], tmp_path)


@pytest.mark.linux
def test_the_suites_of_the_initramfs(kernel: Kernel, tree: Tree) -> None:
    run = run_kunit(kernel, tree.path)
    assert (run.end, run.exit_code) == ("done", 0), run.console
    assert "initramfs.initramfs_test_extract" in [c.name for c in run.outcome.cases if c.status == "passed"]


@pytest.mark.linux
def test_no_suite_matches(kernel: Kernel, tree: Tree) -> None:
    assert run_kunit(kernel, tree.path, "nonesuch*").exit_code == 125


@pytest.mark.linux
def test_a_kernel_that_dies_in_its_tests(kernel: Kernel, tree: Tree) -> None:
    run = run_kunit(kernel, tree.path, memory="2M", timeout=10)
    assert run.exit_code in (124, 255) and run.message
