# SPDX-License-Identifier: GPL-2.0-only
"""String literals that code passes by address: constant data of the kernel image.

Two kinds of machine (part ``rodata``): "guarded", where writing to a literal or behind it is reported, and "plain", as a real boot has it before
mark_readonly(): the writes go through, and :func:`changed` tells afterwards.
"""
from __future__ import annotations

from typing import NamedTuple

from kemu.linux.honesty import custom
from kemu.machine.current import this
from kemu.machine.splat import caller_function

GUARDED, PLAIN = "guarded", "plain"


@custom("include/linux/init.h", "__initconst", "a string literal's address; the same one for the same text")
def literal(text: str) -> int:
    """``"text"`` as a ``char *``. NULL never."""
    parts = this.machine.parts
    known: dict[str, int] = parts.setdefault("literals", {})
    addr = known.get(text)
    if addr is None:
        raw = text.encode("utf-8", "surrogateescape") + b"\0"
        if parts.get("rodata", GUARDED) == PLAIN:
            # other constant data lies behind it: a page of it may be hit
            region = this.machine.place(raw.ljust(2 * this.mem.page_size, b"\x5a"), 0, "linear", f"literal \"{text}\" and rodata behind it", True)
            this.machine.regions.remove(region)
        else:
            region = this.machine.place(raw, 0, "linear", f"literal \"{text}\"")
        addr = known[text] = region.addr
        parts.setdefault("literal_users", {})[text] = caller_function()
    return addr


@custom("include/asm-generic/sections.h", "Change", "a finding of this module")
class Change(NamedTuple):
    """What was written to constant data: in a literal or ``behind`` it; ``user``: who passed the literal on, name and ``file:line``."""

    what: str
    behind: bool
    user: tuple[str, str]


@custom("mm/rodata_test.c", "rodata_test", "tells what was written, instead of faulting")
def changes() -> list[Change]:
    """What was written to constant data of a "plain" machine."""
    out = []
    for text, addr in this.machine.parts.get("literals", {}).items():
        user = this.machine.parts["literal_users"][text]
        raw = text.encode("utf-8", "surrogateescape") + b"\0"
        now = bytes(this.mem.raw(addr, len(raw)))
        if now != raw:
            out.append(Change(f"literal {text!r} has become {now[:-1].decode('utf-8', 'replace')!r}", False, user))
        if this.machine.parts.get("rodata") == PLAIN:
            behind = bytes(this.mem.raw(addr + len(raw), 2 * this.mem.page_size - len(raw)))
            for i, b in enumerate(behind):
                if b != 0x5A:
                    out.append(Change(f"byte {len(raw) + i} behind the start of literal {text!r}, in other constant data, has become {b:#04x}", True, user))
    return out


@custom("include/asm-generic/sections.h", "changed", "the texts of changes()")
def changed() -> list[str]:
    """:func:`changes` as lines."""
    return [c.what for c in changes()]
