# SPDX-License-Identifier: GPL-2.0-only
"""struct page, the page ledger and the page allocator.

``Page`` is struct page and struct folio in one: a folio is its head page, as in C where they share memory. The ledger is the Page
objects themselves: kind, reference count, flags, mapping, owner. A page that was never handed out has no object.
"""
from __future__ import annotations

from collections import deque
from typing import Any

from kemu.machine.current import NULL, this
from kemu.machine.memory import PAGE_OFFSET, Memory
from kemu.machine.shadow import OK, UNINIT
from kemu.machine.splat import KernelBug, caller_function

# page flags (bit masks; include/linux/page-flags.h)
PG_locked = 1 << 0
PG_referenced = 1 << 1
PG_uptodate = 1 << 2
PG_dirty = 1 << 3
PG_workingset = 1 << 4
PG_private = 1 << 5
PG_reserved = 1 << 6
PG_readahead = 1 << 7
PG_waiters = 1 << 8
PG_slab = 1 << 9
PG_swapcache = 1 << 10
PG_dropbehind = 1 << 11

# kinds of the ledger
RESERVED, BUDDY, SLAB, LARGE_KMALLOC, PAGECACHE, KERNEL, VMALLOC = (
    "reserved", "buddy", "slab", "large-kmalloc", "page cache", "kernel", "vmalloc")
QUARANTINE = 256            # freed runs of one order that wait before the oldest is used again
FROZEN = (SLAB, LARGE_KMALLOC)      # kinds whose reference count stays 0


class Page:
    """``struct page`` / ``struct folio``.

    ``refcount`` counts the whole folio and is kept in its head; ``head`` is None in a head page. ``private`` is an int (0: NULL)
    or an object. ``waiters`` are the tasks that sleep on the folio lock.
    """

    __slots__ = ("flags", "head", "index", "kind", "mapping", "order", "owner", "pfn", "private", "refcount", "tails", "waiters",
                 "__weakref__")

    def __init__(self, pfn: int, order: int = 0, kind: str = KERNEL):
        self.pfn = pfn
        self.order = order
        self.kind = kind
        self.flags = 0
        self.refcount = 1
        self.head: Page | None = None
        self.mapping: Any = None
        self.index = 0
        self.private: Any = 0
        self.owner = ""
        self.tails: list[Page | None] | None = None
        self.waiters: Any = None

    @property
    def page(self) -> Page:
        """``&folio->page``."""
        return self

    def __repr__(self) -> str:
        names = [n for n, b in (("locked", PG_locked), ("uptodate", PG_uptodate), ("private", PG_private),
                                ("reserved", PG_reserved)) if self.flags & b]
        return (f"<page pfn:{self.pfn:#x} order:{self.order} {self.kind} refcount:{self.refcount} index:{self.index:#x} "
                f"flags:{'|'.join(names)}>")


