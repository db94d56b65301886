# SPDX-License-Identifier: GPL-2.0-only
"""cramfs on-disk format (include/uapi/linux/cramfs_fs.h). One packed C text makes the views; names and comments are C's.

``struct cramfs_inode`` is three words of bit fields, which views do not know: the words are in the C text, the fields are
properties.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.port.layout import cdef_views
from kemu.linux.string import mem_read
from kemu.linux.types import u32

CRAMFS_SIGNATURE = b"Compressed ROMFS"

# Width of various bitfields in struct cramfs_inode.
CRAMFS_MODE_WIDTH = 16
CRAMFS_UID_WIDTH = 16
CRAMFS_SIZE_WIDTH = 24
CRAMFS_GID_WIDTH = 8
CRAMFS_NAMELEN_WIDTH = 6
CRAMFS_OFFSET_WIDTH = 26

# Since inode.namelen is a unsigned 6-bit number, the maximum cramfs path length is 63 << 2 = 252.
CRAMFS_MAXPATHLEN = ((1 << CRAMFS_NAMELEN_WIDTH) - 1) << 2

CRAMFS_ONDISK_CDEF = """
/* Reasonably terse representation of the inode data. */
struct cramfs_inode {
    __le32 mode_uid;        /* mode:16, uid:16 */
    /* SIZE for device files is i_rdev */
    __le32 size_gid;        /* size:24, gid:8 */
    /* NAMELEN is the length of the file name, divided by 4 and
       rounded up.  (cramfs doesn't support hard links.) */
    /* OFFSET: For symlinks and non-empty regular files, this
       contains the offset (divided by 4) of the file data in
       compressed form (starting with an array of block pointers;
       see README).  For non-empty directories it is the offset
       (divided by 4) of the inode of the first file in that
       directory.  For anything else, offset is zero. */
    __le32 namelen_offset;  /* namelen:6, offset:26 */
};

struct cramfs_info {
    __le32 crc;
    __le32 edition;
    __le32 blocks;
    __le32 files;
};

/* Superblock information at the beginning of the FS. */
struct cramfs_super {
    __le32 magic;           /* 0x28cd3d45 - random number */
    __le32 size;            /* length in bytes */
    __le32 flags;           /* feature flags */
    __le32 future;          /* reserved for future use */
    __u8 signature[16];     /* "Compressed ROMFS" */
    struct cramfs_info fsid;        /* unique filesystem info */
    __u8 name[16];          /* user-defined name */
    struct cramfs_inode root;       /* root inode data */
};
"""
_V = cdef_views(CRAMFS_ONDISK_CDEF)
_View: Any = _V.cramfs_inode

# Feature flags
#
# 0x00000000 - 0x000000ff: features that work for all past kernels
# 0x00000100 - 0xffffffff: features that don't work for past kernels
CRAMFS_FLAG_FSID_VERSION_2 = 0x00000001         # fsid version #2
CRAMFS_FLAG_SORTED_DIRS = 0x00000002            # sorted dirs
CRAMFS_FLAG_HOLES = 0x00000100                  # support for holes
CRAMFS_FLAG_WRONG_SIGNATURE = 0x00000200        # reserved
CRAMFS_FLAG_SHIFTED_ROOT_OFFSET = 0x00000400    # shifted root fs
CRAMFS_FLAG_EXT_BLOCK_POINTERS = 0x00000800     # block pointer extensions

# Valid values in super.flags.  Currently we refuse to mount if (flags & ~CRAMFS_SUPPORTED_FLAGS).  Maybe that should be changed
# to test super.future instead.
CRAMFS_SUPPORTED_FLAGS = (0x000000FF
                          | CRAMFS_FLAG_HOLES
                          | CRAMFS_FLAG_WRONG_SIGNATURE
                          | CRAMFS_FLAG_SHIFTED_ROOT_OFFSET
                          | CRAMFS_FLAG_EXT_BLOCK_POINTERS)

# Block pointer flags
#
# The maximum block offset that needs to be represented is roughly:
#
#   (1 << CRAMFS_OFFSET_WIDTH) * 4 +
#   (1 << CRAMFS_SIZE_WIDTH) / PAGE_SIZE * (4 + PAGE_SIZE)
#   = 0x11004000
#
# That leaves room for 3 flag bits in the block pointer table.
CRAMFS_BLK_FLAG_UNCOMPRESSED = 1 << 31
CRAMFS_BLK_FLAG_DIRECT_PTR = 1 << 30

CRAMFS_BLK_FLAGS = (CRAMFS_BLK_FLAG_UNCOMPRESSED
                    | CRAMFS_BLK_FLAG_DIRECT_PTR)

# Direct blocks are at least 4-byte aligned.
# Pointers to direct blocks are shifted down by 2 bits.
CRAMFS_BLK_DIRECT_PTR_SHIFT = 2


def _bits(word: int, shift: int, width: int) -> int:
    return word >> shift & (1 << width) - 1


class cramfs_inode(_View):                      # type: ignore[misc]
    """``struct cramfs_inode *``: each field loads the word that it is in."""

    __slots__ = ()

    @property
    def mode(self) -> int:
        return _bits(self.mode_uid, 0, CRAMFS_MODE_WIDTH)

    @property
    def uid(self) -> int:
        return _bits(self.mode_uid, CRAMFS_MODE_WIDTH, CRAMFS_UID_WIDTH)

    @property
    def size(self) -> int:
        return _bits(self.size_gid, 0, CRAMFS_SIZE_WIDTH)

    @property
    def gid(self) -> int:
        return _bits(self.size_gid, CRAMFS_SIZE_WIDTH, CRAMFS_GID_WIDTH)

    @property
    def namelen(self) -> int:
        return _bits(self.namelen_offset, 0, CRAMFS_NAMELEN_WIDTH)

    @property
    def offset(self) -> int:
        return _bits(self.namelen_offset, CRAMFS_NAMELEN_WIDTH, CRAMFS_OFFSET_WIDTH)


class cramfs_root:
    """``struct cramfs_inode`` in a ``struct cramfs_super`` that is a variable: the same fields, and they can be set."""

    __slots__ = ("gid", "mode", "namelen", "offset", "size", "uid")

    def __init__(self, on_disk: cramfs_inode):
        self.mode = on_disk.mode
        self.uid = on_disk.uid
        self.size = on_disk.size
        self.gid = on_disk.gid
        self.namelen = on_disk.namelen
        self.offset = on_disk.offset


class cramfs_super:
    """``struct cramfs_super super``, a variable."""

    SIZE: int = _V.cramfs_super.SIZE
    __slots__ = ("flags", "fsid", "future", "magic", "name", "root", "signature", "size")

    def __init__(self, p: int):
        """``memcpy(super, p, sizeof(*super))``"""
        on_disk = _V.cramfs_super(p)
        self.magic: int = on_disk.magic
        self.size: int = on_disk.size
        self.flags: int = on_disk.flags
        self.future: int = on_disk.future
        self.signature = mem_read(on_disk.signature, 16)
        self.fsid = on_disk.fsid.copy()
        self.name = mem_read(on_disk.name, 16)
        self.root = cramfs_root(cramfs_inode(on_disk.root.p))


Inode = cramfs_inode | cramfs_root              # what a const struct cramfs_inode * points to
assert cramfs_inode.SIZE == 12 and cramfs_super.SIZE == 76 and u32(~CRAMFS_BLK_FLAGS) == 0x3FFFFFFF
