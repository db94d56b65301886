# SPDX-License-Identifier: GPL-2.0-only
"""The entries of a walk as the agent writes them (kemu/rung/uml/agent), in whichever kernel it walks."""
from __future__ import annotations

import errno
import os
import stat
import struct

from kemu.report.manifest import Entry, entry, type_of_mode

_ENTRY = struct.Struct("<12IqQ")
_HEAD = struct.Struct("<6I")
_XATTR = struct.Struct("<HI")
_TYPES = frozenset((stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK))

HAS_STAT, HAS_TARGET, HAS_XATTRS, HAS_SHA256, IS_CAPPED, CLOCK_MTIME = 1, 2, 4, 8, 16, 32


def errno_name(err: int) -> str | None:
    """``"EUCLEAN"``; null for 0. EOPNOTSUPP has the name that the manifests use, ENOTSUP."""
    if not err:
        return None
    return "ENOTSUP" if err == errno.EOPNOTSUPP else errno.errorcode.get(err, f"E{err}")


def check_entries(data: bytes, count: int) -> None:
    """``ValueError`` unless :func:`parse_entries` can take these bytes: a kernel gone wrong may have written anything."""
    pos, size, head = 0, len(data), _HEAD.unpack_from
    for _ in range(count):
        if pos + _ENTRY.size > size:
            raise ValueError(f"{count} entries in {size} bytes")
        path_len, target_len, xattrs_len, _, flags, mode = head(data, pos)
        if flags & HAS_STAT and mode & 0o170000 not in _TYPES:
            raise ValueError(f"st_mode 0{mode:o}: no such file type")
        pos += _ENTRY.size + path_len + target_len + (32 if flags & HAS_SHA256 else 0)
        if xattrs_len:
            end = pos + xattrs_len
            while pos < end <= size:
                if pos + _XATTR.size > end:
                    raise ValueError("half an xattr")
                name_len, value_len = _XATTR.unpack_from(data, pos)
                pos += _XATTR.size + name_len + (0 if value_len == 0xFFFFFFFF else value_len)
            if pos != end:
                raise ValueError("half an xattr")
    if pos != size:
        raise ValueError(f"{count} entries take {pos} bytes of {size}")


def parse_entries(data: bytes, count: int, dir_sizes: bool = True) -> list[Entry]:
    """Manifest entries, sorted as manifests are. ``dir_sizes`` False: a directory's size is null (initramfs)."""
    keyed: list[tuple[bytes, Entry]] = []
    pos = 0
    for _ in range(count):
        (path_len, target_len, xattrs_len, err, flags, mode, uid, gid, nlink, major, minor, nsec, sec,
         size) = _ENTRY.unpack_from(data, pos)
        pos += _ENTRY.size
        raw = data[pos:pos + path_len]
        pos += path_len
        target = os.fsdecode(data[pos:pos + target_len]) if flags & HAS_TARGET else None
        pos += target_len
        sha = None
        if flags & HAS_SHA256:
            sha = data[pos:pos + 32].hex()
            pos += 32
        xattrs = _xattrs(data[pos:pos + xattrs_len]) if flags & HAS_XATTRS else None
        pos += xattrs_len
        path = os.fsdecode(raw)
        if not flags & HAS_STAT:
            keyed.append((raw, entry(path, error=errno_name(err))))
            continue
        kind = type_of_mode(mode)
        e: Entry = {"path": path, "type": kind, "mode": mode & 0o7777, "uid": uid, "gid": gid,
                    "size": None if kind == "dir" and not dir_sizes else size, "nlink": nlink,
                    "mtime": None if flags & CLOCK_MTIME else [sec, nsec],
                    "rdev": [major, minor] if kind in ("char", "block") else None, "target": target, "xattrs": xattrs,
                    "sha256": sha, "error": errno_name(err)}
        if flags & IS_CAPPED:
            e["capped"] = True
        keyed.append((raw, e))
    keyed.sort(key=lambda pair: pair[0])
    return [e for _, e in keyed]


def _xattrs(data: bytes) -> dict[str, str | None]:
    out: dict[str, str | None] = {}
    pos = 0
    while pos < len(data):
        name_len, value_len = _XATTR.unpack_from(data, pos)
        pos += _XATTR.size
        name = os.fsdecode(data[pos:pos + name_len])
        pos += name_len
        if value_len == 0xFFFFFFFF:
            out[name] = None
        else:
            out[name] = data[pos:pos + value_len].hex()
            pos += value_len
    return out


def wrong_entry(whole: list[Entry], part: list[Entry]) -> str:
    """How what could be read with a failing call contradicts what is there; empty if it does not."""
    there = {e["path"]: e for e in whole}
    for e in part:
        right = there.get(e["path"])
        if right is None:
            return f"{e['path']}: a name that is not there"
        for f in ("type", "sha256", "target"):
            if e[f] is not None and right[f] is not None and e[f] != right[f]:
                return f"{e['path']}: {f}: {str(e[f])[:20]} instead of {str(right[f])[:20]}"
    return ""
