# SPDX-License-Identifier: GPL-2.0-only
"""What ``kemu boot`` can show of a boot, as data and as text."""
from __future__ import annotations

from typing import Any

from kemu.linux.fs.d_path import __d_path, dentry_path
from kemu.linux.fs.namespace import g
from kemu.linux.fs.proc_namespace import show_mountinfo
from kemu.linux.path import Path
from kemu.linux.seq_file import SeqFile
from kemu.machine.boot import BootResult

INITCALL_LINES = ("entering initcall level: ", "calling  ", "initcall ")


def initcall_lines(result: BootResult) -> list[str]:
    """The lines that ``initcall_debug`` logs, in order."""
    return [line for line in result.log if line.startswith(INITCALL_LINES)]


def mounts() -> list[dict[str, Any]]:
    """The mount tree of the current machine, as /proc/self/mountinfo has it, from the namespace's root on: nullfs, that no task
    can see, too.
    """
    ns = g.init_mnt_ns
    if ns is None or ns.root is None:
        return []
    root = Path(ns.root, ns.root.mnt_root)
    out = []
    for m in sorted(ns.mounts, key=lambda m: m.mnt_id_unique):
        seq = SeqFile()
        show_mountinfo(seq, m, root)
        line = seq.text.rstrip("\n")
        words = line.split(" ")
        dash = words.index("-")
        sb = m.mnt_sb
        out.append({"id": m.mnt_id, "parent": m.mnt_parent.mnt_id, "dev": [sb.s_dev >> 20, sb.s_dev & 0xFFFFF],
                    "root": dentry_path(m.mnt_root),
                    "mountpoint": __d_path(Path(m, m.mnt_root), root), "options": words[5].split(","), "tags": words[6:dash],
                    "type": sb.s_type.name,
                    "source": m.mnt_devname, "super": words[dash + 3].split(","), "count": m.mnt_count, "line": line})
    return out


def mount_lines(table: list[dict[str, Any]]) -> list[str]:
    """The lines of /proc/self/mountinfo."""
    return [m["line"] for m in table]
