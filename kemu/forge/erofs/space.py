# SPDX-License-Identifier: GPL-2.0-only
"""Where everything goes: inode bodies in 32-byte slots, data in runs of blocks, in any order and with gaps."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kemu.forge.erofs.plan import ImagePlan, PlanError

SLOT = 32


@dataclass(slots=True)
class Body:
    """An inode with what follows it (xattrs, index, inline data). The last ``tail_len`` bytes must not cross a block."""

    owner: Any
    size: int
    tail_len: int
    at: str
    gap: int
    pos: int = -1


@dataclass(slots=True)
class Run:
    """Consecutive blocks. ``data`` is None while it is not known (directories); ``content`` is its length without padding."""

    blocks: int
    data: bytes | None
    content: int
    gap: int
    key: tuple[str, int] | None = None        # pclusters are shared only whole: (how, blocks)
    device: int = 0
    blk: int = -1
    host: Run | None = None
    host_off: int = 0

    def block(self) -> int:
        """The block address, once placed."""
        return self.host.block() + self.host_off if self.host else self.blk


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


class Space:
    """A cursor that moves through the image and steps over the superblock."""

    def __init__(self, bs: int, sb_start: int, sb_end: int, start: int) -> None:
        self.bs, self.sb_start, self.sb_end = bs, sb_start, sb_end
        self.cursor = start
        self.end = sb_end

    def _clear(self, pos: int, size: int) -> bool:
        return pos >= self.sb_end or pos + size <= self.sb_start

    def body(self, b: Body) -> None:
        """Give ``b`` the next slot that suits it; ``at`` is a wish."""
        bs = self.bs
        tail_off = b.size - b.tail_len
        if b.tail_len > bs or (b.tail_len == bs and tail_off % SLOT):
            raise PlanError(f"inline data of {b.tail_len} bytes does not fit a block of {bs}")
        pos = max(_up(self.cursor, SLOT), SLOT) + SLOT * b.gap
        while True:
            want = pos
            if b.at == "cross":
                want += -(want + SLOT) % bs
            elif b.at == "edge" and b.tail_len and not tail_off % SLOT:
                want += -(want + tail_off) % bs
            off = (want + tail_off) % bs
            if off + b.tail_len > bs:
                want += _up(bs - off, SLOT)
                if (want + tail_off) % bs + b.tail_len > bs:
                    raise PlanError(f"inline data of {b.tail_len} bytes at {tail_off} never fits a block of {bs}")
            if self._clear(want, b.size):
                break
            pos = _up(self.sb_end, SLOT)
        b.pos = want
        self.cursor = want + b.size
        self.end = max(self.end, self.cursor)

    def run(self, r: Run) -> None:
        """Give ``r`` the next free blocks."""
        bs = self.bs
        pos = _up(self.cursor, bs) + r.gap * bs
        if not self._clear(pos, r.blocks * bs):
            pos = _up(self.sb_end, bs)
        r.blk = pos // bs
        self.cursor = pos + r.blocks * bs
        self.end = max(self.end, self.cursor)


def arrange(bodies: list[Body], runs: list[tuple[Body, Run]], plan: ImagePlan) -> list[Body | Run]:
    """Everything in the order in which it is placed."""
    data = [r for _, r in runs]
    if plan.order == "meta-first":
        return [*bodies, *data]
    if plan.order == "meta-first-reverse":
        return [*bodies, *reversed(data)]
    if plan.order == "data-first":
        return [*data, *bodies]
    if plan.order == "data-reverse":
        return [*reversed(data), *bodies]
    mixed: list[Body | Run] = []
    for b in bodies:
        mixed.append(b)
        mixed += [r for owner, r in runs if owner is b]
    if plan.order == "mixed":
        return mixed
    if plan.order == "shuffled":
        keys = plan.keys
        return [item for _, _, item in sorted(((keys[i % len(keys)], i, item) for i, item in enumerate(mixed)),
                                              key=lambda t: t[:2])]
    raise PlanError(f"unknown order {plan.order!r}")


def share(runs: list[Run]) -> None:
    """Store equal or contained data once: later runs point into earlier or larger ones at a block boundary."""
    order = sorted((r for r in runs if r.data is not None), key=lambda r: -r.blocks)
    hosts: list[Run] = []
    for r in order:
        data = r.data
        assert data is not None
        for h in hosts:
            assert h.data is not None
            if h.device != r.device:
                continue
            if r.key is not None:
                off = 0 if h.key == r.key and h.data == data else -1
            else:
                bs = len(h.data) // h.blocks
                off = _aligned_find(h.data, data[:r.content], bs)
            if off >= 0:
                r.host, r.host_off = h, off
                break
        else:
            hosts.append(r)


def _aligned_find(hay: bytes, needle: bytes, bs: int) -> int:
    """The block at which ``needle`` is in ``hay``, or -1. A needle's last block may be partial."""
    start = 0
    while True:
        at = hay.find(needle, start)
        if at < 0:
            return -1
        if at % bs == 0:
            return at // bs
        start = at + 1
