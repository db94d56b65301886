# SPDX-License-Identifier: GPL-2.0-only
"""The text of a bad memory access, as KASAN or the page fault handler words it."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kemu.machine.current import this
from kemu.machine.memory import KMAP_START, VMALLOC_END, VMALLOC_START
from kemu.machine.shadow import BAD_KIND, CONST, NOT_PRESENT
from kemu.machine.splat import Splat, call_trace, caller_function

if TYPE_CHECKING:
    from kemu.machine.memory import Memory


def _where(addr: int) -> str:
    if addr < 4096:
        return "null-ptr-deref"
    if addr >= KMAP_START:
        return "out-of-bounds"          # beside a one-page kmap window
    if VMALLOC_START <= addr < VMALLOC_END:
        return "vmalloc-out-of-bounds"
    return "wild-memory-access"


def bad_access(mem: Memory, addr: int, n: int, write: bool, near: int) -> Splat:
    """The report for an access of ``n`` bytes at ``addr``."""
    facts = describe_range(mem, addr, n)
    code, first = int(facts["code"]), int(facts["first_bad"])
    func, line = caller_function()
    machine = this.machine
    details: list[str] = []
    verb = "Write" if write else "Read"
    if code == CONST:
        title = f"BUG: KASAN: write to const memory in {func}"
    elif code == NOT_PRESENT:
        title = f"BUG: KASAN: {_where(first)} in {func}"
    else:
        title = f"BUG: KASAN: {BAD_KIND.get(code, 'invalid-access')} in {func}"
    details.append(f"{verb} of size {n} at addr {addr:016x} by task {this.task.comm}/{this.task.pid}")
    if first != addr:
        details.append(f"The first bad byte is at {first:016x}, {first - addr} bytes into the access")
    what = machine.describe_address(first)
    if what:
        details.append(what)
    details.append(f"Virtual time: {machine.clock.now_ns} ns")
    details.append("Call Trace:")
    details += call_trace()
    return Splat(title, details, function=func, addr=addr, size=n, first_bad=first, code=code,
                 access="write" if write else "read", line=line)


def describe_range(mem: Memory, addr: int, n: int) -> dict[str, Any]:
    """Facts about an address range for reports: where its first bad byte is and what code it has."""
    codes = mem.shadow(addr, max(n, 1))
    for i, c in enumerate(codes):
        if c >= 0x80:
            return {"first_bad": addr + i, "code": c}
    for i, c in enumerate(codes):
        if c == CONST:
            return {"first_bad": addr + i, "code": c}
    return {"first_bad": addr, "code": codes[0] if codes else NOT_PRESENT}
