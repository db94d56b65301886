# SPDX-License-Identifier: GPL-2.0-only
"""File contents made from three small numbers (kind, tag, length): quick to draw, quick to make, easy to recognise when
misplaced.

Every kind is a stream: the first n bytes of a longer content are the content of length n. That is what makes shared and
partially referenced data likely when two files have the same kind and tag.
"""
from __future__ import annotations

import hashlib
from functools import lru_cache

KINDS = ("ruler", "zeros", "text", "noise", "mixed")

_WORDS = [w.encode() for w in (
    "inode block page folio extent cluster dentry mount super symlink xattr chunk index tail pack decompress read map "
    "bio region device root nid namei readahead cache lock fault alloc free buffer offset length size mode the of and").split()]


def _ruler(tag: int, n: int) -> bytes:
    return b"".join([b"%04x:%09x \n" % (tag & 0xffff, off) for off in range(0, n, 16)])


def _noise(tag: int, n: int, salt: bytes = b"noise") -> bytes:
    return hashlib.shake_128(salt + tag.to_bytes(8, "little")).digest(n)


def _text(tag: int, n: int) -> bytes:
    words = _WORDS
    count = len(words)
    return b" ".join([words[b % count] for b in _noise(tag, n // 4 + 8, b"text")])


def _mixed(tag: int, n: int) -> bytes:
    out: list[bytes] = []
    made = 0
    for i, b in enumerate(_noise(tag, n // 256 + 8, b"mixed")):
        size = (256, 512, 700, 1024, 1536, 2048, 4096, 5000)[b >> 5]
        kind = b & 3
        if kind == 0:
            piece = bytes(size)
        elif kind == 1:
            piece = _noise(tag + i, size)
        else:
            piece = _source("ruler", tag + i, 8192)[:size]
        out.append(piece)
        made += size
        if made >= n:
            break
    return b"".join(out)


@lru_cache(maxsize=256)
def _source(kind: str, tag: int, size: int) -> bytes:
    if kind == "ruler":
        return _ruler(tag, size)
    if kind == "noise":
        return _noise(tag, size)
    if kind == "text":
        return _text(tag, size)
    if kind == "mixed":
        return _mixed(tag, size)
    raise ValueError(f"unknown kind of content {kind!r}, known: {', '.join(KINDS)}")


def content(kind: str, tag: int, n: int) -> bytes:
    """``n`` bytes of ``kind``.

    ruler   every 16 bytes say the tag and the offset: a misplaced read tells where it came from; LZ4 halves it
    zeros   all zero
    text    words; LZ4 makes about 60 % of it
    noise   incompressible
    mixed   pieces of zeros, noise and ruler: extents that compress beside extents that do not
    """
    if kind == "zeros":
        return bytes(n)
    size = 1024
    while size < n:
        size <<= 2
    return _source(kind, tag, size)[:n]
