# SPDX-License-Identifier: GPL-2.0-only
"""The on-disk structures of fs/erofs/erofs_fs.h, packed and unpacked. Names are the C names.

The forge packs bytes by itself, apart from the structures that the port uses: a mistake in one of them shows as a difference.
"""
from __future__ import annotations

import struct

EROFS_SUPER_MAGIC_V1 = 0xE0F5E1E2
EROFS_SUPER_OFFSET = 1024
EROFS_ISLOTBITS = 5
EROFS_NULL_ADDR = 0xFFFFFFFF

EROFS_FEATURE_COMPAT_SB_CHKSUM = 0x00000001
EROFS_FEATURE_COMPAT_MTIME = 0x00000002
EROFS_FEATURE_COMPAT_XATTR_FILTER = 0x00000004

EROFS_FEATURE_INCOMPAT_LZ4_0PADDING = 0x00000001
EROFS_FEATURE_INCOMPAT_COMPR_CFGS = 0x00000002
EROFS_FEATURE_INCOMPAT_BIG_PCLUSTER = 0x00000002
EROFS_FEATURE_INCOMPAT_CHUNKED_FILE = 0x00000004
EROFS_FEATURE_INCOMPAT_DEVICE_TABLE = 0x00000008
EROFS_FEATURE_INCOMPAT_COMPR_HEAD2 = 0x00000008
EROFS_FEATURE_INCOMPAT_ZTAILPACKING = 0x00000010
EROFS_FEATURE_INCOMPAT_FRAGMENTS = 0x00000020
EROFS_FEATURE_INCOMPAT_DEDUPE = 0x00000020
EROFS_FEATURE_INCOMPAT_XATTR_PREFIXES = 0x00000040
EROFS_FEATURE_INCOMPAT_48BIT = 0x00000080
EROFS_FEATURE_INCOMPAT_METABOX = 0x00000100

EROFS_INODE_FLAT_PLAIN = 0
EROFS_INODE_COMPRESSED_FULL = 1
EROFS_INODE_FLAT_INLINE = 2
EROFS_INODE_COMPRESSED_COMPACT = 3
EROFS_INODE_CHUNK_BASED = 4

EROFS_I_NLINK_1_BIT = 4
EROFS_I_DOT_OMITTED_BIT = 4

EROFS_CHUNK_FORMAT_INDEXES = 0x0020

Z_EROFS_PCLUSTER_MAX_SIZE = 1024 * 1024

Z_EROFS_COMPRESSION_LZ4 = 0
Z_EROFS_COMPRESSION_LZMA = 1
Z_EROFS_COMPRESSION_DEFLATE = 2
Z_EROFS_COMPRESSION_ZSTD = 3

Z_EROFS_ADVISE_COMPACTED_2B = 0x0001
Z_EROFS_ADVISE_BIG_PCLUSTER_1 = 0x0002
Z_EROFS_ADVISE_BIG_PCLUSTER_2 = 0x0004
Z_EROFS_ADVISE_INLINE_PCLUSTER = 0x0008
Z_EROFS_ADVISE_INTERLACED_PCLUSTER = 0x0010
Z_EROFS_ADVISE_FRAGMENT_PCLUSTER = 0x0020

Z_EROFS_LCLUSTER_TYPE_PLAIN = 0
Z_EROFS_LCLUSTER_TYPE_HEAD1 = 1
Z_EROFS_LCLUSTER_TYPE_NONHEAD = 2
Z_EROFS_LCLUSTER_TYPE_HEAD2 = 3

Z_EROFS_LI_PARTIAL_REF = 1 << 15
Z_EROFS_LI_HOLE = 1 << 14
Z_EROFS_LI_D0_CBLKCNT = 1 << 11

EROFS_XATTR_INDEX_USER = 1
EROFS_XATTR_INDEX_POSIX_ACL_ACCESS = 2
EROFS_XATTR_INDEX_POSIX_ACL_DEFAULT = 3
EROFS_XATTR_INDEX_TRUSTED = 4
EROFS_XATTR_INDEX_SECURITY = 6

