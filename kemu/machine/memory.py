# SPDX-License-Identifier: GPL-2.0-only
"""Physical memory, the addresses through which it is seen, and the shadow that every access is checked against.

Memory is one anonymous mapping, the arena: page frame ``pfn`` lies at ``pfn << PAGE_SHIFT`` of it. It is seen through

* the direct map: ``PAGE_OFFSET + (pfn << PAGE_SHIFT)``, contiguous;
* windows: vmalloc and vm_map_ram areas, and one-page kmap windows, with unmapped addresses on both sides.

The shadow has one byte for each byte of memory, kept per page as one code while the page is uniform:

    0x00 OK        addressable, written at least once
    0x01 UNINIT    addressable, never written since it was allocated
    0x02 CONST     addressable, written, and not to be written again (lent read-only memory, const data)
    >= 0x80        not addressable; the codes below say why, in KASAN's values where KASAN has one

``fast`` maps the page number of an address to an arena offset for pages that are OK as a whole: the one lookup that a small
access costs.
"""
from __future__ import annotations

import mmap
import struct
import sys
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kemu.machine.addresses import ADDR_MASK, KMAP_START, PAGE_OFFSET, VMALLOC_END, VMALLOC_START
from kemu.machine.counters import Counters
from kemu.machine.current import this
from kemu.machine.shadow import CONST, FREE_PAGE, NOT_PRESENT, OK, ONLY_UNINIT, UNINIT

if TYPE_CHECKING:
    from kemu.machine.splat import Splat

__all__ = ["ADDR_MASK", "KMAP_START", "PAGE_OFFSET", "VMALLOC_END", "VMALLOC_START", "Memory"]

u16_at = struct.Struct("<H").unpack_from
u32_at = struct.Struct("<I").unpack_from
u64_at = struct.Struct("<Q").unpack_from
MAP_NORESERVE, MADV_POPULATE_WRITE = 0x4000, 23


