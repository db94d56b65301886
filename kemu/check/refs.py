# SPDX-License-Identifier: GPL-2.0-only
"""The reference ledger: who took and who dropped references, call site by call site."""
from __future__ import annotations

from typing import Any

from kemu.check.watch import Detector
from kemu.check.where import Site, site
from kemu.machine.splat import KernelBug, caller_function


class FrozenPages(Detector):
    """A reference taken on a page whose count stays 0, because it belongs to slab or a large kmalloc: Linux warns and takes none.
    """

    name = "frozen pages"

    def on_frozen_reference(self, folio: Any) -> None:
        func, line = caller_function()
        raise KernelBug(f"BUG: Bad page state: reference taken on {folio.kind} folio with refcount {folio.refcount} in {func}",
                        [repr(folio)],
                        function=func, line=line)


class References(Detector):
    """For every folio and inode: net references per call site. It accuses nobody; a leak report quotes it.

    References of dentries, files and mounts come and go with every path walk: they are left out, as noting them doubles the cost
    of a run.
    """

    name = "refs"
    KINDS = ("folio", "inode")

    def __init__(self) -> None:
        self.table: dict[int, tuple[Any, dict[Site | None, int]]] = {}      # id(obj) -> (obj, site -> net)

    def ref(self, kind: str, obj: Any, delta: int) -> None:
        if kind not in self.KINDS:
            return
        entry = self.table.get(id(obj))
        if entry is None:
            entry = self.table[id(obj)] = (obj, {})
        s = site()
        net = entry[1]
        net[s] = net.get(s, 0) + delta

    def page_alloc(self, page: Any) -> None:
        self.table[id(page)] = (page, {site(): 1})

    def page_free(self, page: Any) -> None:
        self.table.pop(id(page), None)

    def free(self, what: str, obj: Any) -> None:
        self.table.pop(id(obj), None)

    def lines(self, obj: Any) -> list[str]:
        """One line for each call site of an object, gets before puts."""
        entry = self.table.get(id(obj))
        if entry is None or entry[0] is not obj:
            return []
        return [f"{'+' if n > 0 else ''}{n} in {s or '?'}" + (f" by {s.api}" if s is not None and s.api else "")
                for s, n in sorted(entry[1].items(), key=lambda e: (-e[1], str(e[0]))) if n]

    def holder(self, obj: Any) -> str:
        """The function that took most references and gave back fewest."""
        entry = self.table.get(id(obj))
        if entry is None or entry[0] is not obj:
            return ""
        net: dict[str, int] = {}
        for s, n in entry[1].items():
            name = s.function if s is not None else ""
            net[name] = net.get(name, 0) + n
        name, n = max(net.items(), key=lambda e: (e[1], e[0]), default=("", 0))
        return name if n > 0 else ""