#: struct erofs_super_block: (name, offset, struct code)
SUPER_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("magic", 0, "I"), ("checksum", 4, "I"), ("feature_compat", 8, "I"), ("blkszbits", 12, "B"), ("sb_extslots", 13, "B"),
    ("rootnid_2b", 14, "H"), ("inos", 16, "Q"), ("epoch", 24, "Q"), ("fixed_nsec", 32, "I"), ("blocks_lo", 36, "I"),
    ("meta_blkaddr", 40, "I"), ("xattr_blkaddr", 44, "I"), ("uuid", 48, "16s"), ("volume_name", 64, "16s"),
    ("feature_incompat", 80, "I"), ("available_compr_algs", 84, "H"), ("extra_devices", 86, "H"), ("devt_slotoff", 88, "H"),
    ("dirblkbits", 90, "B"), ("xattr_prefix_count", 91, "B"), ("xattr_prefix_start", 92, "I"), ("packed_nid", 96, "Q"),
    ("xattr_filter_reserved", 104, "B"), ("ishare_xattr_prefix_id", 105, "B"), ("build_time", 108, "I"), ("rootnid_8b", 112, "Q"),
    ("reserved2", 120, "Q"), ("metabox_nid", 128, "Q"), ("reserved3", 136, "Q"),
)
SUPER_SIZE = 128

INODE_COMPACT_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("i_format", 0, "H"), ("i_xattr_icount", 2, "H"), ("i_mode", 4, "H"), ("i_nb", 6, "H"), ("i_size", 8, "I"),
    ("i_mtime", 12, "I"), ("i_u", 16, "I"), ("i_ino", 20, "I"), ("i_uid", 24, "H"), ("i_gid", 26, "H"), ("i_reserved", 28, "I"),
)
INODE_EXTENDED_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("i_format", 0, "H"), ("i_xattr_icount", 2, "H"), ("i_mode", 4, "H"), ("i_nb", 6, "H"), ("i_size", 8, "Q"),
    ("i_u", 16, "I"), ("i_ino", 20, "I"), ("i_uid", 24, "I"), ("i_gid", 28, "I"), ("i_mtime", 32, "Q"),
    ("i_mtime_nsec", 40, "I"), ("i_nlink", 44, "I"), ("i_reserved2", 48, "16s"),
)
DIRENT_FIELDS: tuple[tuple[str, int, str], ...] = (("nid", 0, "Q"), ("nameoff", 8, "H"), ("file_type", 10, "B"),
                                                   ("reserved", 11, "B"))
MAP_HEADER_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("h_fragmentoff", 0, "I"), ("h_idata_size", 2, "H"), ("h_advise", 4, "H"), ("h_algorithmtype", 6, "B"),
    ("h_clusterbits", 7, "B"))
LCLUSTER_INDEX_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("di_advise", 0, "H"), ("di_clusterofs", 2, "H"), ("blkaddr", 4, "I"), ("delta[0]", 4, "H"), ("delta[1]", 6, "H"))
EXTENT_FIELDS: tuple[tuple[str, int, str], ...] = (
    ("plen", 0, "I"), ("pstart_lo", 4, "I"), ("pstart_hi", 8, "I"), ("lstart_lo", 12, "I"), ("lstart_hi", 16, "I"))
CHUNK_INDEX_FIELDS: tuple[tuple[str, int, str], ...] = (("startblk_hi", 0, "H"), ("device_id", 2, "H"), ("startblk_lo", 4, "I"))

_super = struct.Struct("<IIIBBHQqIIII16s16sIHHHBBIQBBHIQQ")
_compact = struct.Struct("<HHHHIIIIHHI")
_extended = struct.Struct("<HHHHQIIIIqII16s")
_dirent = struct.Struct("<QHBB")
_map_header = struct.Struct("<HHHBB")
_index = struct.Struct("<HHI")
_deviceslot = struct.Struct("<64sII4x52x")
EROFS_DEVT_SLOT_SIZE = _deviceslot.size
_lz4_cfgs = struct.Struct("<HHH10s")

