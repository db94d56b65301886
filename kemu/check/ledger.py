# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel has that outlives a call: mounts, superblocks, where a task stands, disks, names in the first root.

A call that fails must leave of it what it found: :func:`take` before and after, :func:`compare` says what is not the same.
"""
from __future__ import annotations

from typing import Any, NamedTuple

from kemu.linux.block.bdev import registry
from kemu.linux.fs.namespace import g, next_mnt
from kemu.linux.fs.super import g as supers
from kemu.linux.fs_struct import current_fs
from kemu.linux.stat import S_ISDIR
from kemu.machine.current import this

Ledger = dict[str, dict[str, str]]
SB_RDONLY = 1
LASTING = ("mounts", "working directory", "root directory", "disks", "block majors", "superblocks")


class Entry(NamedTuple):
    """One thing that is there and was not (``new``), or was there and is not: of what kind, its name, what else is known of it.
    """

    kind: str
    new: bool
    name: str
    about: str

    @property
    def what(self) -> str:
        """The thing without names and numbers of this run: what tells one cause from another."""
        return f"{'+' if self.new else '-'}{self.kind}" + (f" {self.about}" if self.about else "")

    def __str__(self) -> str:
        return f"{'+' if self.new else '-'} {self.kind}: {self.name}" + (f" ({self.about})" if self.about else "")


def take() -> Ledger:
    """Kind -> name -> what else is known, of the current machine as the current task sees it."""
    fs = current_fs()
    disks = registry()
    out: Ledger = {"mounts": {}, "superblocks": {}, "nodes": {},
                   "working directory": {path_of(fs.pwd.mnt, fs.pwd.dentry): ""},
                   "root directory": {path_of(fs.root.mnt, fs.root.dentry): ""},
                   "disks": {name: "" for name in disks.disks}, "block majors": {}}
    for name in disks.majors.values():
        _add(out["block majors"], name, "")
    for m in next_mnt(g.init_mnt_ns.root):
        _add(out["mounts"], path_of(m, m.mnt_root), m.mnt_sb.s_type.name + (" ro" if m.mnt_sb.s_flags & SB_RDONLY else ""))
        if m.mnt_sb.s_type.name == "rootfs":
            _names(m.mnt_root, "", out["nodes"])
    for sb in supers.super_blocks:
        if sb.s_type.name != "bdev":            # made when the first disk is looked for
            _add(out["superblocks"], f"{sb.s_type.name} {sb.s_id}".rstrip(), "")
    return out


def _add(things: dict[str, str], name: str, about: str) -> None:
    """The second of a name is ``NAME [2]``."""
    n = 1
    while (name if n == 1 else f"{name} [{n}]") in things:
        n += 1
    things[name if n == 1 else f"{name} [{n}]"] = about


def path_of(mnt: Any, dentry: Any) -> str:
    """The path from the mount tree's root, whatever lies above it."""
    parts: list[bytes] = []
    while True:
        while dentry is not mnt.mnt_root and dentry is not dentry.d_parent:
            parts.append(dentry.d_name.name)
            dentry = dentry.d_parent
        if mnt.mnt_parent is mnt:
            return "/" + b"/".join(reversed(parts)).decode("utf-8", "surrogateescape")
        dentry, mnt = mnt.mnt_mountpoint, mnt.mnt_parent


def _names(dentry: Any, above: str, out: dict[str, str]) -> None:
    for name, child in (dentry.d_subdirs or {}).items():
        if child.d_inode is not None:
            path = f"{above}/{name.decode('utf-8', 'surrogateescape')}"
            out[path] = "directory" if child.d_subdirs is not None or S_ISDIR(child.d_inode.i_mode) else ""
            _names(child, path, out)


def compare(before: Ledger, after: Ledger) -> list[Entry]:
    """What is not the same, kind by kind."""
    out = []
    for kind in (*LASTING, "nodes"):
        b, a = before[kind], after[kind]
        if len(b) == len(a) == 1 and kind.endswith("directory"):
            if a != b:
                out.append(Entry(kind, True, next(iter(a)), ""))
            continue
        out += [Entry(kind, False, n, b[n]) for n in b if a.get(n) != b[n]]
        out += [Entry(kind, True, n, a[n]) for n in a if b.get(n) != a[n]]
    return out


def report(entries: list[Entry]) -> list[str]:
    """Lines for a report."""
    return [*map(str, entries), f"Virtual time: {this.machine.clock.now_ns} ns"]


__all__ = ["LASTING", "Entry", "Ledger", "compare", "path_of", "report", "take"]
