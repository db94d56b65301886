# SPDX-License-Identifier: GPL-2.0-only
"""Kernels whose schedules are chosen: skipped, with the reason, where none can be had."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from kemu.explore.experiment import load_entry_points
from kemu.rung.uml import config as kconfig
from kemu.rung.uml.build import Recipe, cached
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.sched.asked import AskedSched, asked_sched
from kemu.rung.uml.tree import Tree

Ask = Callable[..., AskedSched]


@pytest.fixture
def ask(tree: Tree) -> Iterator[Ask]:
    """The experiments' kernel, of a flavour and with patches, built if need be (ten seconds, the first time thirty)."""
    asked = asked_sched()
    load_entry_points()

    def get(flavour: str = "sched", patches: Sequence[Patch] = (), extra: Sequence[str] = ()) -> AskedSched:
        slot = "-".join(("planted" if patches or extra else "plain", *("more" for _ in extra[:1])))
        if not cached(Recipe(tree, flavour, extra, patches, slot)) and (missing := kconfig.missing_tools()):
            pytest.skip(f"cannot build a kernel: no {', '.join(missing)} (`kemu doctor` says how to get it)")
        asked.close()
        asked.recipe = flavour, patches, extra, slot
        asked.prepare()
        return asked

    yield get
    asked.close()
    asked.recipe = "sched", (), (), "plain"
