# SPDX-License-Identifier: GPL-2.0-only
"""A strict reader of well-formed, uncompressed newc archives, for checks of the writer and of the model."""
from __future__ import annotations

from kemu.forge.cpio import FIELDS, HEADER_LEN, Member


class NotPlain(Exception):
    """Not a sequence of well-formed members and zeros."""


def read_members(data: bytes) -> list[Member]:
    """The members of ``data``; zeros between them are skipped. Raises NotPlain for anything else."""
    out = []
    pos = 0
    while pos < len(data):
        if data[pos] == 0:
            pos += 1
            continue
        if pos % 4 or data[pos:pos + 6] not in (b"070701", b"070702") or pos + HEADER_LEN > len(data):
            raise NotPlain(pos)
        digits = data[pos + 6:pos + HEADER_LEN]
        if not all(c in b"0123456789abcdefABCDEF" for c in digits):
            raise NotPlain(pos)
        v = {f: int(digits[8 * i:8 * i + 8], 16) for i, f in enumerate(FIELDS)}
        name_end = pos + HEADER_LEN + v["namesize"]
        body = -(-name_end // 4) * 4
        end = body + v["filesize"]
        if not v["namesize"] or end > len(data) or data[name_end - 1]:
            raise NotPlain(pos)
        m = Member(data[pos + HEADER_LEN:name_end - 1], v["mode"], data[body:end], magic=data[pos:pos + 6],
                   **{f: v[f] for f in ("ino", "uid", "gid", "nlink", "mtime", "major", "minor", "rmajor", "rminor")})
        if m.magic == b"070702":
            m.chksum = v["chksum"]
        out.append(m)
        pos = -(-end // 4) * 4
    return out
