# SPDX-License-Identifier: GPL-2.0-only
"""Who owns which page of the initrd, over time: what ``kemu boot --memory`` shows.

Reserving and freeing are told by the machine; whoever reads the initrd's memory for longer (a mount, a disk) is seen by a
recorder around the designs' own functions. The last row is compared with the state of the pages themselves.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.machine.boot import Boot, BootResult, InitMemory
from kemu.machine.machine import Machine
from kemu.machine.shadow import RELEASED_INIT

from erofs_memback import memback
from initramfs import initerofs_rfc, initramfs, layered, verify

COLUMNS = 64
LENT = "123456789abcdefghijklmnopqstuvwxyz"       # no r
LEGEND = {".": "loaded", "r": "reserved", "F": "freed", "D": "behind a disk", "T": "hash tree", "+": "of several kinds"}


class Recorder:
    """Wraps, while a machine boots, what lends and reads the initrd's memory."""

    def __init__(self) -> None:
        # not while a machine is there: its series have their functions in the modules' places

        self._memback, self._rfc, self._initramfs, self._layered, self._verify = (memback, initerofs_rfc, initramfs, layered,
                                                                                  verify)
        self._undo: list[tuple[Any, str, Any]] = []

    def _wrap(self, module: Any, name: str, make: Callable[[Any], Any]) -> None:
        original = getattr(module, name)
        self._undo.append((module, name, original))
        setattr(module, name, make(original))

    def install(self, m: Machine) -> None:
        """Wrap, on the machine that is current."""
        self._machine = m
        self._wrap(self._initramfs, "unpack_to_rootfs", self._reads("unpacked", "unpack_to_rootfs", True))
        self._wrap(self._layered, "split", self._reads("searched", "split", False))
        self._wrap(self._verify, "verify_segments", self._reads("verified", "verify_segments", False))
        self._wrap(self._memback, "erofs_memback_region_alloc", self._region_alloc)
        self._wrap(self._layered, "lend", self._lend)
        self._wrap(self._rfc, "initerofs_blkdev_create", self._disk_create)
        self._wrap(self._rfc, "initerofs_blkdev_destroy", self._disk_destroy)

    def _tell(self, what: str, start: int, end: int, by: str) -> None:
        m = self._machine
        m.part(InitMemory).events.append((what, start, end, by, m.clock.now_ns))

    def _reads(self, what: str, by: str, length: bool) -> Callable[[Any], Any]:
        def make(original: Any) -> Any:
            def call(buf: int, n: int, *args: Any) -> Any:
                self._tell(what, buf, buf + n if length else n, by)
                return original(buf, n, *args)
            return call
        return make

    def _region_alloc(self, original: Any) -> Any:
        def call(data: int, size: int, release: Any, owner: Any = None) -> Any:
            def given_back(region: Any) -> None:
                self._tell("returned", data, data + size, "an EROFS mount")
                if release is not None:
                    release(region)
            region = original(data, size, given_back, owner)
            if region:
                self._tell("lent", data, data + size, "an EROFS mount")
            return region
        return call

    def _lend(self, original: Any) -> Any:
        def call(owner: Any, seg: Any) -> Any:
            region = original(owner, seg)
            if region and region.data + region.size < seg.end:
                self._tell("tree", region.data + region.size, seg.end, "the same mount")
            return region
        return call

    def _disk_create(self, original: Any) -> Any:
        def call(data: int, size: int) -> Any:
            path = original(data, size)
            if path:
                self._tell("disk", data, data + size, path)
            return path
        return call

    def _disk_destroy(self, original: Any) -> Any:
        def call() -> None:
            original()
            r = self._machine.part(Boot).initrd
            assert r is not None
            self._tell("no disk", r.addr, r.addr + r.size, "initerofs_blkdev_destroy")
        return call

    def remove(self) -> None:
        """Put everything back."""
        for module, name, original in reversed(self._undo):
            setattr(module, name, original)
        self._undo.clear()


# ------------------------------------------------------------------------- the map

