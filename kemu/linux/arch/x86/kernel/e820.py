# SPDX-License-Identifier: GPL-2.0-only
"""The ``mem=`` parameter (arch/x86/kernel/e820.c)."""
from __future__ import annotations

from kemu.linux.errno import EINVAL
from kemu.linux.include.init import early_param
from kemu.linux.lib.cmdline import memparse
from kemu.linux.port.honesty import custom

C = "arch/x86/kernel/e820.c"


@early_param("mem")
@custom(C, "parse_memopt", "whoever makes the machine has given it no more memory than that")
def parse_memopt(p: str | None) -> int:
    """``mem=SIZE``: no memory beyond SIZE is used. Return: 0, -EINVAL."""
    if not p or not memparse(p)[0]:
        return -EINVAL
    return 0