assert (_super.size, _compact.size, _extended.size, _dirent.size, _map_header.size) == (SUPER_SIZE, 32, 64, 12, 8)


def super_block(*, feature_compat: int, blkszbits: int, sb_extslots: int, root_nid: int, inos: int, epoch: int, fixed_nsec: int,
                blocks: int, meta_blkaddr: int, xattr_blkaddr: int, uuid: bytes, volume_name: bytes, feature_incompat: int,
                compr: int, build_time: int, extra_devices: int = 0, devt_slotoff: int = 0,
                nid64: bool = False) -> bytes:
    """``struct erofs_super_block`` with checksum 0, without its extension slots. ``nid64``: the root's nid is in rootnid_8b, and
    blocks_hi is 0.
    """
    return _super.pack(EROFS_SUPER_MAGIC_V1, 0, feature_compat, blkszbits, sb_extslots, 0 if nid64 else root_nid, inos, epoch,
                       fixed_nsec, blocks,
                       meta_blkaddr, xattr_blkaddr, uuid, volume_name, feature_incompat, compr, extra_devices, devt_slotoff,
                       0, 0, 0, 0, 0, 0, 0, build_time, root_nid if nid64 else 0, 0)


def inode_compact(fmt: int, icount: int, mode: int, nb: int, size: int, mtime: int, u: int, ino: int, uid: int,
                  gid: int) -> bytes:
    """``struct erofs_inode_compact``"""
    return _compact.pack(fmt, icount, mode, nb, size, mtime, u, ino, uid, gid, 0)


def inode_extended(fmt: int, icount: int, mode: int, nb: int, size: int, u: int, ino: int, uid: int, gid: int, mtime: int,
                   nsec: int, nlink: int) -> bytes:
    """``struct erofs_inode_extended``"""
    return _extended.pack(fmt, icount, mode, nb, size, u, ino, uid, gid, mtime, nsec, nlink, b"")


def dirent(nid: int, nameoff: int, file_type: int) -> bytes:
    """``struct erofs_dirent``"""
    return _dirent.pack(nid, nameoff, file_type, 0)


def map_header(idata_size: int, advise: int, algorithmtype: int, clusterbits: int) -> bytes:
    """``struct z_erofs_map_header``"""
    return _map_header.pack(0, idata_size, advise, algorithmtype, clusterbits)


def lcluster_head(advise: int, clusterofs: int, blkaddr: int) -> bytes:
    """``struct z_erofs_lcluster_index`` of a HEAD or PLAIN lcluster"""
    return _index.pack(advise, clusterofs, blkaddr & 0xFFFFFFFF)


def lcluster_nonhead(delta0: int, delta1: int) -> bytes:
    """``struct z_erofs_lcluster_index`` of a NONHEAD lcluster"""
    return _index.pack(Z_EROFS_LCLUSTER_TYPE_NONHEAD, 0, delta0 | delta1 << 16)


def chunk_index(blkaddr: int, device: int = 0) -> bytes:
    """``struct erofs_inode_chunk_index``; EROFS_NULL_ADDR is a hole, ``device`` 0 is the primary one"""
    return _index.pack(0xFFFF if blkaddr == EROFS_NULL_ADDR else 0, device, blkaddr)


def deviceslot(tag: bytes, blocks: int, uniaddr: int) -> bytes:
    """``struct erofs_deviceslot``"""
    return _deviceslot.pack(tag, blocks, uniaddr)


def lz4_cfgs(max_distance: int, max_pclusterblks: int) -> bytes:
    """``struct z_erofs_lz4_cfgs`` with the length field before it"""
    return _lz4_cfgs.pack(14, max_distance, max_pclusterblks, b"")


def unpack_field(data: bytes | bytearray | memoryview, base: int, fields: tuple[tuple[str, int, str], ...], name: str) -> int:
    """The integer field ``name`` of the structure at ``base``."""
    offset, code = next((o, c) for n, o, c in fields if n == name)
    value: int = struct.unpack_from("<" + code, data, base + offset)[0]
    return value
