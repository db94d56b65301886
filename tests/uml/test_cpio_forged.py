# SPDX-License-Identifier: GPL-2.0-only
"""Forged archives, good, wild and damaged, through the port and through Linux's own unpack_to_rootfs()."""
from __future__ import annotations

from typing import Any

import pytest

from kemu.cli._boot import boot_initrd
from kemu.forge.cpio import trailer
from kemu.forge.cpio_choose import CpioArchive, break_cpio, choose_cpio
from kemu.forge.cpio_wild import choose_wild, damage
from kemu.forge.pick import Pick, SeedValues
from kemu.report import manifest
from kemu.rung.uml import Oracle
from kemu.rung.uml.build import Kernel

pytestmark = pytest.mark.linux
SEEDS = range(600)


def forged(seed: int) -> CpioArchive:
    pick = Pick(SeedValues(seed))
    kind = seed % 4
    if kind == 0:
        return choose_cpio(pick)
    if kind == 1:
        return break_cpio(choose_cpio(pick), pick)
    if kind == 2:
        return choose_wild(pick)
    return damage(choose_wild(pick) if seed % 8 > 3 else choose_cpio(pick), pick)


def comparable(e: dict[str, Any], null: set[str]) -> dict[str, Any]:
    """Times that either clock set, the root's time and sizes of directories say nothing."""
    e = dict(e)
    if e["path"] in null or e["path"] == "/":
        e["mtime"] = None
    if e["type"] == "dir":
        e["size"] = None
    return e


def difference(linux: Any, ours: Any) -> str:
    if ours.splats:
        # the port's detector has seen a read beyond the archive; Linux dies of it or goes on with whatever lies there
        return "" if linux.crash in (None, "panic", "hang") else f"Linux: {linux.message}"
    if linux.crash:
        # vmalloc(0) warns on both; UML's word-at-a-time strscpy() of a name that ends just before unmapped memory dies where x86 does not
        known = "mm/vmalloc.c" in linux.message and any(x.startswith("WARNING") for x in ours.log) or "sized_strscpy" in linux.console
        return "" if known else f"Linux: {linux.message}"
    if (linux.message or None) != ours.unpack_error:
        return f"Linux says {linux.message!r}, the port {ours.unpack_error!r}"
    null = {e["path"] for side in (linux.entries, ours.tree) for e in side if e["mtime"] is None or e["mtime"][0] >= 1_700_000_000}
    return manifest.diff([comparable(e, null) for e in linux.entries], [comparable(e, null) for e in ours.tree], "Linux", "the port", lines=4)


def test_forged_archives(kernel: Kernel) -> None:
    wrong = []
    with Oracle(kernel=kernel) as oracle:
        for seed in SEEDS:
            data = forged(seed).data
            text = difference(oracle.cpio(data), boot_initrd(data, builtin=trailer().encode()))
            if text:
                wrong.append(f"seed {seed}: {text}")
    assert not wrong, "\n".join(wrong)
