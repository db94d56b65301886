# SPDX-License-Identifier: GPL-2.0-only
"""The Linux rung's tests: skipped, with the reason, where no kernel can be had."""
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kemu.rung.uml import Oracle
from kemu.rung.uml import config as kconfig
from kemu.rung.uml.build import Kernel, Recipe, build, cached
from kemu.rung.uml.tree import Tree

CORPUS = Path(os.environ.get("KEMU_CORPUS") or Path(__file__).resolve().parents[3] / "shared" / "corpus")
# images of the corpus whose contents Linux takes from memory that it never wrote: they differ from run to run
UNINITIALISED = {"text-deflate#0435", "text-rndalg#1922"}


@pytest.fixture(scope="session")
def kernel(tree: Tree) -> Kernel:
    """The fast flavour, built if need be."""
    recipe = Recipe(tree)
    if not cached(recipe):
        missing = kconfig.missing_tools()
        if missing:
            pytest.skip(f"cannot build a kernel: no {', '.join(missing)} (`kemu doctor` says how to get it)")
    return build(recipe)


@pytest.fixture(scope="session")
def flavour(tree: Tree) -> Callable[[str], Kernel]:
    """A kernel of another flavour. Each takes minutes to build, so it is built only if $KEMU_FLAVOURS names it."""
    def get(name: str) -> Kernel:
        recipe = Recipe(tree, name)
        if not cached(recipe) and name not in os.environ.get("KEMU_FLAVOURS", "").split(","):
            pytest.skip(f"no {name} kernel in the cache: `kemu linux build --flavour {name}`, or KEMU_FLAVOURS={name}")
        return build(recipe)
    return get


@pytest.fixture(scope="session")
def oracle(kernel: Kernel) -> Iterator[Oracle]:
    """One oracle for all cases that do no harm."""
    with Oracle(kernel=kernel) as o:
        yield o


def rows(path: Path) -> list[dict[str, Any]]:
    """Rows of a file of the corpus; skips where there is none."""
    if not path.exists():
        pytest.skip(f"no corpus at {path.parent} (KEMU_CORPUS names it)")
    return [json.loads(line) for line in path.read_text().splitlines()]
