# SPDX-License-Identifier: GPL-2.0-only
"""A boot that an experiment remembers, to compare others with, is not taken for one of another configuration."""
from __future__ import annotations

from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.run import execute
from kemu.explore.source import ListSource

from initramfs.harness.experiments_owner import _plain

load_entry_points()


def test_a_boot_without_tmpfs_is_not_what_others_are_compared_with() -> None:
    exp = registry["layered.schedules"]
    _plain.clear()
    without = execute(exp, ListSource([]), config={"CONFIG_TMPFS": False})
    assert without.finding is not None or _plain            # it got as far as it can, and whatever it has remembered is its own
    assert execute(exp, ListSource([])).finding is None
    trees = {dict(flips).get("CONFIG_TMPFS", True): len(seen.tree) for flips, seen in _plain.items()}
    assert trees[True] == 8 and trees.get(False) != 8
