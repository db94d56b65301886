# SPDX-License-Identifier: GPL-2.0-only
"""The cases of all faults as one series."""
from __future__ import annotations

import pytest

from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.run import execute
from kemu.report.takeaway.folder import Sources, files
from kemu.rung.uml.cache import default_tree
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.tree import Tree, find_tree
from tests.takeaway.faults import FAULTS


def tree_or_skip() -> Tree:
    """The kernel tree that cases are built in; without one the test is skipped."""
    if not (default_tree() / "Makefile").exists():
        pytest.skip("no kernel tree: kemu linux fetch")
    return find_tree()


def cases() -> dict[str, Patch]:
    """The name of each fault's suite, with the patch that adds it, each on top of those before."""
    load_entry_points()
    folder = "fs/erofs"
    makefile = (default_tree() / folder / "Makefile").read_text()
    out = {}
    for fault in FAULTS:
        run = execute(registry[fault.experiment], fault.source())
        assert run.finding is not None, fault.name
        made = files(run, Sources("7.2", {folder: makefile}), fault.name, "out")
        data = made["kunit/0001-kunit.patch"]
        suite = "kemu_" + fault.name.replace("-", "_")[:24].strip("_")
        makefile += f"obj-$(CONFIG_KUNIT) += {suite}.o\n"
        assert f"+obj-$(CONFIG_KUNIT) += {suite}.o\n".encode() in data
        out[suite] = Patch(fault.name, fault.name, data)
    return out


def mended() -> list[Patch]:
    """The changes that mend all of them, as diffs of each file."""
    from tests.sched.planted import Race  # its edits of one file stand on top of each other

    return Race("mended", "", tuple((f.file, *edit) for f in FAULTS for edit in f.edits)).patches()
