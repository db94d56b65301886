# SPDX-License-Identifier: GPL-2.0-only
"""Many pages at once: what :class:`~kemu.machine.memory.Memory` does page by page, for ranges in which all pages are alike."""
from __future__ import annotations

from kemu.machine.current import this
from kemu.machine.memory import Memory
from kemu.machine.pages import Page
from kemu.machine.shadow import CONST, OK, UNINIT

Runs = list[tuple[int, int]]
_WRITABLE = frozenset((OK, UNINIT))


def mark_written(mem: Memory, runs: Runs) -> None:
    """``Memory.mark(runs, None)``: these bytes have just been written with what is known."""
    shift, mask, size = mem.shift, mem.mask, mem.page_size
    state, aliases = mem.state, mem.aliases
    for base, n in runs:
        first = base >> shift
        if n == size and not base & mask and first not in aliases:
            state[first] = OK                       # the usual one; ``fast`` learns of it when it is looked at
            continue
        first, end = base + mask >> shift, base + n >> shift
        if end - first < 2:
            mem.mark([(base, n)], None)
            continue
        whole = range(first, end)
        if aliases and not aliases.keys().isdisjoint(whole):
            mem.mark([(base, n)], None)            # a window shows one of them: it has to learn of it
            continue
        state.update(dict.fromkeys(whole, OK))
        if base & mask:
            mem.mark([(base, (first << shift) - base)], None)
        if base + n & mask:
            mem.mark([(end << shift, base + n - (end << shift))], None)


def window_pieces(addr: int, n: int, write: bool) -> Runs:
    """``Memory.pieces()`` for an address that is mostly in a window of vm_map_ram()."""
    mem = this.mem
    shift, mask = mem.shift, mem.mask
    off = addr & mask
    area = this.machine.vm.areas.get(addr - off)
    if area is None or not area.brief or n <= 0:
        return mem.pieces(addr, n, write)
    pages: list[Page] = area.pages
    count = off + n + mask >> shift
    if count > len(pages):
        return mem.pieces(addr, n, write)           # beyond its end: that is a report
    if count < len(pages):
        pages = pages[:count]
    pfns = [p.pfn for p in pages]
    try:
        good = _WRITABLE.issuperset(map(mem.state.get, pfns))
    except TypeError:                               # a page with a code for each byte
        good = all(st in _WRITABLE if type(st) is not bytearray else st.isascii()
                   and CONST not in st       # type: ignore[union-attr, operator]
                   for st in map(mem.state.get, pfns))
    if not good:
        return mem.pieces(addr, n, write)
    out: Runs = []
    start = nxt = pfns[0]
    for pfn in pfns:
        if pfn != nxt:
            out.append((start << shift, nxt - start << shift))
            start = pfn
        nxt = pfn + 1
    out.append((start << shift, nxt - start << shift))
    # the first run begins and the last ends within a page
    if off:
        base, k = out[0]
        out[0] = base + off, k - off
    cut = (count << shift) - off - n
    if cut:
        base, k = out[-1]
        out[-1] = base, k - cut
    return out


def overlapping(a: Runs, b: Runs, mem: Memory) -> bool:
    """Whether two lists of runs share a byte."""
    if len(a) * len(b) > 16:
        shift = mem.shift
        frames: set[int] = set()
        for x, n in a:
            frames.update(range(x >> shift, (x + n - 1 >> shift) + 1))
        for y, k in b:
            if not frames.isdisjoint(range(y >> shift, (y + k - 1 >> shift) + 1)):
                break
        else:
            return False
    for x, n in a:
        for y, k in b:
            if x < y + k and y < x + n:
                return True
    return False
