# SPDX-License-Identifier: GPL-2.0-only
"""Directory blocks: dirents in bytewise order, each block with its own names behind them."""
from __future__ import annotations

from collections.abc import Callable, Iterable

from kemu.forge.erofs.ondisk import dirent
from kemu.forge.erofs.plan import PlanError

DIRENT_SIZE = 12


def split_names(names: Iterable[bytes], bs: int, limit: int = 0) -> list[list[bytes]]:
    """The names of each directory block: as many as fit, at most ``limit`` (0: no limit)."""
    blocks: list[list[bytes]] = []
    block: list[bytes] = []
    used = 0
    for name in sorted(names):
        need = DIRENT_SIZE + len(name)
        if not name or len(name) > 255 or need > bs:
            raise PlanError(f"a name of {len(name)} bytes does not fit a directory block of {bs}")
        if block and (used + need > bs or len(block) == limit):
            blocks.append(block)
            block, used = [], 0
        block.append(name)
        used += need
    if block:
        blocks.append(block)
    return blocks


def dir_size(blocks: list[list[bytes]], bs: int, full: bool = False) -> int:
    """i_size of a directory with these blocks; ``full`` counts the last block whole."""
    if not blocks:
        return 0
    last = bs if full else sum(DIRENT_SIZE + len(n) for n in blocks[-1])
    return (len(blocks) - 1) * bs + last


def encode_dir(blocks: list[list[bytes]], bs: int, size: int, lookup: Callable[[bytes], tuple[int, int]]) -> bytes:
    """The ``size`` bytes of a directory; ``lookup(name)`` gives (nid, file type)."""
    out = bytearray()
    for names in blocks:
        nameoff = DIRENT_SIZE * len(names)
        heads = []
        for name in names:
            nid, ft = lookup(name)
            heads.append(dirent(nid, nameoff, ft))
            nameoff += len(name)
        out += b"".join(heads) + b"".join(names)
        out += bytes(-len(out) % bs)
    return bytes(out[:size]) + bytes(max(0, size - len(out)))
