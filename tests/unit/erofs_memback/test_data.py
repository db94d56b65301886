# SPDX-License-Identifier: GPL-2.0-only
"""data.c: metadata buffers, mapping of every layout, devices, holes, and reads through the page cache."""
from __future__ import annotations

import errno
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.plan import ImagePlan
from kemu.forge.pick import Pick, SeedValues
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_DIRECT, O_LARGEFILE, O_RDONLY, SEEK_DATA, SEEK_HOLE
from kemu.linux.fs import fput, vfs_llseek, vfs_read
from kemu.linux.fs.open import file_open_root
from kemu.linux.gfp import GFP_KERNEL, alloc_page
from kemu.linux.mm import page_ref_count
from kemu.linux.string import mem_read
from kemu.linux.types import Ref
from kemu.report import manifest
from kemu.report.walk import walk
from tests.unit.erofs_memback.images import forge, looked_up, mounted, tree_of, with_inode

from erofs_memback import data
from erofs_memback.harness.mount import settle
from erofs_memback.internal import (
    EROFS_MAP_MAPPED,
    EROFS_MAP_META,
    EROFS_NULL_ADDR,
    erofs_buf,
    struct_erofs_map_blocks,
    struct_erofs_map_dev,
    u64,
)


def read(m, name: str, pos: int = 0, n: int = 1 << 20, flags: int = 0) -> bytes | int:
    f = file_open_root(m.path, name, O_RDONLY | O_LARGEFILE | flags, 0)
    if IS_ERR(f):
        return PTR_ERR(f)
    buf, out, ppos = bytearray(8192), bytearray(), Ref(pos)
    while len(out) < n:
        got = vfs_read(f, buf, min(len(buf), n - len(out)), ppos)
        if got <= 0:
            break
        out += buf[:got]
    fput(f)
    settle()
    return got if got < 0 else bytes(out)


# ------------------------------------------------------------------------- erofs_bread

def test_a_buffer_has_one_page_and_one_mapping():
    with mounted(forge(tree_of(a=b"7" * 30000))) as m:
        image, kmap = m.machine.regions[0], m.machine.kmap
        buf = erofs_buf()
        p = data.erofs_read_metabuf(buf, m.sb, 1024, False)
        assert mem_read(p, 16) == m.machine.mem.raw(image.addr + 1024, 16)
        page = buf.page
        refs = page_ref_count(page)
        assert data.erofs_bread(buf, 1500, True) == p + 476 and page_ref_count(page) == refs
        q = data.erofs_bread(buf, 4096 + 5, True)
        assert buf.page is not page and page_ref_count(page) == refs - 1
        assert mem_read(q, 8) == m.machine.mem.raw(image.addr + 4101, 8)
        assert data.erofs_bread(buf, 4200, False) is None and buf.base
        assert sum(map(len, kmap.stacks.values())) == 1
        data.erofs_unmap_metabuf(buf)
        data.erofs_unmap_metabuf(buf)
        assert buf.page and not buf.base
        data.erofs_put_metabuf(buf)
        data.erofs_put_metabuf(buf)
        assert buf.page is None and sum(map(len, kmap.stacks.values())) == 0


def test_metadata_behind_the_end_of_the_device():
    with mounted(forge(tree_of(a=b"7"))) as m:
        buf = erofs_buf()
        assert PTR_ERR(data.erofs_read_metabuf(buf, m.sb, 1 << 30, False)) == -errno.EIO
        assert buf.page is None
        assert PTR_ERR(data.erofs_read_metabuf(buf, m.sb, 0, True)) == -errno.EUCLEAN      # there is no metabox inode


# ------------------------------------------------------------------------- mapping

def maps(inode, la: int) -> tuple[int, struct_erofs_map_blocks]:
    map_ = struct_erofs_map_blocks(m_la=la, m_llen=1)
    return data.erofs_map_blocks(inode, map_), map_


@pytest.mark.parametrize("blkszbits", (9, 12))
@pytest.mark.parametrize("layout", ("plain", "inline", "chunk"))
def test_mapping_is_where_the_data_was_put(layout, blkszbits):
    bs = 1 << blkszbits
    root = tree_of(a=bytes(range(256)) * 70 + b"tail")
    image = forge(root, ImagePlan(blkszbits=blkszbits), a={"data": layout, "chunk_indexes": True, "scatter": True})
    truth = image.inodes[id(root.entries[b"a"])]
    with mounted(image) as m, looked_up(m, b"a") as de:
        for e in truth.extents:
            for la in (e.la, e.la + e.length - 1):
                err, got = maps(de.d_inode, la)
                assert err == 0 and got.m_flags & EROFS_MAP_MAPPED
                assert got.m_pa + la - got.m_la == e.pa + la - e.la
                assert bool(got.m_flags & EROFS_MAP_META) == (e.how == "inline")
                assert got.m_la <= la < got.m_la + got.m_llen and got.m_plen == got.m_llen
        err, got = maps(de.d_inode, truth.size + bs)
        assert err == 0 and not got.m_flags
        assert read(m, "a") == root.entries[b"a"].data


@pytest.mark.parametrize("indexes", (False, True))
def test_chunks_that_follow_each_other_are_one_extent(indexes):
    root = tree_of(a=b"\1" * 4096 * 6 + bytes(4096 * 3) + b"\2" * 5000)
    image = forge(root, a={"data": "chunk", "chunk_indexes": indexes})
    with mounted(image) as m, looked_up(m, b"a") as de:
        err, got = maps(de.d_inode, 0)
        assert (err, got.m_llen) == (0, 4096 * 6)
        err, got = maps(de.d_inode, 4096 * 7)
        assert (err, got.m_la, got.m_llen, got.m_flags) == (0, 4096 * 7, 4096 * 2, 0)
        err, got = maps(de.d_inode, 4096 * 9 + 1)
        assert (err, got.m_la, got.m_llen) == (0, 4096 * 9, 8192) and got.m_flags
        assert read(m, "a") == root.entries[b"a"].data


