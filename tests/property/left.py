# SPDX-License-Identifier: GPL-2.0-only
"""All that is left of a machine's work, to be compared; a watch and a chooser under which everything happens as without them."""
from __future__ import annotations

from collections import Counter
from typing import Any

from kemu.linux.cred import current_cred
from kemu.linux.fs.dcache import g as dentries
from kemu.linux.fs.file_table import g as files
from kemu.linux.fs.inode import g as inodes
from kemu.linux.fs_struct import current_fs
from kemu.machine.current import this
from kemu.machine.machine import Machine


class Told:
    """A watch that is told everything and does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *a, **k: None


class Unmoved:
    """A chooser under which everything happens as it does without one."""

    def task(self, runnable: list[Any], current: Any, where: str) -> int:
        return runnable.index(current) if current in runnable else 0

    def fault(self, kind: str, what: str) -> bool:
        return False

    def value(self, name: str, low: int, high: int) -> int:
        return low


# ------------------------------------------------------------------------- all that is left

def _name_of(obj: Any) -> tuple[Any, ...]:
    return (type(obj).__name__,) if obj is not None else ()


def _inode(inode: Any) -> dict[str, Any]:
    out = {name: getattr(inode, name) for name in (
        "i_mode", "i_flags", "i_uid", "i_gid", "i_ino", "i_nlink", "i_rdev", "i_size", "i_atime_sec", "i_mtime_sec",
        "i_ctime_sec", "i_atime_nsec",
        "i_mtime_nsec", "i_ctime_nsec", "i_blkbits", "i_blocks", "i_state", "i_count", "i_writecount", "i_readcount",
        "i_linklen")}
    out["ops"] = id(inode.i_op), id(inode.i_fop), id(inode.i_mapping.a_ops), inode.i_mapping.flags, inode.i_mapping.gfp_mask
    out["locked"] = inode.i_rwsem is not None and (inode.i_rwsem.writer is not None or inode.i_rwsem.readers)
    acl = inode.i_acl
    out["acl"] = acl if acl is None or isinstance(acl, int) else list(acl.a_entries)
    out["xattrs"] = sorted(getattr(inode, "xattrs", {}))
    out["aliases"] = [d.d_name.name for d in inode.i_dentry]
    mem = this.mem
    out["pages"] = {i: (p.index, p.kind, p.flags, p.refcount, p.order, p.private, p.mapping is inode.i_mapping,
                        mem.get_state(p.pfn),
                        bytes(mem.buf[p.pfn << mem.shift:(p.pfn + 1) << mem.shift])) for i, p in inode.i_mapping.i_pages.items()}
    out["nrpages"] = inode.i_mapping.nrpages
    return out


def _dentries(dentry: Any, at: bytes, out: dict[bytes, Any]) -> None:
    hashed = dentry.d_subdirs or {}
    out[at] = (dentry.d_flags, dentry.d_lockref, dentry.d_hashed, list(hashed), [d.d_name.name for d in dentry.d_children or ()],
               _name_of(dentry.d_op),
               None if dentry.d_inode is None else _inode(dentry.d_inode), id(dentry.d_sb.s_type))
    for d in dentry.d_children or ():
        _dentries(d, at + b"/" + d.d_name.name, out)


def file_state(f: Any) -> tuple[Any, ...]:
    return (f.f_mode, f.f_flags, f.f_iocb_flags, f.f_ref, f.f_pos, f.f_wb_err, f.f_path.dentry.d_name.name, f.f_inode.i_ino,
            f.f_cred is current_cred(),
            f.f_ra.ra_pages, f.f_ra.prev_pos, id(f.f_op), f.f_mapping is f.f_inode.i_mapping)


def left(m: Machine) -> dict[str, Any]:
    """All that a caller, a detector or a report could see of the machine."""
    root = current_fs().root
    tree: dict[bytes, Any] = {}
    _dentries(root.dentry, b"", tree)
    sb = root.mnt.mnt_sb
    return {
        "counters": m.counters.as_dict(), "log": m.log.lines(), "now": m.clock.now_ns, "dentries": tree,
        "ledger": Counter((p.kind, p.order, p.flags, p.refcount, p.index, p.owner) for p in m.alloc.pages.values()),
        "codes": Counter(c if isinstance(c, int) else bytes(c) for c in m.mem.state.values()),
        "slab": sorted((o.size, o.slot) for o in m.slab.live.values()),
        "caches": (files.nr_files, files.filp_cache and files.filp_cache.live, dentries.dentry_cache.live,
                   len(dentries.in_lookup), inodes.nr_inodes, inodes.last_ino),
        "closing": [file_state(f) for f in files.delayed_fput_list], "cred": current_cred().usage,
        "mount": (root.mnt.mnt_count, root.mnt.mnt_writers),
        "sb": (len(sb.s_inodes), sb.s_remove_count, list(sb.s_dentry_lru), sb.s_active),
    }


def the_same(a: Any, b: Any, what: str = "") -> None:
    """Equal, or the first place where they differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        assert a.keys() == b.keys(), what
        for k in a:
            the_same(a[k], b[k], f"{what}/{k!r}")
    elif isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            the_same(x, y, f"{what}[{i}]")
    else:
        assert a == b, what