class Memory:
    """Bytes by kernel address. All public methods take addresses and sizes in bytes and raise :class:`~kemu.machine.splat.Splat`
    on a bad access.
    """

    __slots__ = ("aliases", "arena", "buf", "counters", "fast", "mask", "nr_pages", "page_size", "passed", "populate", "shift",
                 "spans", "state", "vmap", "zero_page",
                 "_dm_vpn", "_spans_at")

    def __init__(self, nr_pages: int, page_shift: int, counters: Counters):
        self.shift = page_shift
        self.page_size = 1 << page_shift
        self.mask = self.page_size - 1
        self.nr_pages = nr_pages
        # and a page behind them, for accesses that are gone on behind
        self.arena = mmap.mmap(-1, nr_pages + 1 << page_shift, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
        self.buf = memoryview(self.arena)
        self.counters = counters
        self.populate = sys.platform == "linux"
        self.fast: dict[int, int] = {}
        self.state: dict[int, int | bytearray] = {}             # pfn -> code, or one code a byte
        self.spans: list[tuple[int, int, int]] = []             # [first pfn, end pfn) -> code, for what ``state`` does not list
        self._spans_at: list[int] = []
        self.vmap: dict[int, int] = {}                          # page number of a window -> pfn
        self.aliases: dict[int, list[int]] = {}                 # pfn -> page numbers of the windows that show it
        self.zero_page = bytes(self.page_size)
        self._dm_vpn = PAGE_OFFSET >> page_shift
        self.passed: Callable[[Splat], bool] | None = None      # whether a report is passed over: then the access is done

    def touch(self, pfn: int, n: int) -> None:
        """``n`` frames that were never used are about to be written: the host gives its pages at once, not fault by fault."""
        if self.populate:
            try:
                self.arena.madvise(MADV_POPULATE_WRITE, pfn << self.shift, n << self.shift)
            except OSError:
                self.populate = False       # a Linux before 5.14, or another system

    def close(self) -> None:
        """Give the host's memory back."""
        self.buf.release()
        try:
            self.arena.close()
        except BufferError:
            pass                # a report's stack still looks at a part of it: it ends with that

    # ---------------------------------------------------------------- addresses

    def pfn_of(self, addr: int) -> int:
        """Page frame shown at ``addr``, or -1."""
        vpn = addr >> self.shift
        pfn = vpn - self._dm_vpn
        if 0 <= pfn < self.nr_pages:
            return pfn
        return self.vmap.get(vpn, -1)

    def map_window(self, vpn: int, pfn: int) -> None:
        """Show page frame ``pfn`` at page number ``vpn``."""
        self.vmap[vpn] = pfn
        a = self.aliases.get(pfn)
        if a is None:
            self.aliases[pfn] = [vpn]
        else:
            a.append(vpn)
        if self.state.get(pfn) == OK:
            self.fast[vpn] = pfn << self.shift

    def unmap_window(self, vpn: int) -> None:
        """A virtual page maps nothing any more."""
        pfn = self.vmap.pop(vpn)
        a = self.aliases[pfn]
        if len(a) == 1:
            del self.aliases[pfn]
        else:
            a.remove(vpn)
        self.fast.pop(vpn, None)

    # ---------------------------------------------------------------- shadow

    def get_state(self, pfn: int) -> int | bytearray:
        """The page's code, or its bytearray of codes."""
        st = self.state.get(pfn)
        if st is not None:
            return st
        i = bisect_right(self._spans_at, pfn) - 1
        if i >= 0:
            first, end, code = self.spans[i]
            if pfn < end:
                return code
        return FREE_PAGE if 0 <= pfn < self.nr_pages else NOT_PRESENT

    def set_page(self, pfn: int, code: int) -> None:
        """Give every byte of a page the same code."""
        self.state[pfn] = code
        if code == OK:
            off = pfn << self.shift
            self.fast[self._dm_vpn + pfn] = off
            a = self.aliases.get(pfn)
            if a is not None:
                for vpn in a:
                    self.fast[vpn] = off
        else:
            self._not_fast(pfn)

    def _not_fast(self, pfn: int) -> None:
        self.fast.pop(self._dm_vpn + pfn, None)
        a = self.aliases.get(pfn)
        if a is not None:
            for vpn in a:
                self.fast.pop(vpn, None)

    def set_free(self, pfn: int, n: int) -> None:
        """``n`` page frames go back to the allocator."""
        state, fast, aliases = self.state, self.fast, self.aliases
        vpn = self._dm_vpn + pfn
        if n > 1:
            for i in range(n):
                state[pfn + i] = FREE_PAGE
                fast.pop(vpn + i, None)
                if pfn + i in aliases:
                    for v in aliases[pfn + i]:
                        fast.pop(v, None)
            return
        state[pfn] = FREE_PAGE
        if vpn in fast:
            del fast[vpn]
        if aliases and pfn in aliases:
            for v in aliases[pfn]:
                fast.pop(v, None)

    def set_span(self, first: int, end: int, code: int) -> None:
        """Give a long run of pages one code without touching each; pages already listed in ``state`` keep theirs."""
        self.spans.append((first, end, code))
        self.spans.sort()
        self._spans_at = [s[0] for s in self.spans]

    def drop_span(self, first: int) -> None:
        """The pages of the span that begins at frame ``first`` have codes of their own again."""
        fast = self.fast
        for start, end, code in self.spans:
            if start == first and code == OK:
                for pfn in range(start, end):
                    if pfn not in self.state:
                        fast.pop(self._dm_vpn + pfn, None)
                        for vpn in self.aliases.get(pfn, ()):
                            fast.pop(vpn, None)
        self.spans = [s for s in self.spans if s[0] != first]
        self._spans_at = [s[0] for s in self.spans]

    def set_range(self, addr: int, n: int, code: int) -> None:
        """Give the bytes [addr, addr + n) a code."""
        while n > 0:
            pfn = self.pfn_of(addr)
            off = addr & self.mask
            step = min(n, self.page_size - off)
            if step == self.page_size:
                self.set_page(pfn, code)
            else:
                self.poke(pfn, off, step, code)
            addr += step
            n -= step

    def _bytes_state(self, pfn: int) -> bytearray:
        st = self.get_state(pfn)
        if isinstance(st, int):
            st = bytearray([st]) * self.page_size if st else bytearray(self.page_size)
            self.state[pfn] = st
            self._not_fast(pfn)
        return st

    def poke(self, pfn: int, off: int, n: int, code: int) -> None:
        """Give ``n`` bytes of a page a code; the other bytes of the page keep theirs."""
        st = self.get_state(pfn)
        if isinstance(st, int):
            if st == code:
                return
            st = self._bytes_state(pfn)
        st[off:off + n] = bytes(n) if code == 0 else bytes([code]) * n
        if code == OK and st == self.zero_page:
            self.set_page(pfn, OK)

    def shadow(self, addr: int, n: int) -> bytes:
        """The codes of [addr, addr + n), for reports and tests."""
        out = bytearray()
        while n > 0:
            off = addr & self.mask
            step = min(n, self.page_size - off)
            pfn = self.pfn_of(addr)
            st: int | bytearray = self.get_state(pfn) if pfn >= 0 else NOT_PRESENT
            out += bytes([st]) * step if isinstance(st, int) else st[off:off + step]
            addr += step
            n -= step
        return bytes(out)

    def whole(self, addr: int) -> int | None:
        """Arena offset of the page at ``addr`` if it is in the direct map and OK as a whole; from now on ``fast`` has it."""
        vpn = addr >> self.shift
        pfn = vpn - self._dm_vpn
        if not 0 <= pfn < self.nr_pages or self.get_state(pfn) != OK:
            return None
        base = self.fast[vpn] = pfn << self.shift
        return base

    # ---------------------------------------------------------------- checks

    def flat(self, addr: int, n: int) -> int:
        """Arena offset of [addr, addr + n) if it is in the direct map, and all of it can be read; else -1, and ask pieces()."""
        first, end = (addr >> self.shift) - self._dm_vpn, (addr + n + self.mask >> self.shift) - self._dm_vpn
        if first < 0 or end > self.nr_pages:
            return -1
        try:
            codes = {*map(self.state.get, range(first, end))}
        except TypeError:                               # a page with a code for each byte
            codes = {self._worst(addr, n, pfn) for pfn in range(first, end)}
        if None in codes:
            i = bisect_right(self._spans_at, first) - 1
            if i < 0 or end > self.spans[i][1]:
                return -1
            codes.discard(None)
            codes.add(self.spans[i][2])
        return addr - PAGE_OFFSET if max(codes) < 0x80 else -1      # type: ignore[type-var, operator]

    def _worst(self, addr: int, n: int, pfn: int) -> int:
        """The worst code of those bytes of a page of the direct map that are in [addr, addr + n)."""
        st = self.get_state(pfn)
        if isinstance(st, int):
            return st
        at = addr - PAGE_OFFSET - (pfn << self.shift)
        return max(st[max(at, 0):at + n])

    def pieces(self, addr: int, n: int, write: bool) -> list[tuple[int, int]]:
        """Check [addr, addr + n) and give it as runs ``(arena offset, length)``; physically adjacent pages become one run."""
        if n <= 0:
            return []
        out: list[tuple[int, int]] = []
        shift, mask, size = self.shift, self.mask, self.page_size
        state_get, fast_get = self.state.get, self.fast.get
        dm = self._dm_vpn
        first, end = (addr >> shift) - dm, (addr + n + mask >> shift) - dm
        if 0 <= first and end <= self.nr_pages:
            # in the direct map everything is one run: pages of one code each need no more than a look at the code
            worst = CONST if write else 0x80
            if first + 1 == end:
                st = state_get(first)
                if type(st) is int and st < worst:          # type: ignore[operator]
                    return [(addr - PAGE_OFFSET, n)]
            if self._one_run(first, end, worst):
                return [(addr - PAGE_OFFSET, n)]
        run_off = run_len = -1
        left, a = n, addr
        while left > 0:
            off = a & mask
            step = size - off
            if step > left:
                step = left
            vpn = a >> shift
            base = fast_get(vpn)
            if base is None:
                base = self._page_base(vpn, off, step, write)
                if base < 0:
                    base = self._bad(addr, n, write, a)
            base += off
            if base == run_off + run_len:
                run_len += step
            else:
                if run_len > 0:
                    out.append((run_off, run_len))
                run_off, run_len = base, step
            a += step
            left -= step
        out.append((run_off, run_len))
        return out

    def _one_run(self, first: int, end: int, worst: int) -> bool:
        """Whether every code of pages [first, end) of the direct map is below ``worst``."""
        state_get = self.state.get
        try:
            codes = {*map(state_get, range(first, end))}
            if None in codes:                           # of a span, if of one only
                i = bisect_right(self._spans_at, first) - 1
                codes.discard(None)
                codes.add(self.spans[i][2] if i >= 0 and end <= self.spans[i][1] else FREE_PAGE)
            return max(codes) < worst                   # type: ignore[type-var, operator]
        except TypeError:                               # a page with a code for each byte
            for st in map(state_get, range(first, end)):
                if type(st) is int:
                    if st >= worst:                     # type: ignore[operator]
                        return False
                elif st is None or not st.isascii() or (worst == CONST and CONST in st):      # type: ignore[union-attr, operator]
                    return False
            return True

    def _page_base(self, vpn: int, off: int, step: int, write: bool) -> int:
        """Arena offset of the page at a virtual page number of which [off, off + step) may be accessed; -1 if it may not."""
        pfn = vpn - self._dm_vpn
        direct = 0 <= pfn < self.nr_pages
        if not direct:
            pfn = self.vmap.get(vpn, -1)
            if pfn < 0:
                return -1
        st = self.state.get(pfn)
        if st is None:
            st = self.get_state(pfn)
            if st == OK and direct:
                self.fast[vpn] = pfn << self.shift      # a page of a span: drop_span() takes it back
        if type(st) is int:
            bad = st >= 0x80 or (write and st == CONST)   # type: ignore[operator]
        else:
            part = st[off:off + step]                   # type: ignore[index]
            bad = not part.isascii() or (write and CONST in part)
        return -1 if bad else pfn << self.shift

    def _bad(self, addr: int, n: int, write: bool, near: int) -> int:
        """Raise the report for an access of which some byte at or after ``near`` is bad. If it is passed over, the offset of what
        is read instead: the page itself, or zeros where there is none; what is written goes nowhere.
        """
        from kemu.machine.report import bad_access  # noqa: PLC0415  (only for a report)

        splat = bad_access(self, addr, n, write, near)
        if self.passed is None or not self.passed(splat):
            raise splat
        pfn = -1 if write else self.pfn_of(near)
        if pfn >= 0:
            return pfn << self.shift
        sink = self.nr_pages << self.shift
        self.buf[sink:sink + self.page_size] = self.zero_page
        return sink

    def init_of(self, runs: list[tuple[int, int]]) -> bytes | None:
        """None if every byte of the runs was written, else their codes masked to OK and UNINIT."""
        shift, mask, size = self.shift, self.mask, self.page_size
        clean = True
        out: list[bytes] = []
        for base, n in runs:
            while n > 0:
                pfn, off = base >> shift, base & mask
                step = min(n, size - off)
                st = self.state.get(pfn)
                if st is None:
                    st = self.get_state(pfn)
                if type(st) is int:
                    if st == UNINIT:
                        clean = False
                        out.append(b"\1" * step)
                    else:
                        out.append(bytes(step))
                else:
                    part = bytes(st[off:off + step])               # type: ignore[index]
                    if UNINIT in part:
                        clean = False
                        out.append(part.translate(ONLY_UNINIT))
                    else:
                        out.append(bytes(step))
                base += step
                n -= step
        return None if clean else b"".join(out)

    def mark(self, runs: list[tuple[int, int]], init: bytes | None) -> None:
        """The bytes of the runs have just been written; ``init`` says which of the written bytes were themselves never written.
        """
        shift, mask, size = self.shift, self.mask, self.page_size
        state_get = self.state.get
        done = 0
        for base, n in runs:
            while n > 0:
                pfn, off = base >> shift, base & mask
                step = size - off
                if step > n:
                    step = n
                st = state_get(pfn)
                if st is None:
                    st = self.get_state(pfn)
                if init is None:
                    if type(st) is int:
                        if st:
                            if step == size:
                                self.set_page(pfn, OK)
                            else:
                                self.poke(pfn, off, step, OK)
                    else:
                        st[off:off + step] = self.zero_page[:step]     # type: ignore[index]
                        if st == self.zero_page:                       # type: ignore[comparison-overlap]
                            self.set_page(pfn, OK)
                else:
                    part = init[done:done + step]
                    bs = self._bytes_state(pfn)
                    bs[off:off + step] = part
                    if bs == self.zero_page:
                        self.set_page(pfn, OK)
                done += step
                base += step
                n -= step

    # ---------------------------------------------------------------- scalars

    def ld8(self, addr: int) -> int:
        """Read one byte; a bad address is reported."""
        base = self.fast.get(addr >> self.shift)
        if base is None:
            base = self.whole(addr)
            if base is None:
                return self.load(addr, 1)[0]
        return self.buf[base + (addr & self.mask)]

    def ld16(self, addr: int) -> int:
        """Read two bytes, little endian."""
        base = self.fast.get(addr >> self.shift)
        if base is not None:
            off = addr & self.mask
            if off <= self.mask - 1:
                return u16_at(self.buf, base + off)[0]     # type: ignore[no-any-return]
        return int.from_bytes(self.load(addr, 2), "little")

    def ld32(self, addr: int) -> int:
        """Read four bytes, little endian."""
        base = self.fast.get(addr >> self.shift)
        if base is not None:
            off = addr & self.mask
            if off <= self.mask - 3:
                return u32_at(self.buf, base + off)[0]     # type: ignore[no-any-return]
        return int.from_bytes(self.load(addr, 4), "little")

    def ld64(self, addr: int) -> int:
        """Read eight bytes, little endian."""
        base = self.fast.get(addr >> self.shift)
        if base is not None:
            off = addr & self.mask
            if off <= self.mask - 7:
                return u64_at(self.buf, base + off)[0]     # type: ignore[no-any-return]
        return int.from_bytes(self.load(addr, 8), "little")

    def st8(self, addr: int, v: int) -> None:
        """Write one byte; a bad address is reported."""
        self.store(addr, bytes((v & 0xFF,)))

    def st16(self, addr: int, v: int) -> None:
        """Write two bytes, little endian."""
        self.store(addr, (v & 0xFFFF).to_bytes(2, "little"))

    def st32(self, addr: int, v: int) -> None:
        """Write four bytes, little endian."""
        self.store(addr, (v & 0xFFFF_FFFF).to_bytes(4, "little"))

    def st64(self, addr: int, v: int) -> None:
        """Write eight bytes, little endian."""
        self.store(addr, (v & ADDR_MASK).to_bytes(8, "little"))

    # ---------------------------------------------------------------- ranges

    def load(self, addr: int, n: int, what: str = "load") -> bytes:
        """Bytes at ``addr`` that the kernel looks at (they decide something): reading never-written ones is reported to the
        watch.
        """
        off = addr & self.mask
        if off + n <= self.page_size:
            base = self.fast.get(addr >> self.shift)
            if base is None:
                base = self.whole(addr)
            if base is not None:
                base += off
                return bytes(self.buf[base:base + n])
        runs = self.pieces(addr, n, False)
        if this.watch is not None and self.init_of(runs) is not None:
            this.watch.uninit_use(addr, n, what)
        buf = self.buf
        if len(runs) == 1:
            base, n = runs[0]
            return bytes(buf[base:base + n])
        return b"".join([bytes(buf[b:b + k]) for b, k in runs])

    def store(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """Write bytes that come from outside (a file, a decompressor, a constant): they count as written."""
        n = len(data)
        base = self.fast.get(addr >> self.shift)
        off = addr & self.mask
        if base is not None and off + n <= self.page_size:
            base += off
            self.buf[base:base + n] = data
            return
        runs = self.pieces(addr, n, True)
        pos = 0
        view = memoryview(data)
        for base, k in runs:
            self.buf[base:base + k] = view[pos:pos + k]
            pos += k
        self.mark(runs, None)

    def fill(self, addr: int, c: int, n: int) -> None:
        """``memset``."""
        if n <= 0:
            return
        runs = self.pieces(addr, n, True)
        for base, k in runs:
            self.buf[base:base + k] = bytes(k) if c == 0 else bytes((c & 0xFF,)) * k
        self.mark(runs, None)

    def copy(self, dst: int, src: int, n: int) -> None:
        """``memcpy``/``memmove``: bytes and whether they were ever written."""
        if n <= 0:
            return
        self.counters.bytes_copied += n
        shift, mask, size = self.shift, self.mask, self.page_size
        s, d = self.fast.get(src >> shift), self.fast.get(dst >> shift)
        if s is not None and d is not None and (src & mask) + n <= size and (dst & mask) + n <= size:
            s += src & mask
            d += dst & mask
            self.buf[d:d + n] = self.buf[s:s + n]
            return
        sruns = self.pieces(src, n, False)
        druns = self.pieces(dst, n, True)
        init = self.init_of(sruns)
        buf = self.buf
        if len(sruns) == 1 and len(druns) == 1:
            s, d = sruns[0][0], druns[0][0]
            buf[d:d + n] = buf[s:s + n]
        else:
            data = memoryview(b"".join([bytes(buf[b:b + k]) for b, k in sruns]))
            pos = 0
            for b, k in druns:
                buf[b:b + k] = data[pos:pos + k]
                pos += k
        self.mark(druns, init)

    def give(self, addr: int, n: int, what: str = "copy to reader") -> bytes:
        """Bytes that leave the kernel for a reader; like :meth:`load`, but it is here that never-written bytes are an information
        leak.
        """
        self.counters.bytes_to_reader += n
        return self.load(addr, n, what)

    def give_to(self, to: Any, pos: int, addr: int, n: int) -> None:
        """The same into a reader's buffer, at ``pos`` of it."""
        base = self.fast.get(addr >> self.shift)
        off = addr & self.mask
        if base is not None and off + n <= self.page_size:
            runs = [(base + off, n)]
        else:
            runs = self.pieces(addr, n, False)
            if this.watch is not None and self.init_of(runs) is not None:
                this.watch.uninit_use(addr, n, "copy to reader")
        self.counters.bytes_to_reader += n
        for base, k in runs:
            to[pos:pos + k] = self.buf[base:base + k]
            pos += k

    def raw(self, addr: int, n: int) -> bytes:
        """Bytes without any check, for oracles and reports; missing memory reads as zeros."""
        out = bytearray()
        while n > 0:
            off = addr & self.mask
            step = min(n, self.page_size - off)
            pfn = self.pfn_of(addr)
            base = (pfn << self.shift) + off
            out += self.buf[base:base + step] if pfn >= 0 else bytes(step)
            addr += step
            n -= step
        return bytes(out)
