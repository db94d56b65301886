# SPDX-License-Identifier: GPL-2.0-only
"""The order in which the emulated kernel runs initcalls is that of a UML boot."""
from __future__ import annotations

import re

import pytest

from kemu.cli._boot import boot_initrd
from kemu.machine import initcalls
from kemu.rung.uml.build import Kernel
from kemu.rung.uml.initrd import boot_initrd as boot_linux

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
    """The packaged table is another build's: what only one of the two has is left out; everything else stands in the same order."""
    linux = called(boot_linux(b"", "initcall_debug ignore_loglevel loglevel=8", kernel=kernel).console.splitlines())
    ours = called(boot_initrd(b"", cmdline="initcall_debug", tree=False).log)
    both = set(linux) & set(ours)
    assert len(both) > 100 and "populate_rootfs" in both and "erofs_module_init" in both
    assert [x for x in ours if x in both] == [x for x in linux if x in both]


def test_a_boots_log_is_a_table(kernel: Kernel) -> None:
    """With the table of the same build, read from its own log, the whole order is Linux's."""
    console = boot_linux(b"", "initcall_debug ignore_loglevel loglevel=8", kernel=kernel).console
    table = initcalls.parse(console)
    linux = called(console.splitlines())
    ours = called(boot_initrd(b"", cmdline="initcall_debug", initcalls=table, tree=False).log)
    assert [x for x in ours if x in set(linux)] == linux
