# SPDX-License-Identifier: GPL-2.0-only
"""A finding that is taken away as a KUnit case: it compiles, fails in the kernel as it is, and passes in one that is mended."""
from __future__ import annotations

import pytest

from kemu.rung.c.build import Library, build
from kemu.rung.c.kunit import run_kunit
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.tree import Tree
from tests.takeaway.faults import FAULTS
from tests.takeaway.folders import cases, mended, tree_or_skip


@pytest.fixture(scope="module")
def tree() -> Tree:
    return tree_or_skip()


@pytest.fixture(scope="module", params=["as it is", "mended"])
def kernel(request: pytest.FixtureRequest, tree: Tree) -> tuple[str, Library, list[str]]:
    suites = cases()
    more = mended() if request.param == "mended" else []
    return request.param, build(Recipe(tree, "fast", (), (*suites.values(), *more), "takeaway"), "kunit"), list(suites)


@pytest.mark.parametrize("n", range(len(FAULTS)), ids=lambda n: FAULTS[n].name)
def test_the_case_fails_until_it_is_mended(kernel: tuple[str, Library, list[str]], tree: Tree, n: int) -> None:
    how, library, suites = kernel
    run = run_kunit(library, tree.path, suites[n])
    assert run.exit_code != 125 and (run.exit_code == 0) is (how == "mended"), run.console[-3000:]
