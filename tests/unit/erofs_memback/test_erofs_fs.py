# SPDX-License-Identifier: GPL-2.0-only
"""The on-disk structures: sizes, offsets and the small functions of erofs_fs.h."""
from __future__ import annotations

import pytest

from kemu.linux.port.layout import offsetof, sizeof
from kemu.linux.slab import kmalloc
from kemu.linux.string import mem_write

from erofs_memback import erofs_fs as e


@pytest.mark.parametrize("view, size", [
    (e.erofs_super_block, 144), (e.erofs_inode_compact, 32), (e.erofs_inode_extended, 64), (e.erofs_xattr_ibody_header, 12),
    (e.erofs_xattr_entry, 4), (e.erofs_dirent, 12), (e.erofs_deviceslot, 128), (e.erofs_inode_chunk_index, 8),
    (e.z_erofs_map_header, 8),
    (e.z_erofs_lcluster_index, 8), (e.z_erofs_extent, 32), (e.z_erofs_lz4_cfgs, 14), (e.z_erofs_lzma_cfgs, 14),
    (e.z_erofs_deflate_cfgs, 6),
    (e.z_erofs_zstd_cfgs, 6), (e.erofs_xattr_long_prefix, 1),
])
def test_sizes(view, size):
    assert sizeof(view) == size


@pytest.mark.parametrize("field, offset", [
    ("magic", 0), ("checksum", 4), ("blkszbits", 12), ("rb", 14), ("inos", 16), ("epoch", 24), ("blocks_lo", 36),
    ("meta_blkaddr", 40),
    ("uuid", 48), ("volume_name", 64), ("feature_incompat", 80), ("u1", 84), ("devt_slotoff", 88), ("xattr_prefix_count", 91),
    ("packed_nid", 96), ("ishare_xattr_prefix_id", 105), ("rootnid_8b", 112), ("metabox_nid", 128),
])
def test_super_block_offsets(field, offset):
    assert offsetof(e.erofs_super_block, field) == offset


def test_layout_check_of_the_module(machine):
    e.erofs_check_ondisk_layout_definitions()


def test_unions_overlap(machine):
    p = kmalloc(64)
    mem_write(p, bytes(range(64)))
    h = e.z_erofs_map_header(p)
    assert h.h_fragmentoff == h.h_extents_lo == 0x03020100
    assert h.h_idata_size == 0x0302
    assert (h.h_algorithmtype, h.h_clusterbits, h.h_extents_hi) == (6, 7, 0x0706)
    die = e.erofs_inode_extended(p)
    assert die.i_u.c.format == die.i_u.startblk_lo & 0xFFFF == 0x1110
    assert die.copy().i_nb.nlink == die.i_nb.startblk_hi == 0x0706


def test_snapshot_of_collected_bytes():
    die = e.erofs_inode_extended.from_bytes(bytes(range(64)))
    assert die.i_size == 0x0F0E0D0C0B0A0908 and die.i_u.rdev == 0x13121110


def test_xattr_sizes(machine):
    assert e.erofs_xattr_ibody_size(0) == 0
    assert e.erofs_xattr_ibody_size(1) == 12
    assert e.erofs_xattr_ibody_size(0xFFFF) == 12 + 4 * 0xFFFE
    p = kmalloc(4)
    mem_write(p, bytes((5, 1, 3, 0)))
    assert e.erofs_xattr_entry_size(e.erofs_xattr_entry(p)) == 12


def test_feature_mask():
    assert e.EROFS_ALL_FEATURE_INCOMPAT == 0x1FF
    assert e.EROFS_DIRENT_NID_MASK == 2**63 - 1
