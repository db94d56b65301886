# SPDX-License-Identifier: GPL-2.0-only
"""The order in which the emulated kernel runs initcalls is that of a UML boot."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from kemu.machine import initcalls
from kemu.rung.uml.build import Kernel, Recipe, with_objects
from kemu.rung.uml.initrd import boot_initrd as boot_linux
from kemu.rung.uml.tree import Tree

from initramfs.harness.boots import boot_initrd

pytestmark = pytest.mark.linux


def called(log: list[str]) -> list[str]:
    """Names in order, with the levels between them."""
    out = []
    for line in log:
        m = re.search(r"entering initcall level: (\w+)|calling  (\w+?)(?:\+0x\S+)? @ 1$", line)
        if m:
            out.append(f"== {m[1]}" if m[1] else m[2])
    return out


def test_the_order_is_that_of_linux(kernel: Kernel) -> None:
    """The packaged table is another build's: what only one of the two has is left out; everything else stands in the same order.
    """
    linux = called(boot_linux(b"", "initcall_debug ignore_loglevel loglevel=8", kernel=kernel).console.splitlines())
    ours = called(boot_initrd(b"", cmdline="initcall_debug", tree=False).log)
    both = set(linux) & set(ours)
    assert len(both) > 100 and "populate_rootfs" in both and "erofs_module_init" in both
    assert [x for x in ours if x in both] == [x for x in linux if x in both]


def test_the_vmlinux_and_its_map_are_that_table(kernel: Kernel, tree: Tree) -> None:
    """The ELF file, its System.map and vmlinux.o say what the boot of that build did."""
    kernel = with_objects(Recipe(tree))
    built = Path(kernel.objects) / "vmlinux"
    linux = called(boot_linux(b"", "initcall_debug ignore_loglevel loglevel=8", kernel=kernel).console.splitlines())
    table = initcalls.load(str(built))
    assert initcalls.load(str(built.with_name("System.map"))) == table and len(table) > 100
    assert [x for x in linux if not x.startswith("==")] == [e.name for e in table]
    assert [e.name for e in initcalls.load(str(built.with_name("vmlinux.o")))] == [e.name for e in table]
    ours = called(boot_initrd(b"", cmdline="initcall_debug", initcalls=table, tree=False).log)
    assert [x for x in ours if x in set(linux)] == linux