def test_inline_data_that_does_not_fit_its_block():
    root = tree_of(a=b"hello")
    image = forge(root, a={"data": "inline"})
    with mounted(with_inode(image, root.entries[b"a"], i_size=4095)) as m:
        assert read(m, "a") == -errno.EIO           # what the page cache makes of every error of ->read_folio()
        assert any("inline data across blocks @ nid" in line for line in m.machine.log.lines())


def test_a_hole_that_is_the_whole_file():
    root = tree_of(a=bytes(100_000))
    with mounted(forge(root, a={"data": "hole"})) as m, looked_up(m, b"a") as de:
        assert de.d_inode.startblk == u64(EROFS_NULL_ADDR)
        assert read(m, "a") == bytes(100_000)
        assert m.machine.counters.bio_bytes <= 3 * 4096


def test_data_behind_the_end_of_the_device():
    root = tree_of(a=b"1" * 20000)
    image = forge(root, a={"data": "plain"})
    with mounted(image.data[:image.inodes[id(root.entries[b'a'])].extents[0].pa + 8192]) as m:
        assert read(m, "a", 0, 8192) == b"1" * 8192
        assert read(m, "a", 8192) == -errno.EIO
        assert read(m, "a", 0, 8192) == b"1" * 8192


def test_holes_and_data_are_sought():
    root = tree_of(a=b"\1" * 8192 + bytes(8192) + b"\2" * 100)
    with mounted(forge(root, a={"data": "chunk"})) as m:
        f = file_open_root(m.path, "a", O_RDONLY, 0)
        assert vfs_llseek(f, 0, SEEK_HOLE) == 8192
        assert vfs_llseek(f, 9000, SEEK_DATA) == 16384
        assert vfs_llseek(f, 16384, SEEK_HOLE) == 16484
        assert vfs_llseek(f, 99999, SEEK_DATA) == -errno.ENXIO
        fput(f)
        settle()


def test_direct_reads():
    root = tree_of(a=bytes(range(256)) * 64)
    with mounted(forge(root, a={"data": "plain"})) as m:
        assert read(m, "a", 4096, 8192, O_DIRECT) == root.entries[b"a"].data[4096:12288]


# ------------------------------------------------------------------------- devices

def test_extra_devices_apart_and_flat():
    root = tree_of(a=b"a" * 9000, b=b"b" * 12288, c=b"c" * 5000)
    image = forge(root, ImagePlan(devices=2, device_gap=1), a={"data": "chunk", "chunk_indexes": True, "device": 1},
                  b={"data": "chunk", "chunk_indexes": True, "device": 2}, c={"data": "plain"})
    want = image.manifest()
    with mounted(image) as m:
        assert m.sb.s_fs_info.devs.flatdev
        assert manifest.diff(want, walk(m.path)) == ""
        mdev = struct_erofs_map_dev(m_pa=0, m_deviceid=3)
        assert data.erofs_map_dev(m.sb, mdev) == -errno.ENODEV
    primary, extra = image.split()
    with mounted(primary, devices=extra) as m:
        assert not m.sb.s_fs_info.devs.flatdev
        assert manifest.diff(want, walk(m.path)) == ""
        bdevs = []
        for n in (0, 1, 2):
            mdev = struct_erofs_map_dev(m_pa=0, m_deviceid=n)
            assert data.erofs_map_dev(m.sb, mdev) == 0
            bdevs.append(mdev.m_bdev)
        assert len(set(bdevs)) == 3 and bdevs[0] is m.sb.s_bdev


# ------------------------------------------------------------------------- online folios

def test_a_folio_ends_with_its_last_part(machine):
    from kemu.linux.page_flags import folio_test_uptodate
    from kemu.linux.pagemap import folio_lock

    for parts, errors, dirty in ((0, (), False), (3, (), True), (2, (1,), False)):
        folio = alloc_page(GFP_KERNEL)
        folio_lock(folio)
        data.erofs_onlinefolio_init(folio)
        for _ in range(parts):
            data.erofs_onlinefolio_split(folio)
        for i in range(parts + 1):
            assert folio.private
            data.erofs_onlinefolio_end(folio, -5 if i in errors else 0, dirty)
        assert folio.private == 0
        assert folio_test_uptodate(folio) == (not errors)


# ------------------------------------------------------------------------- everything

@settings(max_examples=30)
@given(st.integers(0, 1 << 30), st.sampled_from(("bdev", "fileio", "dax")), st.sampled_from((4096, 16384)))
def test_forged_images_read_as_they_were_written(seed, backend, page_size):
    image = choose_image(Pick(SeedValues(seed)), ErofsOptions(), f"seed {seed}")
    with mounted(image, backend=backend, page_size=page_size) as m:
        assert manifest.diff(image.manifest(), walk(m.path), "forge", "kemu") == "", image


def test_a_file_read_in_any_order_is_the_same():
    body = hashlib.sha256(b"x").digest() * 4000
    root = tree_of(a=body)
    for layout in ("plain", "inline", "chunk"):
        with mounted(forge(root, a={"data": layout})) as m:
            for pos, n in ((100_000, 5000), (0, 1), (127_999, 100), (4095, 2), (0, 1 << 20)):
                assert read(m, "a", pos, n) == body[pos:pos + n]
