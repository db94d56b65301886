# SPDX-License-Identifier: GPL-2.0-only
"""The C rung's tests: skipped, with the reason, where the kernel's C cannot be compiled."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kemu.rung.c.build import Library, build
from kemu.rung.c.kernel import Kernel
from kemu.rung.uml import config as kconfig
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.tree import Tree


@pytest.fixture(scope="session")
def library(tree: Tree) -> Callable[[str], Library]:
    """The shared object of a flavour, built if need be."""
    missing = kconfig.missing_tools()
    if missing:
        pytest.skip(f"cannot compile the kernel's C: no {', '.join(missing)} (`kemu doctor` says how to get it)")
    return lambda flavour: build(Recipe(tree), flavour)


@pytest.fixture(scope="session", params=["plain", "asan"])
def kernel(request: Any, library: Callable[[str], Library]) -> Iterator[Kernel]:
    """One kernel for all cases, of each flavour that must answer as Linux does."""
    with Kernel(library=library(request.param)) as k:
        yield k
