# SPDX-License-Identifier: GPL-2.0-only
"""Lent memory: nothing writes to it, and nobody keeps it when it is given back."""
from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from kemu.check.watch import Detector, Detectors
from kemu.machine.splat import Splat

if TYPE_CHECKING:
    from kemu.machine.machine import Machine
    from kemu.machine.region import Region


class LentMemory(Detector):
    """Stores are caught by the shadow where they happen; this compares the bytes, which also sees a device or a decompressor
    write past it.
    """

    name = "lent memory"

    def __init__(self) -> None:
        self.machine: Machine | None = None
        self.before: dict[int, tuple[Region, str, list[str]]] = {}

    def attach(self, machine: Machine, others: Detectors) -> None:
        self.machine = machine

    def _digest(self, r: Region) -> str:
        assert self.machine is not None
        return hashlib.blake2b(self.machine.mem.raw(r.addr, min(r.size, 1 << 22)), digest_size=16).hexdigest()

    def mark(self) -> None:
        assert self.machine is not None
        self.before = {id(r): (r, self._digest(r), list(r.users)) for r in self.machine.regions if r.state != "released"}

    def finish(self) -> None:
        for r, digest, users in self.before.values():
            if r.state == "released":
                continue
            if self._digest(r) != digest:
                raise Splat(f"BUG: KASAN: write to const memory: region {r.name} changed while it was lent", [r.describe(r.addr)],
                            function="")
            if r.users != users:
                raise Splat(f"BUG: region {r.name} still lent after the operation",
                            [f"users before: {users}", f"users now: {r.users}"], function="")
