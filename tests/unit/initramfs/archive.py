# SPDX-License-Identifier: GPL-2.0-only
"""newc archives for these tests: every field can be said, none is checked."""
from __future__ import annotations

ELF = (b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(12) + (64).to_bytes(8,
                                                                                           "little") + bytes(14)
       + b"\x38\x00\x01\x00" + bytes(6))
ELF = ELF.ljust(64, b"\0") + bytes(56)          # one program header, PT_NULL: a program that needs no interpreter


def record(name: str | bytes, mode: int = 0o100644, data: bytes = b"", *, ino: int = 1, nlink: int = 1, uid: int = 0,
           gid: int = 0,
           mtime: int = 1_600_000_000, dev: tuple[int, int] = (3, 1), rdev: tuple[int, int] = (0, 0), magic: bytes = b"070701",
           csum: int = 0,
           filesize: int | None = None, namesize: int | None = None) -> bytes:
    raw = (name.encode() if isinstance(name, str) else name) + b"\0"
    fields = (ino, mode, uid, gid, nlink, mtime, len(data) if filesize is None else filesize, *dev, *rdev,
              len(raw) if namesize is None else namesize, csum)
    out = magic + b"".join(b"%08X" % f for f in fields) + raw
    out += bytes(-len(out) % 4)
    return out + data + bytes(-len(data) % 4)


def trailer() -> bytes:
    return record("TRAILER!!!", 0, mtime=0)


def archive(*records: bytes) -> bytes:
    return b"".join(records) + trailer()
