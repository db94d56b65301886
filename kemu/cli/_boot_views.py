# SPDX-License-Identifier: GPL-2.0-only
"""What ``kemu boot`` can show of a boot, as data and as text."""
from __future__ import annotations

from typing import Any

from kemu.machine.boot import BootResult

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
