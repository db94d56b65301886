# SPDX-License-Identifier: GPL-2.0-only
"""Windows on physical pages: vmalloc areas, vm_map_ram, and kmap_local's one-page windows."""
from __future__ import annotations

from kemu.machine.current import this
from kemu.machine.memory import KMAP_START, VMALLOC_START, Memory
from kemu.machine.pages import VMALLOC, Page, PageAllocator
from kemu.machine.splat import KernelBug, caller_function

KMAP_SLOTS = 64             # windows a task may hold at once


class VmArea:
    """One mapped area: ``nr`` pages at ``addr``; ``owned`` if vfree gives the pages back."""

    __slots__ = ("addr", "brief", "caller", "nr", "owned", "pages", "size")

    def __init__(self, addr: int, pages: list[Page], size: int, owned: bool):
        self.addr = addr
        self.pages = pages
        self.nr = len(pages)
        self.size = size
        self.owned = owned
        self.brief = False
        self.caller = ""


class VmSpace:
    """The vmalloc area of a machine. Areas are never reused and have an unmapped page on both sides."""

    __slots__ = ("areas", "mem", "next_vpn", "shuffle_state")

    def __init__(self, mem: Memory):
        self.mem = mem
        self.next_vpn = (VMALLOC_START >> mem.shift) + 1
        self.areas: dict[int, VmArea] = {}
        self.shuffle_state = 0x9E3779B9

    def map_briefly(self, pages: list[Page]) -> int:
        """The same for a window that is looked through once or twice and taken away: its pages are found through ``vmap`` only.
        """
        mem = self.mem
        vpn = self.next_vpn
        self.next_vpn = end = vpn + len(pages) + 1
        mem.vmap.update(zip(range(vpn, end), [p.pfn for p in pages]))
        addr = vpn << mem.shift
        area = self.areas[addr] = VmArea(addr, pages, len(pages) << mem.shift, False)
        area.brief = True
        mem.counters.vm_maps += 1
        return addr

    def map_pages(self, pages: list[Page], owned: bool = False, size: int = 0) -> int:
        """Map pages side by side; returns the address."""
        mem = self.mem
        vpn = self.next_vpn
        self.next_vpn += len(pages) + 1
        # Memory.map_window, written out
        shift, vmap, aliases, state, fast = mem.shift, mem.vmap, mem.aliases, mem.state, mem.fast
        for v, p in enumerate(pages, vpn):
            pfn = p.pfn
            vmap[v] = pfn
            a = aliases.get(pfn)
            if a is None:
                aliases[pfn] = [v]
            else:
                a.append(v)
            if state.get(pfn) == 0:
                fast[v] = pfn << shift
        addr = vpn << shift
        area = VmArea(addr, pages, size or len(pages) << mem.shift, owned)
        self.areas[addr] = area
        mem.counters.vm_maps += 1
        return addr

    def unmap(self, addr: int) -> VmArea:
        """Take an area away; what is none is reported."""
        area = self.areas.pop(addr, None)
        if area is None:
            func = caller_function()[0]
            raise KernelBug(f"Trying to vfree() nonexistent vm area ({addr:016x}) in {func}", function=func, addr=addr)
        # Memory.unmap_window, written out
        mem = self.mem
        vmap, aliases, fast = mem.vmap, mem.aliases, mem.fast
        vpn = addr >> mem.shift
        if area.brief:
            for v in range(vpn, vpn + area.nr):
                del vmap[v]
            return area
        for v in range(vpn, vpn + area.nr):
            pfn = vmap.pop(v)
            a = aliases[pfn]
            if len(a) == 1:
                del aliases[pfn]
            else:
                a.remove(v)
            fast.pop(v, None)
        return area

    def shuffled(self, n: int) -> list[int]:
        """A fixed permutation of range(n) in which no two neighbours stay neighbours in order (for n > 2): vmalloc's pages are
        scattered.
        """
        order = list(range(n))
        x = self.shuffle_state
        for i in range(n - 1, 0, -1):
            x = (x * 1103515245 + 12345) & 0x7FFFFFFF
            j = x % (i + 1)
            order[i], order[j] = order[j], order[i]
        return order

    def vmalloc(self, alloc: PageAllocator, size: int, zero: bool) -> int:
        """``size`` bytes in physically scattered pages; 0 if memory is exhausted."""
        nr = (size + self.mem.mask) >> self.mem.shift
        got: list[Page] = []
        for _ in range(nr):
            p = alloc.alloc(0, zero, VMALLOC)
            if p is None:
                for q in got:
                    alloc.free(q)
                return 0
            got.append(p)
        return self.map_pages([got[i] for i in self.shuffled(nr)], True, size)

    def vfree(self, alloc: PageAllocator, addr: int) -> None:
        """Take an area away and give its pages back. 0 is no area."""
        if not addr:
            return
        for p in self.unmap(addr).pages:
            alloc.free(p)


