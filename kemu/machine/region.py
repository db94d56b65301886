# SPDX-License-Identifier: GPL-2.0-only
"""A range of memory with an owner and a lifetime: an image, an initrd.

The region is the object that a memory-backed mount is given instead of a raw address. Its states follow the initrd's life:
``owned`` (nobody reads it), ``lent`` (n users), ``exported``, ``released``. Releasing poisons the bytes and makes every later
access a report.
"""
from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from kemu.machine.given import GivenImage
from kemu.machine.memory import PAGE_OFFSET
from kemu.machine.pages import RESERVED, VMALLOC, Page
from kemu.machine.shadow import CONST, NOT_PRESENT, OK, PAGE_REDZONE, RELEASED_INIT, SLAB_REDZONE
from kemu.machine.splat import KernelBug, caller_function

if TYPE_CHECKING:
    from kemu.machine.machine import Machine

POISON_FREE_INITMEM = 0xCC
LINEAR, VMALLOC_MEM, SLAB_MEM = "linear", "vmalloc", "slab"
KINDS = (LINEAR, VMALLOC_MEM, SLAB_MEM)


class Region:
    """``[addr, addr + size)`` of a machine; ``name`` appears in reports, ``given`` is what was put there."""

    __slots__ = ("addr", "exported", "first_pfn", "given", "kind", "machine", "name", "nr_pages", "pages", "released_by", "size",
                 "state", "users")

    def __init__(self, machine: Machine, name: str, addr: int, size: int, kind: str, given: GivenImage):
        self.machine = machine
        self.name = name
        self.addr = addr
        self.size = size
        self.kind = kind
        self.given = given
        self.state = "owned"
        self.users: list[str] = []
        self.released_by = ""
        self.first_pfn = -1
        self.nr_pages = 0
        self.pages: list[Page] = []
        self.exported = False

    def lend(self, user: str) -> bool:
        """A user starts to read the region; False once it was released."""
        if self.state == "released":
            return False
        self.users.append(user)
        self.state = "lent"
        return True

    def give_back(self, user: str) -> None:
        """``user`` does not need the region any more; who does not hold it is reported."""
        if user not in self.users:
            raise KernelBug(f"BUG: region {self.name} given back by {user}, who does not hold it", function=caller_function()[0])
        self.users.remove(user)
        if not self.users and self.state == "lent":
            self.state = "owned"

    def release(self, by: str = "") -> None:
        """Poison and free the memory, whoever still reads it."""
        if self.state == "released":
            func = caller_function()[0]
            raise KernelBug(f"BUG: region {self.name} freed twice in {func}", [f"first freed by {self.released_by}"],
                            function=func)
        self.state = "released"
        self.released_by = by or caller_function()[0]
        mem = self.machine.mem
        mem.set_range(self.addr, self.size, OK)
        mem.fill(self.addr, POISON_FREE_INITMEM, self.size)
        mem.set_range(self.addr, self.size, RELEASED_INIT)

    def contains(self, addr: int) -> bool:
        """Whether a byte of the region has this address."""
        return self.addr <= addr < self.addr + self.size

    def describe(self, addr: int) -> str:
        """Where an address is, seen from the region."""
        if addr < self.addr:
            place = f"{self.addr - addr} bytes before"
        elif addr >= self.addr + self.size:
            place = f"{addr - self.addr - self.size} bytes after the end of"
        else:
            place = f"{addr - self.addr} bytes inside of"
        state = f"released by {self.released_by}" if self.state == "released" else self.state
        return (f"The buggy address is {place} the {self.size}-byte region {self.name} [{self.addr:016x}, "
                f"{self.addr + self.size:016x}), {state}")


