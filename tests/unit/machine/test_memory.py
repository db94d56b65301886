# SPDX-License-Identifier: GPL-2.0-only
"""Memory, the shadow, and what they report."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.linux.gfp import __GFP_ZERO, GFP_KERNEL, alloc_page, alloc_pages, put_page_last
from kemu.linux.highmem import kmap_local_page, kunmap_local
from kemu.linux.mm import folio_get, folio_put, page_address, virt_to_page, vmalloc_to_page
from kemu.linux.slab import kfree, kmalloc, kzalloc
from kemu.linux.string import c_string, memchr_inv, memcmp, memcpy, memset, strnlen
from kemu.linux.unaligned import get_unaligned_le32
from kemu.linux.vmalloc import vfree, vm_map_ram, vm_unmap_ram, vmalloc
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.machine.shadow import CONST, OK, UNINIT
from tests.conftest import raises_splat


def test_store_and_load_across_pages(machine):
    page = alloc_pages(GFP_KERNEL, 1)
    p = page_address(page) + 4090
    this.mem.store(p, b"hello world!")
    assert this.mem.load(p, 12) == b"hello world!"
    assert get_unaligned_le32(p + 4) == int.from_bytes(b"o wo", "little")


def test_one_page_kmap_is_seen(machine):
    page = alloc_page(GFP_KERNEL | __GFP_ZERO)
    p = kmap_local_page(page)
    with raises_splat("BUG: KASAN: out-of-bounds in test_one_page_kmap_is_seen", first_bad=p + 4096):
        get_unaligned_le32(p + 4094)              # two bytes in, two bytes out


def test_bytes_before_a_window_are_not_mapped(machine):
    p = kmap_local_page(alloc_page(GFP_KERNEL | __GFP_ZERO))
    with raises_splat("out-of-bounds"):
        this.mem.ld8(p - 1)


def test_kunmap_out_of_order(machine):
    a, b = (kmap_local_page(alloc_page(GFP_KERNEL)) for _ in range(2))
    with raises_splat("kunmap_local out of order"):
        kunmap_local(a)
    kunmap_local(b)


def test_a_window_and_the_direct_map_show_the_same_bytes(machine):
    page = alloc_page(GFP_KERNEL | __GFP_ZERO)
    p = kmap_local_page(page)
    memset(page_address(page), 0x5A, 16)
    assert this.mem.load(p, 17) == b"Z" * 16 + b"\0"
    kunmap_local(p)
    with raises_splat("out-of-bounds"):
        this.mem.ld8(p)


def test_use_after_free_of_a_page(machine):
    page = alloc_page(GFP_KERNEL | __GFP_ZERO)
    p = page_address(page)
    folio_put(page)
    with raises_splat("use-after-free", addr=p):
        this.mem.ld8(p)


@pytest.mark.parametrize("size", [1, 8, 13, 96, 100, 512, 4096, 8192, 20000])
def test_slab_redzones_on_both_sides(machine, size):
    p = kzalloc(size)
    memset(p, 1, size)
    with raises_splat("out-of-bounds", first_bad=p + size):
        this.mem.ld8(p + size)
    with raises_splat("out-of-bounds" if size <= 8192 else "BUG: KASAN"):     # before a large object lies another page
        this.mem.st8(p - 1, 0)


def test_slab_use_after_free_and_double_free(machine):
    p = kmalloc(64)
    kfree(p)
    with raises_splat("slab-use-after-free", addr=p):
        this.mem.st8(p, 1)
    with raises_splat("double-free"):
        kfree(p)


def test_invalid_free(machine):
    p = kmalloc(64)
    with raises_splat("invalid-free"):
        kfree(p + 8)


def test_natural_alignment_of_kmalloc(machine):
    for _ in range(5):
        for size in (8, 64, 512, 2048, 4096):
            assert kmalloc(size) % size == 0


def test_vmalloc_is_scattered_and_has_guards(machine):
    p = vmalloc(5 * 4096)
    memset(p, 7, 5 * 4096)
    pfns = [vmalloc_to_page(p + i * 4096).pfn for i in range(5)]
    assert pfns != sorted(pfns)
    with raises_splat("vmalloc-out-of-bounds"):
        this.mem.ld8(p + 5 * 4096)
    vfree(p)
    with raises_splat("out-of-bounds"):
        this.mem.ld8(p)


def test_vm_map_ram_shows_pages_side_by_side(machine):
    pages = [alloc_page(GFP_KERNEL | __GFP_ZERO) for _ in range(3)]
    p = vm_map_ram([pages[2], pages[0], pages[1]], 3)
    this.mem.store(p + 4094, b"abcd")
    assert this.mem.load(page_address(pages[2]) + 4094, 2) == b"ab"
    assert this.mem.load(page_address(pages[0]), 2) == b"cd"
    vm_unmap_ram(p, 3)


def test_virt_to_page_of_a_vmalloc_address_is_reported(machine):
    p = vmalloc(4096)
    with raises_splat("unable to handle page fault"):
        virt_to_page(p)


def test_reference_on_slab_memory_is_reported(machine):
    page = virt_to_page(kmalloc(100))
    with raises_splat("Bad page state"):
        folio_get(page)


def test_put_below_zero(machine):
    page = alloc_page(GFP_KERNEL)
    put_page_last(page)
    with raises_splat("Bad page state"):
        put_page_last(page)


def test_const_memory_can_be_read_and_not_written(machine):
    r = machine.place(b"image" * 1000, at=3)
    assert this.mem.load(r.addr, 5) == b"image"
    with raises_splat("write to const memory", addr=r.addr + 10):
        memset(r.addr + 10, 0, 4)


@pytest.mark.parametrize("kind", ["linear", "vmalloc", "slab"])
@pytest.mark.parametrize("at", [0, 1, 511, 4095])
@pytest.mark.parametrize("page_size", [4096, 16384])
def test_not_a_byte_beside_a_region(kind, at, page_size):
    data = bytes(range(256)) * 40
    with Machine(page_size=page_size) as m:
        r = m.place(data, at=at, kind=kind)
        assert this.mem.load(r.addr, r.size) == data
        assert kind == "slab" or r.addr % page_size == at
        with raises_splat("BUG: KASAN"):
            this.mem.ld8(r.addr - 1)
        with raises_splat("BUG: KASAN"):
            this.mem.ld8(r.addr + r.size)


def test_released_region_is_poisoned(machine):
    r = machine.place(b"x" * 5000, at=100)
    r.release("free_initrd_mem")
    with raises_splat("use-after-free") as got:
        this.mem.ld8(r.addr + 7)
    assert "released by free_initrd_mem" in str(got[0])
    assert set(this.mem.raw(r.addr, 5000)) == {0xCC}


def test_sparse_file_of_ten_gigabytes(tmp_path):
    f = tmp_path / "big"
    with open(f, "wb") as out:
        out.truncate(10 << 30)
        out.seek(5 << 30)
        out.write(b"middle")
    with Machine(memory=11 << 30) as m:
        r = m.place(str(f), at=1536)
        assert this.mem.load(r.addr + (5 << 30), 6) == b"middle"
        assert this.mem.load(r.addr + (10 << 30) - 1, 1) == b"\0"
        with raises_splat("KASAN"):
            this.mem.ld8(r.addr + (10 << 30))


# ---------------------------------------------------------------- written and unwritten bytes

class Uninit:
    """A watch that notes uses of bytes that were never written."""

    def __init__(self):
        self.uses = []

    def uninit_use(self, addr, size, what):
        self.uses.append((addr, size, what))

    def __getattr__(self, name):
        return lambda *a, **k: None


def test_unwritten_bytes_travel_with_memcpy():
    w = Uninit()
    with Machine(watch=w):
        src, dst = (alloc_page(GFP_KERNEL) for _ in range(2))
        this.mem.store(page_address(src), b"1234")
        memcpy(page_address(dst), page_address(src), 8)
        assert this.mem.shadow(page_address(dst), 9) == bytes([OK] * 4 + [UNINIT] * 5)
        assert not w.uses
        this.mem.load(page_address(dst), 4)
        assert not w.uses
        this.mem.give(page_address(dst), 6)
        assert w.uses == [(page_address(dst), 6, "copy to reader")]


@given(st.lists(st.tuples(st.integers(0, 8191), st.integers(1, 4096), st.booleans()), max_size=12))
def test_shadow_agrees_with_a_simple_model(ops):
    """Any sequence of stores and copies: the shadow is what a byte-by-byte model says."""
    with Machine():
        a = page_address(alloc_pages(GFP_KERNEL, 1))
        b = page_address(alloc_pages(GFP_KERNEL, 1))
        written, data = bytearray([UNINIT]) * 8192, bytearray(8192)
        wb = bytearray([UNINIT]) * 8192
        for pos, n, copy in ops:
            n = min(n, 8192 - pos)
            if copy:
                memcpy(b + pos, a + pos, n)
                wb[pos:pos + n] = written[pos:pos + n]
            else:
                this.mem.store(a + pos, bytes([n & 0xFF]) * n)
                written[pos:pos + n] = bytes(n)
                data[pos:pos + n] = bytes([n & 0xFF]) * n
        assert this.mem.shadow(a, 8192) == bytes(written)
        assert this.mem.shadow(b, 8192) == bytes(wb)
        got = this.mem.raw(a, 8192)
        assert all(got[i] == data[i] for i in range(8192) if not written[i])


def test_strings(machine):
    p = kmalloc(16)
    this.mem.store(p, b"abc\0defgh\0\0\0\0\0\0x")
    assert strnlen(p, 16) == 3 and strnlen(p + 4, 3) == 3 and c_string(p + 4) == b"defgh"
    assert memchr_inv(p + 9, 0, 7) == p + 15 and memchr_inv(p + 9, 0, 6) == 0
    assert memcmp(p, p + 4, 3) < 0
    this.mem.store(p, b"x" * 16)
    with raises_splat("slab-out-of-bounds"):
        strnlen(p, 32)


def test_strnlen_stops_at_the_nul_before_the_redzone(machine):
    p = kmalloc(5)
    this.mem.store(p, b"four\0")
    assert strnlen(p, 100) == 4


def test_machines_nest(machine):
    outer = page_address(alloc_page(GFP_KERNEL | __GFP_ZERO))
    with Machine(page_size=16384) as inner:
        from kemu.linux.page import arch

        assert arch.PAGE_SIZE == 16384 and this.machine is inner
    assert this.machine is machine and this.mem.ld8(outer) == 0


def test_const_code_of_a_region(machine):
    r = machine.place(b"ab" * 4096)
    assert set(this.mem.shadow(r.addr, r.size)) == {CONST}
