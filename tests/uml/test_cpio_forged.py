# SPDX-License-Identifier: GPL-2.0-only
"""Forged archives, good, wild and damaged, through the port and through Linux's own unpack_to_rootfs()."""
from __future__ import annotations

import pytest

from kemu.forge.cpio_choose import CpioArchive, break_cpio, choose_cpio
from kemu.forge.cpio_wild import choose_wild, damage
from kemu.forge.pick import Pick, SeedValues
from kemu.rung.uml import Oracle
from kemu.rung.uml.build import Kernel

from initramfs.harness.differential import by_linux, by_port, disagreement, known

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


def test_forged_archives(kernel: Kernel) -> None:
    wrong = []
    with Oracle(kernel=kernel) as oracle:
        for seed in SEEDS:
            data = forged(seed).data
            port, linux = by_port(data), by_linux(oracle, data)
            text = disagreement(port, linux)
            if text and not known(oracle, data, port, linux):
                wrong.append(f"seed {seed}: {text}")
    assert not wrong, "\n".join(wrong)
