# SPDX-License-Identifier: GPL-2.0-only
"""Bytes that were never written: a decision made on them, or their way to a reader."""
from __future__ import annotations

from typing import TYPE_CHECKING

from kemu.check.leaks import Leaks
from kemu.check.watch import Detector, Detectors
from kemu.machine.current import this
from kemu.machine.shadow import UNINIT
from kemu.machine.splat import Splat, call_trace, caller_function

if TYPE_CHECKING:
    from kemu.machine.machine import Machine


class Uninitialised(Detector):
    """KMSAN's two reports."""

    name = "uninit"

    def __init__(self) -> None:
        self.machine: Machine | None = None
        self.leaks: Leaks | None = None

    def attach(self, machine: Machine, others: Detectors) -> None:
        self.machine = machine
        self.leaks = others.get(Leaks)

    def uninit_use(self, addr: int, size: int, what: str) -> None:
        mem = this.mem
        codes = mem.shadow(addr, size)
        first = codes.index(UNINIT) if UNINIT in codes else 0
        func, line = caller_function()
        kind = "kernel-infoleak" if what == "copy to reader" else "uninit-value"
        details = [f"Byte {first} of {size} at addr {addr:016x} ({codes.count(UNINIT)} bytes were never written), used by {what}"]
        described = this.machine.describe_address(addr + first)
        if described:
            details.append(described)
        if self.leaks is not None:
            pfn = mem.pfn_of(addr + first)
            page = this.machine.alloc.lookup(pfn)
            entry = self.leaks.pages.get(page.pfn if page is not None else pfn)
            if entry is not None:
                details.append(f"Uninit was created at: {entry[1] or '?'}")
        details += [f"Virtual time: {this.machine.clock.now_ns} ns", "Call Trace:", *call_trace()]
        raise Splat(f"BUG: KMSAN: {kind} in {func}", details, function=func, line=line, addr=addr + first, size=size)
