# SPDX-License-Identifier: GPL-2.0-only
"""The order in which the emulated kernel runs initcalls is that of a UML boot."""
from __future__ import annotations

import re
import struct
from pathlib import Path

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


def test_the_vmlinux_and_its_map_are_that_table(kernel: Kernel) -> None:
    """The ELF file, its System.map and vmlinux.o say what the boot of that build did."""
    built = Path(kernel.objects) / "vmlinux"
    if not built.exists() or section(built, ".initcall.init") != section(kernel.path, ".initcall.init"):
        pytest.skip("the build directory holds another configuration than the cached kernel")
    linux = called(boot_linux(b"", "initcall_debug ignore_loglevel loglevel=8", kernel=kernel).console.splitlines())
    table = initcalls.load(str(built))
    assert initcalls.load(str(built.with_name("System.map"))) == table and len(table) > 100
    assert [x for x in linux if not x.startswith("==")] == [e.name for e in table]
    assert [e.name for e in initcalls.load(str(built.with_name("vmlinux.o")))] == [e.name for e in table]
    ours = called(boot_initrd(b"", cmdline="initcall_debug", initcalls=table, tree=False).log)
    assert [x for x in ours if x in set(linux)] == linux


def section(path: Path, name: str) -> bytes:
    """A section's contents; the file may be stripped."""
    data = path.read_bytes()
    shoff, = struct.unpack_from("<Q", data, 0x28)
    size, count, names = struct.unpack_from("<3H", data, 0x3A)
    rows = [struct.unpack_from("<2I4Q", data, shoff + i * size) for i in range(count)]
    for r in rows:
        at = rows[names][4] + r[0]
        if data[at:data.index(b"\0", at)].decode() == name:
            return data[r[4]:r[4] + r[5]]
    return b""


def test_a_boots_log_is_a_table(kernel: Kernel) -> None:
    """With the table of the same build, read from its own log, the whole order is Linux's."""
    console = boot_linux(b"", "initcall_debug ignore_loglevel loglevel=8", kernel=kernel).console
    table = initcalls.parse(console)
    linux = called(console.splitlines())
    ours = called(boot_initrd(b"", cmdline="initcall_debug", initcalls=table, tree=False).log)
    assert [x for x in ours if x in set(linux)] == linux
