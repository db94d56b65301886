# SPDX-License-Identifier: GPL-2.0-only
"""Which string literals were changed (mm/rodata_test.c asks the same of one)."""
from __future__ import annotations

from kemu.linux.include.rodata import PLAIN, Change, Rodata
from kemu.linux.port.honesty import custom
from kemu.machine.current import this

C = "mm/rodata_test.c"


@custom(C, "rodata_test", "tells what was written, instead of faulting")
def changes() -> list[Change]:
    """What was written to constant data of a "plain" machine."""
    out = []
    rodata = this.machine.part(Rodata)
    for text, addr in rodata.literals.items():
        user = rodata.users[text]
        raw = text.encode("utf-8", "surrogateescape") + b"\0"
        now = bytes(this.mem.raw(addr, len(raw)))
        if now != raw:
            out.append(Change(f"literal {text!r} has become {now[:-1].decode('utf-8', 'replace')!r}", False, user))
        if rodata.kind == PLAIN:
            behind = bytes(this.mem.raw(addr + len(raw), 2 * this.mem.page_size - len(raw)))
            for i, b in enumerate(behind):
                if b != 0x5A:
                    out.append(Change(f"byte {len(raw) + i} behind the start of literal {text!r}, in other constant data, has "
                                      f"become {b:#04x}", True, user))
    return out
