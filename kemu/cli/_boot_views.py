# SPDX-License-Identifier: GPL-2.0-only
"""What ``kemu boot`` can show of a boot, as data and as text."""
from __future__ import annotations

from typing import Any

from kemu.machine.boot import BootResult
from kemu.machine.memory import RELEASED_INIT

INITCALL_LINES = ("entering initcall level: ", "calling  ", "initcall ")


def initcall_lines(result: BootResult) -> list[str]:
    """The lines that ``initcall_debug`` logs, in order."""
    return [line for line in result.log if line.startswith(INITCALL_LINES)]


def mounts() -> list[dict[str, Any]]:
    """The mount tree of the current machine, a mount before its children, as /proc/self/mountinfo has it."""
    from kemu.linux.vfs.mounts import MNT_NODEV, MNT_NOEXEC, MNT_NOSUID, MNT_READONLY, g, next_mnt

    ns = g.init_mnt_ns
    if ns is None or ns.root is None:
        return []
    out = []
    for m in next_mnt(ns.root):
        flags = [name for bit, name in ((MNT_NOSUID, "nosuid"), (MNT_NODEV, "nodev"), (MNT_NOEXEC, "noexec")) if m.mnt_flags & bit]
        sb = m.mnt_sb
        out.append({"id": m.mnt_id, "parent": m.mnt_parent.mnt_id, "dev": [sb.s_dev >> 20, sb.s_dev & 0xFFFFF], "mountpoint": _path_of(m),
                    "options": ["ro" if m.mnt_flags & MNT_READONLY or sb.s_flags & 1 else "rw", *flags], "type": sb.s_type.name,
                    "source": m.mnt_devname, "count": m.mnt_count})
    return out


def _path_of(m: Any) -> str:
    parts: list[bytes] = []
    while m.mnt_parent is not m:
        d = m.mnt_mountpoint
        m = m.mnt_parent
        while d is not m.mnt_root and d is not d.d_parent:
            parts.append(d.d_name.name)
            d = d.d_parent
    return "/" + b"/".join(reversed(parts)).decode("utf-8", "surrogateescape")


def mount_lines(table: list[dict[str, Any]]) -> list[str]:
    return [f"{m['id']} {m['parent']} {m['dev'][0]}:{m['dev'][1]} {m['mountpoint']} {','.join(m['options'])} - {m['type']} {m['source']}"
            for m in table]


def memory(result: BootResult) -> dict[str, Any]:
    """Who owned the initrd's pages, when; called while the machine still is."""
    m = result.machine
    r = result.initrd
    size = m.mem.page_size
    out: dict[str, Any] = {"page_size": size, "counters": m.counters.as_dict(), "initrd": None}
    if r is None:
        return out
    shift = m.mem.shift
    first = m.mem.pfn_of(r.addr)
    last = m.mem.pfn_of(r.addr + r.size - 1)
    states = "".join("F" if m.mem.get_state(pfn) == RELEASED_INIT else "r" for pfn in range(first, last + 1)) if last - first < 1 << 20 else ""
    events: list[dict[str, Any]] = [{"time_ns": 0, "what": "loaded", "start": r.addr, "end": r.addr + r.size, "by": "boot loader"}]
    events += [{"time_ns": t, "what": "reserved", "start": a, "end": b, "by": by} for a, b, by, t in result.reserved if a < r.addr + r.size and r.addr < b]
    events += [{"time_ns": t, "what": "read", "start": r.addr, "end": r.addr + r.size, "by": "unpack_to_rootfs"}
               for t, _, line in m.log.entries if line.startswith(("Unpacking initramfs", "Trying to unpack rootfs image"))]
    for a, b, pages, what, t in result.freed:
        if a < r.addr + r.size and r.addr < b:
            lo = a + size - 1 & -size
            events.append({"time_ns": t, "what": "freed", "start": lo, "end": lo + (pages << shift), "by": "free_initrd_mem", "pages": pages})
    if r.exported:
        events.append({"time_ns": m.clock.now_ns, "what": "exported", "start": r.addr, "end": r.addr + r.size, "by": "/sys/firmware/initrd"})
    out["initrd"] = {"start": r.addr, "size": r.size, "offset": r.addr & (size - 1), "pages": last - first + 1, "state": r.state, "events": events,
                     "map": states, "freed_pages": states.count("F"), "kept_pages": states.count("r")}
    return out


def memory_lines(d: dict[str, Any]) -> list[str]:
    """The map, for a person."""
    i = d["initrd"]
    c = d["counters"]
    tail = [f"page cache: {c['folios_cached']} folios; pages in use {c['pages_in_use']}, at most {c['pages_peak']}; bytes copied {c['bytes_copied']}, "
            f"decompressed {c['bytes_decompressed']}"]
    if i is None:
        return ["no initrd", *tail]
    out = [f"initrd [{i['start']:016x}, {i['start'] + i['size']:016x}): {i['size']} bytes at offset {i['offset']} of a page, {i['pages']} pages, {i['state']}"]
    for e in i["events"]:
        pages = f" ({e['pages']} pages)" if "pages" in e else ""
        out.append(f"[{e['time_ns'] / 1e9:12.6f}] {e['what']:8} [{e['start']:016x}, {e['end']:016x}){pages} by {e['by']}")
    if i["map"]:
        out.append("map, a character for each page (F freed, r still reserved):")
        out += _runs(i["map"])
    kept = i["kept_pages"]
    if kept and i["freed_pages"]:
        out.append(f"{kept} page{'s' if kept > 1 else ''} kept: free_reserved_area() gives back whole pages only")
    return out + tail


def _runs(text: str) -> list[str]:
    """64 pages a line; lines that repeat are counted."""
    out: list[str] = []
    at = 0
    while at < len(text):
        line = text[at:at + 64]
        n = 1
        while len(line) == 64 and text[at + n * 64:at + (n + 1) * 64] == line:
            n += 1
        out.append(f"  page {at:7}: {line}" + (f"  x {n}" if n > 1 else ""))
        at += n * len(line)
    return out
