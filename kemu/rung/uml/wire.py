# SPDX-License-Identifier: GPL-2.0-only
"""Requests to the agent and its answers as bytes; agent/agent.h is the other side."""
from __future__ import annotations

import errno
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from kemu.report.manifest import Entry, entry, type_of_mode

DISKS = 8
REQUEST_MAGIC = 0x5251454B
ANSWER_MAGIC = 0x5341454B

_REQUEST = struct.Struct(f"<8I3Q2I{DISKS}Q")
_ANSWER = struct.Struct("<IIiIQIIII")
_ENTRY = struct.Struct("<12IqQ")
_XATTR = struct.Struct("<HI")
_PIECE = struct.Struct("<2Q")

MOST = 1 << 20                         # inodes of a tree that are visited, where nobody asks for fewer

ANSWER_SIZE = _ANSWER.size

WANTS_FACTS = 1
HAS_STAT, HAS_TARGET, HAS_XATTRS, HAS_SHA256, IS_CAPPED, CLOCK_MTIME = 1, 2, 4, 8, 16, 32


class Op(IntEnum):
    """What to do."""

    EROFS = 1
    CPIO = 2
    BUG = 3
    WRITE = 4
    READ = 5
    QUIT = 6


class Backend(IntEnum):
    """What an EROFS image is mounted from."""

    DISK = 0
    LOOP = 1
    FILE = 2


class Memory(IntEnum):
    """Where a region is placed."""

    LINEAR = 0
    VMALLOC = 1
    SLAB = 2


class Bug(IntEnum):
    """Bugs that the kernel's side commits on order."""

    PANIC = 0
    HANG = 1
    SLEEP = 2
    OOB = 3
    WARN = 4
    OOPS = 5
    LEAK = 6


@dataclass(frozen=True)
class Answer:
    """An answer's header."""

    id: int
    error: int
    entries: int
    entries_len: int
    text_len: int
    kmsg_len: int
    full: bool


def request(id_: int, op: Op, images: list[bytes], options: str = "", backend: Backend = Backend.DISK,
            memory: Memory = Memory.LINEAR,
            at: int = 0, arg: int = 0, cap: int = 1 << 26, entries: int = MOST, sizes: Sequence[int] | None = None,
            flags: int = 0) -> bytes:
    """One request with its images. ``sizes``: of images that are sent afterwards, in pieces."""
    text = os.fsencode(options)
    lens = [len(i) for i in images] if sizes is None else list(sizes)
    head = _REQUEST.pack(REQUEST_MAGIC, id_, op, backend, memory, arg, flags, 0, at, cap, entries, len(text), len(lens), *lens,
                         *[0] * (DISKS - len(lens)))
    return b"".join([head, text, *images])


def piece(at: int = 0, data: bytes = b"") -> bytes:
    """A piece of an image that is sent in pieces; without data the image's end."""
    return _PIECE.pack(at, len(data)) + data


def parse_answer(data: bytes) -> Answer:
    """The header; ``ValueError`` if the bytes are something else."""
    magic, id_, error, entries, entries_len, text_len, kmsg_len, full, _ = _ANSWER.unpack(data)
    if magic != ANSWER_MAGIC:
        raise ValueError("not an answer")
    return Answer(id_, error, entries, entries_len, text_len, kmsg_len, bool(full))


def errno_name(err: int) -> str | None:
    """``"EUCLEAN"``; null for 0. EOPNOTSUPP has the name that the manifests use, ENOTSUP."""
    if not err:
        return None
    return "ENOTSUP" if err == errno.EOPNOTSUPP else errno.errorcode.get(err, f"E{err}")


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