def _put_linear(machine: Machine, path_or_bytes: bytes | str, addr_off: int, size: int) -> None:
    """Copy the image to arena offset ``addr_off``; holes of a sparse file are skipped, fresh memory is zero there."""
    buf = machine.mem.buf
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        buf[addr_off:addr_off + size] = path_or_bytes[:size]
        return
    fd = os.open(path_or_bytes, os.O_RDONLY)
    try:
        pos = 0
        while pos < size:
            try:
                start = os.lseek(fd, pos, os.SEEK_DATA)
            except OSError:
                break
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
            while start < end:
                n = os.preadv(fd, [buf[addr_off + start:addr_off + min(end, start + (1 << 26))]], start)
                if n <= 0:
                    raise OSError(5, "file shrank while it was read", path_or_bytes)
                start += n
            pos = end
    finally:
        os.close(fd)


def image_size(image: bytes | str) -> int:
    """Bytes of an image that is given as such or by its path."""
    return os.stat(image).st_size if isinstance(image, str) else len(image)


def place(machine: Machine, image: bytes | str, at: int, kind: str, name: str, writable: bool) -> Region:
    """Put an image (bytes, or the path of a file) into memory, ``at`` bytes behind a page boundary.

    ``linear``: contiguous page frames, one redzone page on both sides. ``vmalloc``: scattered frames mapped side by side.
    ``slab``: one kmalloc object. Bytes beside the image are redzone; the image itself is CONST unless ``writable``.
    """
    mem = machine.mem
    size = image_size(image)
    psize = mem.page_size
    at %= psize
    code = OK if writable else CONST
    nr = (at + size + psize - 1) >> mem.shift
    if kind == LINEAR:
        pfn = machine.alloc.reserve(nr + 2)
        if pfn < 0:
            raise MemoryError(f"no room for {size} bytes")
        first = pfn + 1
        addr = PAGE_OFFSET + (first << mem.shift) + at
        _put_linear(machine, image, (first << mem.shift) + at, size)
        mem.set_page(pfn, PAGE_REDZONE)
        mem.set_page(first + nr, PAGE_REDZONE)
        region = Region(machine, name, addr, size, kind, GivenImage(image, at, kind))
        region.first_pfn, region.nr_pages = first, nr
        if nr > 4096:
            mem.set_span(first, first + nr, code)
            edges = [0, nr - 1]
        else:
            for i in range(nr):
                mem.set_page(first + i, code)
            edges = [0, nr - 1] if nr else []
        for i in dict.fromkeys(edges):
            page_at = PAGE_OFFSET + ((first + i) << mem.shift)
            lo, hi = max(addr, page_at), min(addr + size, page_at + psize)
            if hi - lo < psize:
                mem.set_page(first + i, PAGE_REDZONE)
                mem.set_range(lo, hi - lo, code)
        if nr <= 4096:
            for i in range(nr):
                page = Page(first + i, 0, RESERVED)
                page.flags |= 1 << 6
                page.owner = name
                machine.alloc.pages[first + i] = page
        return region
    data = image if not isinstance(image, str) else _read(image)
    if kind == VMALLOC_MEM:
        base = machine.vm.vmalloc(machine.alloc, max(at + size, 1), True)
        if not base:
            raise MemoryError(f"no room for {size} bytes")
        addr = base + at
        area = machine.vm.areas[base]
        for p in area.pages:
            p.kind = VMALLOC
            p.owner = name
        for p in area.pages:
            mem.set_page(p.pfn, PAGE_REDZONE)
    elif kind == SLAB_MEM:
        base = machine.slab.kmalloc(max(at + size, 1), True)
        if not base:
            raise MemoryError(f"no room for {size} bytes")
        addr = base + at
        mem.set_range(base, at, SLAB_REDZONE)
    else:
        raise ValueError(f"memory kind {kind!r}: one of {', '.join(KINDS)}")
    mem.set_range(addr, size, OK)
    mem.store(addr, data)
    mem.set_range(addr, size, code)
    return Region(machine, name, addr, size, kind, GivenImage(image, at, kind))


def _read(path: str) -> bytes:
    with open(path, "rb") as f:
        size = os.fstat(f.fileno()).st_size
        if not size:
            return b""
        with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
            return bytes(m)


__all__ = ["KINDS", "NOT_PRESENT", "Region", "image_size", "place"]
