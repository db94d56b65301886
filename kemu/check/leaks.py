# SPDX-License-Identifier: GPL-2.0-only
"""What an operation left behind: objects, pages, mappings, kmap windows."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kemu.check.objects import Objects, Record
from kemu.check.refs import References
from kemu.check.watch import Detector, Detectors
from kemu.check.where import Site, site
from kemu.machine.current import this
from kemu.machine.pages import SLAB, Page
from kemu.machine.splat import Splat

if TYPE_CHECKING:
    from kemu.machine.machine import Machine


class Leaks(Detector):
    """Between ``mark()`` and ``finish()`` every allocation must find its free."""

    name = "leaks"

    def __init__(self) -> None:
        self.pages: dict[int, tuple[Page, Site | None, int]] = {}       # pfn -> page, where, number
        self.count = 0
        self._objects_before = 0
        self._pages_before = 0
        self._areas_before: set[int] = set()
        self.machine: Machine | None = None
        self.objects: Objects | None = None
        self.refs: References | None = None

    def attach(self, machine: Machine, others: Detectors) -> None:
        self.machine = machine
        self.objects = others.get(Objects)
        self.refs = others.get(References)

    def page_alloc(self, page: Page) -> None:
        self.count += 1
        self.pages[page.pfn] = (page, site(), self.count)

    def page_free(self, page: Page) -> None:
        self.pages.pop(page.pfn, None)

    def mark(self) -> None:
        self._pages_before = self.count
        if self.objects is not None:
            self._objects_before = self.objects.number
        assert self.machine is not None
        self._areas_before = set(self.machine.vm.areas)

    def finish(self) -> None:
        self._check_kmap()
        self._check_objects()
        self._check_pages()
        self._check_areas()

    def _splat(self, what: str, function: str, details: list[str], **facts: Any) -> Splat:
        return Splat(f"BUG: memory leak in {function}: {what}", [*details, f"Virtual time: {this.machine.clock.now_ns} ns"],
                     function=function, **facts)

    def _check_objects(self) -> None:
        if self.objects is None:
            return
        left: list[Record] = [r for r in self.objects.live.values() if r.number > self._objects_before and not _kept_by_api(r)]
        if not left:
            return
        first = min(left, key=lambda r: r.number)
        func = first.allocated_in.function if first.allocated_in else "?"
        lines = []
        for r in sorted(left, key=lambda r: r.number)[:8]:
            lines.append(f"unreferenced object: {r.label} ({r.kind})")
            lines += ["  " + x for x in r.lines()]
            if self.refs is not None:
                lines += ["  " + x for x in self.refs.lines(r.obj)]
        if len(left) > 8:
            lines.append(f"... and {len(left) - 8} more objects")
        what = first.label if type(first.obj) is not int else f"{first.size} bytes"
        raise self._splat(f"unreferenced object ({what})", func, lines,
                          line=first.allocated_in.place if first.allocated_in else "", count=len(left))

    def _check_pages(self) -> None:
        left = [(p, s, n) for p, s, n in self.pages.values() if n > self._pages_before and p.kind != SLAB]
        if not left:
            return
        left.sort(key=lambda e: e[2])
        page, where, _ = left[0]
        func = where.function if where else "?"
        lines = []
        for p, s, _ in left[:8]:
            lines += [repr(p), f"  allocated in {s or '?'}"]
            if self.refs is not None:
                lines += ["  " + x for x in self.refs.lines(p)]
        if len(left) > 8:
            lines.append(f"... and {len(left) - 8} more pages")
        owner = self.refs.holder(page) if self.refs is not None else ""
        raise self._splat("page never freed", owner or func, lines, line=where.place if where and not owner else "",
                          count=len(left))

    def _check_areas(self) -> None:
        assert self.machine is not None
        left = [a for a in self.machine.vm.areas.values() if a.addr not in self._areas_before]
        if left:
            raise self._splat("mapping never undone", "vm_map_ram", [f"{a.nr} pages at {a.addr:016x}" for a in left[:8]])

    def _check_kmap(self) -> None:
        assert self.machine is not None
        held = {pid: [p for p in st if p >= 0] for pid, st in self.machine.kmap.stacks.items() if any(p >= 0 for p in st)}
        if held:
            raise Splat("WARNING: kmap_local window still held after the operation",
                        [f"task {pid} holds {len(st)} windows, the innermost on pfn {st[-1]:#x}" for pid, st in held.items()],
                        function="kmap_local_page")


def _kept_by_api(r: Record) -> bool:
    """A cache or workqueue that the API itself made when it was first needed, as the kernel does at boot."""
    return (r.kind in ("kmem_cache", "workqueue") and r.allocated_in is not None
            and r.allocated_in.api not in ("kmem_cache_create", "alloc_workqueue"))
