# SPDX-License-Identifier: GPL-2.0-only
"""Who made the mapping beside which an access went."""
from __future__ import annotations

from typing import TYPE_CHECKING

from kemu.check.watch import Detector, Detectors
from kemu.check.where import Site, site
from kemu.machine.memory import KMAP_START
from kemu.machine.shadow import NOT_PRESENT, PAGE_REDZONE, SLAB_REDZONE
from kemu.machine.splat import Splat
from kemu.machine.vmalloc import Kmap

if TYPE_CHECKING:
    from kemu.machine.machine import Machine

_sites: dict[int, dict[int, Site | None]] = {}      # id(kmap) -> page number of a window -> who mapped it


class _NotedKmap(Kmap):
    """Kmap that remembers its callers; a machine without detectors keeps the plain one."""

    __slots__ = ()

    def map(self, pfn: int) -> int:
        addr = Kmap.map(self, pfn)
        _sites[id(self)][addr >> self.mem.shift] = site()
        return addr


class Windows(Detector):
    """Names the function that mapped the page, in reports of accesses that run over its edge or over the edge of what it shows.
    """

    name = "windows"

    def __init__(self) -> None:
        self.machine: Machine | None = None

    def attach(self, machine: Machine, others: Detectors) -> None:
        self.machine = machine
        _sites[id(machine.kmap)] = {}
        machine.kmap.__class__ = _NotedKmap
        machine.exit_hooks.append(self._forget)

    def _forget(self) -> None:
        if self.machine is not None:
            _sites.pop(id(self.machine.kmap), None)

    def explain(self, splat: Splat) -> list[str]:
        addr = splat.facts.get("first_bad")
        if (self.machine is None or not isinstance(addr, int) or addr < KMAP_START
            or splat.facts.get("code") not in (NOT_PRESENT, PAGE_REDZONE, SLAB_REDZONE)):
            return []
        shift = self.machine.mem.shift
        noted = _sites.get(id(self.machine.kmap), {})
        for vpn in (addr >> shift, (addr >> shift) - 1, (addr >> shift) + 1):
            where = noted.get(vpn)
            if where is not None:
                splat.facts["mapped_in"] = where.function
                return [f"The window was mapped in {where}"]
        return []
