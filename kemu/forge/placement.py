# SPDX-License-Identifier: GPL-2.0-only
"""Where an image or an initrd lies in memory."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kemu.forge.pick import Pick

#: how a region of memory may be backed
MEMORY_KINDS = ("linear", "vmalloc", "reserved", "readonly")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image (or an initrd) lies in memory.

    at         byte offset from a page boundary
    page_size  of the emulated kernel
    memory     one of the kinds given to :func:`choose_placement`
    cut        bytes cut off the end of the region (0: whole)
    """

    at: int = 0
    page_size: int = 4096
    memory: str = "linear"
    cut: int = 0


def choose_placement(pick: Pick, page_sizes: Sequence[int] = (4096,), memory: Sequence[str] = ("linear",),
                     cut: int = 0) -> Placement:
    """One placement. Offsets: 0, small ones, those around sectors and blocks, anything."""
    page_size = pick.one_of("page_size", page_sizes)
    form = pick.int("at form", 0, 3)
    if form == 0:
        at = 0
    elif form == 1:
        at = pick.one_of("at", (4, 8, 1, 2, 512, 1024, 2048, page_size // 2))
    elif form == 2:
        at = max(0, min(page_size - 1, pick.int("sector", 0, page_size // 512) * 512 + pick.int("near", 0, 8) - 4))
    else:
        at = pick.int("at", 0, page_size - 1)
    return Placement(at, page_size, pick.one_of("memory", memory), pick.int("cut", 0, cut))
