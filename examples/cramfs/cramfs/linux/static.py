# SPDX-License-Identifier: GPL-2.0-only
"""Arrays of the kernel image: ``static unsigned char name[rows][size]``, whose address a port computes with."""

from __future__ import annotations

from collections.abc import Callable

from kemu.linux.port.honesty import custom
from kemu.linux.types import this


@custom(
    "include/asm-generic/vmlinux.lds.h",
    ".bss",
    "memory of the machine, with a page that nobody may touch before and behind it; there when it is first used",
)
class static_chars:
    """``static unsigned char name[rows][size()]``: ``[i]`` is the address of a row. Made by ``statics()``: one for each machine,
    before its page size is known, so that a size that depends on it is a function."""

    __slots__ = ("addr", "name", "rows", "size")

    def __init__(self, name: str, rows: int, size: Callable[[], int]):
        self.name = name
        self.rows = rows
        self.size = size
        self.addr = 0

    def __getitem__(self, i: int) -> int:
        if not self.addr:
            region = this.machine.place(bytes(self.rows * self.size()), 0, "linear", self.name, True)
            this.machine.regions.remove(region)  # those are an owner's, and nobody may write to them
            self.addr = region.addr
        return self.addr + i * self.size()

    def __repr__(self) -> str:
        return f"<static unsigned char {self.name}[{self.rows}][{self.size()}]>"