class Kmap:
    """kmap_local windows: a stack for each task, a window is one page with nothing mapped beside it."""

    __slots__ = ("base_vpn", "mem", "stacks")

    def __init__(self, mem: Memory):
        self.mem = mem
        self.base_vpn = KMAP_START >> mem.shift
        self.stacks: dict[int, list[int]] = {}      # pid -> page frames mapped, innermost last

    def map(self, pfn: int) -> int:
        """Address of a new window on a page, the current task's innermost."""
        pid = this.task.pid
        st = self.stacks.get(pid)
        if st is None:
            st = self.stacks[pid] = []
        depth = len(st)
        if depth >= KMAP_SLOTS:
            raise KernelBug("WARNING: kmap_local: too many nested windows", function=caller_function()[0])
        vpn = self.base_vpn + (pid * KMAP_SLOTS + depth) * 2 + 1
        st.append(pfn)
        # Memory.map_window, written out: this is the hottest call of the machine
        mem = self.mem
        mem.vmap[vpn] = pfn
        a = mem.aliases.get(pfn)
        if a is None:
            mem.aliases[pfn] = [vpn]
        else:
            a.append(vpn)
        if mem.state.get(pfn) == 0:
            mem.fast[vpn] = pfn << mem.shift
        mem.counters.kmaps += 1
        return vpn << mem.shift

    def unmap(self, addr: int) -> None:
        """Close the current task's innermost window; another one is reported."""
        mem = self.mem
        pid = this.task.pid
        st = self.stacks.get(pid)
        depth = len(st) - 1 if st else -1
        vpn = self.base_vpn + (pid * KMAP_SLOTS + depth) * 2 + 1
        if addr >> mem.shift != vpn or depth < 0:
            if self._unmap_lowmem(addr, st):
                return
            func = caller_function()[0]
            raise KernelBug(f"BUG: kunmap_local out of order in {func}",
                            [f"unmapped {addr:016x}, the innermost window is {vpn << mem.shift:016x}"],
                            function=func, addr=addr)
        assert st is not None
        st.pop()
        while st and st[-1] < 0:
            st.pop()
        # Memory.unmap_window, written out
        pfn = mem.vmap.pop(vpn)
        a = mem.aliases[pfn]
        if len(a) == 1:
            del mem.aliases[pfn]
        else:
            a.remove(vpn)
        mem.fast.pop(vpn, None)

    def _unmap_lowmem(self, addr: int, st: list[int] | None) -> bool:
        """Unmap a window that is not the innermost. Only for pages of a mapping that takes no highmem (directories, a disk's page
        cache): there
        kunmap_local() does nothing in Linux, and code relies on that."""
        mem = self.mem
        vpn = addr >> mem.shift
        slot, odd = divmod(vpn - self.base_vpn - 1, 2)
        slot -= this.task.pid * KMAP_SLOTS
        if st is None or odd or not 0 <= slot < len(st) or st[slot] < 0:
            return False
        page = this.machine.alloc.lookup(st[slot])
        mapping = (page.head or page).mapping if page is not None else None
        if mapping is None or mapping.gfp_mask & 0x02:          # __GFP_HIGHMEM
            return False
        st[slot] = -1
        mem.unmap_window(vpn)
        return True
