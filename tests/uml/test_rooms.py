# SPDX-License-Identifier: GPL-2.0-only
"""Where the kernel has the untagged functions of the rooms: the table that the test without a tree goes by is the tree's."""
from __future__ import annotations

from kemu.rung.uml.tree import Tree
from tests.integration.linux import untagged


def test_the_table_is_the_trees(tree: Tree) -> None:
    assert untagged.lines(untagged.defined(tree.path, (name for _, name in untagged.functions()))) == untagged.TABLE.read_text()


def test_the_tree_is_searched(tree: Tree) -> None:
    found = untagged.defined(tree.path, ["lock_two_nondirectories", "path_mounted", "list_del_init", "no_such_function"])
    assert found == {"lock_two_nondirectories": ["fs/inode.c"], "path_mounted": ["fs/internal.h"],
                     "list_del_init": ["include/linux/list.h"], "no_such_function": []}
