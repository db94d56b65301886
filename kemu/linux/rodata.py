# SPDX-License-Identifier: GPL-2.0-only
"""String literals that code passes by address: constant data of the kernel image.

Two kinds of machine (``Rodata.kind``): "guarded", where writing to a literal or behind it is reported, and "plain", as a real
boot has it before mark_readonly(): the writes go through, and :func:`changed` tells afterwards.
"""
from __future__ import annotations

from kemu.linux.include.rodata import GUARDED, PLAIN, Change, Rodata, literal  # noqa: F401
from kemu.linux.mm.rodata_test import changes
from kemu.linux.port.honesty import custom

P = "include/asm-generic/sections.h"


@custom(P, "changed", "the texts of changes()")
def changed() -> list[str]:
    """:func:`changes` as lines."""
    return [c.what for c in changes()]
