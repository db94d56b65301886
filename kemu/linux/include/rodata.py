# SPDX-License-Identifier: GPL-2.0-only
"""String literals that code passes by address: constant data of the kernel image.

Two kinds of machine (``Rodata.kind``): "guarded", where writing to a literal or behind it is reported, and "plain", as a real
boot has it before mark_readonly(): the writes go through, and :func:`changed` tells afterwards.
"""
from __future__ import annotations

from typing import NamedTuple

from kemu.linux.port.honesty import custom
from kemu.machine.current import this
from kemu.machine.splat import caller_function

P = "include/linux/init.h"

GUARDED, PLAIN = "guarded", "plain"


@custom("include/asm-generic/sections.h", "__start_rodata", "the literals that were passed on, each a region of its own")
class Rodata:
    """Constant data of one machine. ``kind``: GUARDED or PLAIN. ``literals``: text -> address; ``users``: text -> who passed it
    on, name and ``file:line``.
    """

    __slots__ = ("kind", "literals", "users")

    def __init__(self) -> None:
        self.kind = GUARDED
        self.literals: dict[str, int] = {}
        self.users: dict[str, tuple[str, str]] = {}


@custom(P, "__initconst", "a string literal's address; the same one for the same text")
def literal(text: str) -> int:
    """``"text"`` as a ``char *``. NULL never."""
    rodata = this.machine.part(Rodata)
    addr = rodata.literals.get(text)
    if addr is None:
        raw = text.encode("utf-8", "surrogateescape") + b"\0"
        if rodata.kind == PLAIN:
            # other constant data lies behind it: a page of it may be hit
            region = this.machine.place(raw.ljust(2 * this.mem.page_size, b"\x5a"), 0, "linear",
                                        f"literal \"{text}\" and rodata behind it", True)
            this.machine.regions.remove(region)
        else:
            region = this.machine.place(raw, 0, "linear", f"literal \"{text}\"")
        addr = rodata.literals[text] = region.addr
        rodata.users[text] = caller_function()
    return addr


@custom("include/asm-generic/sections.h", "Change", "a finding of this module")
class Change(NamedTuple):
    """What was written to constant data: in a literal or ``behind`` it; ``user``: who passed the literal on, name and
    ``file:line``.
    """

    what: str
    behind: bool
    user: tuple[str, str]