def _rows(events: list[dict[str, Any]], start: int, pages: int, size: int) -> list[str]:
    """The state of every page after each event, a character a page."""
    state = ["."] * pages
    lent: list[tuple[str, int, int, int]] = []          # letter, first page, page behind the last, address
    out = []
    letters = 0
    first = start // size
    for e in events:
        lo, hi = max(e["start"] // size - first, 0), min(-(-e["end"] // size) - first, pages)
        if e["what"] == "reserved":
            state[lo:hi] = ["r" if c == "." else c for c in state[lo:hi]]
        elif e["what"] == "freed":
            state[lo:hi] = ["F"] * (hi - lo)
        elif e["what"] == "lent":
            e["mark"] = LENT[letters] if letters < len(LENT) else "*"
            letters += 1
            lent.append((e["mark"], lo, hi, e["start"]))
        elif e["what"] == "returned":
            lent = [x for x in lent if x[3] not in (e["start"], e["end"])]      # and the tree behind it
        elif e["what"] == "tree":
            lent.append(("T", lo, hi, e["start"]))
        elif e["what"] == "disk":
            e["mark"] = "D"
            lent.append(("D", lo, hi, e["start"]))
        elif e["what"] == "no disk":
            lent = [x for x in lent if x[0] != "D"]
        row = list(state)
        for mark, a, b, _ in lent:
            row[a:b] = [mark if c != "F" else "F" for c in row[a:b]]
        out.append("".join(row))
    return out


def memory(result: BootResult) -> dict[str, Any]:
    """Who owned the initrd's pages, when; called while the machine still is."""
    m = result.machine
    r = result.initrd
    size = m.mem.page_size
    out: dict[str, Any] = {"page_size": size, "counters": m.counters.as_dict(), "initrd": None}
    if r is None:
        return out
    end = r.addr + r.size
    first, last = m.mem.pfn_of(r.addr), m.mem.pfn_of(end - 1)
    pages = last - first + 1
    events: list[dict[str, Any]] = [{"time_ns": 0, "what": "loaded", "start": r.addr, "end": end, "by": "boot loader"}]
    for what, a, b, by, t in m.part(InitMemory).events:
        if a < end and r.addr < b:
            events.append({"time_ns": t, "what": what, "start": a, "end": b,
                           "by": by} | ({"pages": b - a >> m.mem.shift} if what == "freed" else {}))
    if r.exported:
        events.append({"time_ns": m.clock.now_ns, "what": "exported", "start": r.addr, "end": end, "by": "/sys/firmware/initrd"})
    rows = _rows(events, r.addr, pages, size)
    ledger = [m.mem.get_state(pfn) == RELEASED_INIT for pfn in range(first, last + 1)]
    final = rows[-1]
    out["initrd"] = {"start": r.addr, "size": r.size, "offset": r.addr & (size - 1), "pages": pages, "state": r.state,
                     "events": events,
                     "map": final, "history": [{"event": i, "map": row} for i, row in enumerate(rows) if not i
                                               or row != rows[i - 1]],
                     "freed_pages": final.count("F"), "kept_pages": pages - final.count("F"),
                     "disagree": [i for i, freed in enumerate(ledger) if freed != (final[i] == "F")]}
    return out


# ------------------------------------------------------------------------- for a person

def _squeeze(row: str, n: int) -> str:
    """``n`` pages a character."""
    groups = [row[i:i + n] for i in range(0, len(row), n)]
    return "".join(g[0] if len(set(g)) == 1 else "+" for g in groups)


def _runs(text: str) -> list[str]:
    """64 pages a line; lines that repeat are counted."""
    out: list[str] = []
    at = 0
    while at < len(text):
        line = text[at:at + COLUMNS]
        n = 1
        while len(line) == COLUMNS and text[at + n * COLUMNS:at + (n + 1) * COLUMNS] == line:
            n += 1
        out.append(f"  page {at:7}: {line}" + (f"  x {n}" if n > 1 else ""))
        at += n * len(line)
    return out


def _why(i: dict[str, Any]) -> list[str]:
    """Why pages are kept."""
    final = i["map"]
    exported = any(e["what"] == "exported" for e in i["events"])
    lent = sum(c in LENT or c == "*" for c in final)
    disk = final.count("D")
    trees = final.count("T")
    left = i["kept_pages"] - lent - disk - trees
    out = []
    if lent:
        out.append(f"{_pages(lent)} lent to mounts" + ("" if exported else ": freed with the last of them"))
    if trees:
        out.append(f"{_pages(trees)} with hash trees: as long as their images")
    if disk:
        out.append(f"{_pages(disk)} behind a disk: as long as that is there")
    if left and exported:
        out.append(f"{_pages(left)} kept for /sys/firmware/initrd")
    elif left and (i["freed_pages"] or any(e["what"] == "unpacked" for e in i["events"])):
        out.append(f"{_pages(left)} kept: free_reserved_area() gives back whole pages only")
    return out


def _pages(n: int) -> str:
    return f"{n} page{'s' if n > 1 else ''}"


def memory_lines(d: dict[str, Any]) -> list[str]:
    """The events, what the pages were after each, and the map at the end."""
    i = d["initrd"]
    c = d["counters"]
    tail = [f"page cache: {c['folios_cached']} folios; pages in use {c['pages_in_use']}, at most {c['pages_peak']}; bytes "
            f"copied {c['bytes_copied']}, "
            f"decompressed {c['bytes_decompressed']}"]
    if i is None:
        return ["no initrd", *tail]
    out = [f"initrd [{i['start']:016x}, {i['start'] + i['size']:016x}): {i['size']} bytes at offset {i['offset']} of a page, "
           f"{i['pages']} pages, {i['state']}"]
    for e in i["events"]:
        more = f" ({_pages(e['pages'])})" if "pages" in e else f" ({e['mark']})" if "mark" in e else ""
        who = {"lent": "to", "tree": "for", "disk": "as"}.get(e["what"], "by")
        out.append(f"[{e['time_ns'] / 1e9:12.6f}] {e['what']:8} [{e['start']:016x}, {e['end']:016x}){more} {who} {e['by']}")
    n = -(-i["pages"] // COLUMNS)
    used = sorted(set(i["map"]).union(*(set(_squeeze(h["map"], n)) for h in i["history"])))
    legend = ", ".join(f"{ch} {LEGEND.get(ch, 'lent')}" for ch in used)
    out.append(f"owners over time, {_pages(n)} a character ({legend}):")
    out += [f"  {i['events'][h['event']]['what']:8} {_squeeze(h['map'], n)}" for h in i["history"]]
    if n > 1:
        out += ["at the end, a character for each page:", *_runs(i["map"])]
    out += _why(i)
    if i["disagree"]:
        out.append(f"the map is wrong: {_pages(len(i['disagree']))}, from page {i['disagree'][0]} on, are not in the state that "
                   f"the events say")
    return out + tail