class PageAllocator:
    """Hands out runs of ``1 << order`` page frames. First fit from a rising mark, then from what was freed, oldest order first.

    Freed frames wait in a queue before they are used again, so that a use after free meets its own page and not a stranger's.
    """

    __slots__ = ("exhausted", "free_lists", "mem", "next_pfn", "pages", "top_pfn")

    def __init__(self, mem: Memory):
        self.mem = mem
        self.exhausted = False                     # whether an allocation has failed for want of frames
        self.pages: dict[int, Page] = {}          # head pfn -> Page, allocated ones
        self.free_lists: dict[int, deque[int]] = {}
        self.next_pfn = 16                         # low frames stay unused, as the first 64 KiB do on a PC
        self.top_pfn = mem.nr_pages                # frames from here up are carved off by reserve()

    def reserve(self, nr: int) -> int:
        """Carve ``nr`` frames off the top of memory (boot-time reservations, images); returns the first pfn or -1."""
        if self.top_pfn - nr < self.next_pfn:
            return -1
        self.top_pfn -= nr
        return self.top_pfn

    def _list(self, order: int) -> deque[int]:
        lst = self.free_lists.get(order)
        if lst is None:
            lst = self.free_lists[order] = deque()
        return lst

    def _take(self, order: int) -> int:
        n = 1 << order
        old = self.free_lists.get(order)
        if old is not None and len(old) > QUARANTINE:
            return old.popleft()
        pfn = (self.next_pfn + n - 1) & ~(n - 1)
        if pfn + n <= self.top_pfn:
            for gap in range(self.next_pfn, pfn):
                self._list(0).append(gap)
            self.next_pfn = pfn + n
            return pfn
        for o in sorted(self.free_lists):
            if o >= order and self.free_lists[o]:
                pfn = self.free_lists[o].popleft()
                for rest in range(o - 1, order - 1, -1):
                    self._list(rest).append(pfn + (1 << rest))
                return pfn
        return self._merge_and_take(order)

    def _merge_and_take(self, order: int) -> int:
        free: set[int] = set()
        for o, lst in self.free_lists.items():
            for pfn in lst:
                free.update(range(pfn, pfn + (1 << o)))
        n = 1 << order
        for pfn in sorted(free):
            if not pfn & (n - 1) and all(pfn + i in free for i in range(n)):
                free.difference_update(range(pfn, pfn + n))
                self.free_lists = {0: deque(sorted(free))}
                return pfn
        return -1

    def alloc(self, order: int, zero: bool, kind: str = KERNEL) -> Page:
        """A run of frames with refcount 1, its bytes UNINIT (or zeroed); None if memory is exhausted."""
        old = self.free_lists.get(order)
        if old is not None and len(old) > QUARANTINE:
            pfn = old.popleft()
        elif not order and self.next_pfn < self.top_pfn:
            pfn = self.next_pfn
            self.next_pfn = pfn + 1
        else:
            pfn = self._take(order)
            if pfn < 0:
                self.exhausted = True
                return NULL             # type: ignore[no-any-return]
        mem = self.mem
        n = 1 << order
        if zero:
            base = pfn << mem.shift
            mem.buf[base:base + (n << mem.shift)] = bytes(n << mem.shift)
            for i in range(pfn, pfn + n):
                mem.set_page(i, OK)
        elif n == 1:
            mem.state[pfn] = UNINIT         # a free frame is in no fast path: set_page() has nothing to undo
        else:
            mem.state.update(dict.fromkeys(range(pfn, pfn + n), UNINIT))
        page = Page(pfn, order, kind)
        self.pages[pfn] = page
        c = mem.counters
        c.pages_allocated += n
        c.pages_in_use += n
        if c.pages_in_use > c.pages_peak:
            c.pages_peak = c.pages_in_use
        if this.watch is not None:
            this.watch.page_alloc(page)
        return page

    def free(self, page: Page) -> None:
        """Give a run back: its bytes become FREE_PAGE."""
        mem = self.mem
        pfn, n = page.pfn, 1 << page.order
        if self.pages.pop(pfn, None) is not page:
            raise KernelBug(f"BUG: Bad page state: double free of pfn {pfn:#x} in {caller_function()[0]}", [repr(page)],
                            function=caller_function()[0])
        mem.set_free(pfn, n)
        waiting = self.free_lists.get(page.order)
        if waiting is None:
            waiting = self.free_lists[page.order] = deque()
        waiting.append(pfn)
        page.kind = BUDDY
        page.flags = 0
        page.mapping = None
        c = mem.counters
        c.pages_freed += n
        c.pages_in_use -= n
        if this.watch is not None:
            this.watch.page_free(page)

    def lookup(self, pfn: int) -> Page | None:
        """The Page (head or tail) for a frame in use."""
        page = self.pages.get(pfn)
        if page is not None:
            return page
        for order in range(1, 12):
            head = self.pages.get(pfn & ~((1 << order) - 1))
            if head is not None and pfn < head.pfn + (1 << head.order):
                return self.tail(head, pfn - head.pfn)
        return None

    @staticmethod
    def tail(head: Page, n: int) -> Page:
        """Page ``n`` of a folio; tail pages are made when first asked for."""
        if n == 0:
            return head
        if head.tails is None:
            head.tails = [None] * (1 << head.order)
        page = head.tails[n]
        if page is None:
            page = Page(head.pfn + n, 0, head.kind)
            page.head = head
            page.refcount = 0
            head.tails[n] = page
        return page


def page_va(page: Page) -> int:
    """Address of a page in the direct map."""
    return PAGE_OFFSET + (page.pfn << this.mem.shift)
