# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/internal.h: the structures and inline functions that all files of the port share.

What C declares ``extern`` here and defines elsewhere is imported from the file that defines it (``erofs_bread`` from data.py, and
so on). The fields that internal.h keeps inside ``#ifdef CONFIG_EROFS_FS_ZIP`` and its like are always there: whether they are
used is asked of ``IS_ENABLED()`` when the machine runs.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from kemu.linux.bitops import Bits
from kemu.linux.bits import GENMASK, GENMASK_ULL
from kemu.linux.blk_types import BlockDevice
from kemu.linux.bug import BUG_ON
from kemu.linux.completion import completion
from kemu.linux.dax import dax_device
from kemu.linux.dcache import Dentry
from kemu.linux.err import ERR_PTR
from kemu.linux.errno import EOPNOTSUPP
from kemu.linux.fs import AddressSpace, File, Inode, SuperBlock, address_space_operations
from kemu.linux.gfp import __GFP_RECLAIM
from kemu.linux.idr import idr
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.kobject import kobject
from kemu.linux.magic import EROFS_SUPER_MAGIC_V1
from kemu.linux.math import round_up
from kemu.linux.mm import Page, set_page_private
from kemu.linux.mutex import mutex
from kemu.linux.page import arch
from kemu.linux.pagemap import FGP_CREAT, FGP_LOCK, FGP_NOFS, FGP_NOWAIT, __filemap_get_folio, readahead_gfp_mask
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import View
from kemu.linux.printk import (
    DO_ONCE_LITE_IF,
    KERN_ERR,
    KERN_INFO,
    KERN_SOH,
    KERN_WARNING,
    VaFormat,
    __printf,
    printk,
    printk_get_level,
    printk_skip_level,
)
from kemu.linux.rwsem import rw_semaphore
from kemu.linux.spinlock import spinlock_t
from kemu.linux.types import NULL, Ref, list_head, loff_t, u64
from kemu.linux.vmalloc import vm_map_ram, vm_unmap_aliases
from kemu.linux.xarray import xarray

from erofs_memback.erofs_fs import *
from erofs_memback.erofs_fs import _SIZEOF_IBODY_HEADER  # noqa: F401

_DEVICE, _NO_DEVICE = "erofs (device %s): %pV", "erofs: %pV"


@__printf(2, 3)
@port_of("fs/erofs/super.c", "_erofs_printk")
def _erofs_printk(sb: SuperBlock, fmt: str, *args: Any) -> None:
    """Defined in super.c; it stands here because every file uses the macros below."""
    level = printk_get_level(fmt)
    vaf = VaFormat(printk_skip_level(fmt), args)
    if sb:
        printk(KERN_SOH + level + _DEVICE, sb.s_id, vaf)
    else:
        printk(KERN_SOH + level + _NO_DEVICE, vaf)


@__printf(2, 3)
def erofs_err(sb: SuperBlock, fmt: str, *args: Any) -> None:
    _erofs_printk(sb, KERN_ERR + fmt + "\n", *args)


@__printf(2, 3)
def erofs_warn(sb: SuperBlock, fmt: str, *args: Any) -> None:
    _erofs_printk(sb, KERN_WARNING + fmt + "\n", *args)


@__printf(2, 3)
def erofs_info(sb: SuperBlock, fmt: str, *args: Any) -> None:
    _erofs_printk(sb, KERN_INFO + fmt + "\n", *args)


def DBG_BUGON(x: object) -> None:
    """``BUG_ON`` with CONFIG_EROFS_FS_DEBUG, nothing without."""
    if x and IS_ENABLED("CONFIG_EROFS_FS_DEBUG"):
        BUG_ON(x)


# EROFS_SUPER_MAGIC_V1 to represent the whole file system
EROFS_SUPER_MAGIC = EROFS_SUPER_MAGIC_V1


class erofs_device_info:
    __slots__ = ("path", "file", "dax_dev", "fsoff", "dax_part_off", "blocks", "uniaddr")

    def __init__(self) -> None:
        self.path: str = NULL
        self.file: File = NULL
        self.dax_dev: dax_device = NULL
        self.fsoff = self.dax_part_off = 0
        self.blocks = 0
        self.uniaddr = 0


EROFS_SYNC_DECOMPRESS_AUTO = 0
EROFS_SYNC_DECOMPRESS_FORCE_ON = 1
EROFS_SYNC_DECOMPRESS_FORCE_OFF = 2


class erofs_mount_opts:
    __slots__ = ("cache_strategy", "mount_opt")

    def __init__(self) -> None:
        self.cache_strategy = 0         # current strategy of how to use managed cache
        self.mount_opt = 0

    def copy(self) -> erofs_mount_opts:
        new = erofs_mount_opts()
        new.cache_strategy, new.mount_opt = self.cache_strategy, self.mount_opt
        return new


class erofs_dev_context:
    __slots__ = ("tree", "rwsem", "extra_devices", "flatdev")

    def __init__(self) -> None:
        self.tree = idr()
        self.rwsem = rw_semaphore()
        self.extra_devices = 0
        self.flatdev = False


class erofs_sb_lz4_info:
    __slots__ = ("max_pclusterblks",)

    def __init__(self) -> None:
        self.max_pclusterblks = 0       # maximum physical blocks for LZ4 pclusters


class erofs_xattr_prefix_item:
    __slots__ = ("prefix", "infix_len")

    def __init__(self) -> None:
        self.prefix: View = NULL        # view of struct erofs_xattr_long_prefix
        self.infix_len = 0


class erofs_sb_info:
    __slots__ = ("dif0", "opt", "list", "umount_mutex", "managed_pslots", "sync_decompress", "shrinker_run_no", "managed_cache",
                 "lz4", "packed_inode", "metabox_inode", "devs", "total_blocks", "meta_blkaddr", "xattr_blkaddr",
                 "xattr_prefix_start", "xattr_prefix_count", "ishare_xattr_prefix_id", "xattr_prefixes", "xattr_filter_reserved",
                 "device_id_mask", "islotbits", "blkszbits", "sb_size", "fixed_nsec", "epoch", "root_nid", "packed_nid",
                 "metabox_nid", "inos", "volume_name", "feature_compat", "feature_incompat", "available_compr_algs", "s_kobj",
                 "s_kobj_unregister", "dir_ra_bytes", "domain_id")

    def __init__(self) -> None:
        self.dif0 = erofs_device_info()
        self.opt = erofs_mount_opts()   # options
        # CONFIG_EROFS_FS_ZIP
        self.list = list_head(self)     # list for all registered superblocks, mainly for shrinker
        self.umount_mutex = mutex()
        self.managed_pslots = xarray()  # managed XArray arranged in physical block number
        self.sync_decompress = 0        # strategy for sync decompression
        self.shrinker_run_no = 0
        self.managed_cache: Inode = NULL     # pseudo inode to manage cached pages
        self.lz4 = erofs_sb_lz4_info()

        self.packed_inode: Inode = NULL
        self.metabox_inode: Inode = NULL
        self.devs: erofs_dev_context = NULL
        self.total_blocks = 0

        self.meta_blkaddr = 0
        # CONFIG_EROFS_FS_XATTR
        self.xattr_blkaddr = 0
        self.xattr_prefix_start = 0
        self.xattr_prefix_count = 0
        self.ishare_xattr_prefix_id = 0
        self.xattr_prefixes: list[erofs_xattr_prefix_item] = NULL
        self.xattr_filter_reserved = 0

        self.device_id_mask = 0         # valid bits of device id to be used

        self.islotbits = 0              # inode slot unit size in bit shift
        self.blkszbits = 0              # filesystem block size in bit shift

        self.sb_size = 0                # total superblock size
        self.fixed_nsec = 0
        self.epoch = 0

        # what we really care is nid, rather than ino..
        self.root_nid = 0
        self.packed_nid = 0
        self.metabox_nid = 0
        self.inos = 0                   # used for statfs, f_files - f_favail

        self.volume_name = 0
        self.feature_compat = 0
        self.feature_incompat = 0
        self.available_compr_algs = 0

        # sysfs support
        self.s_kobj = kobject(self)     # /sys/fs/erofs/<devname>
        self.s_kobj_unregister = completion()
        self.dir_ra_bytes = 0

        self.domain_id: str = NULL


def EROFS_SB(sb: SuperBlock) -> erofs_sb_info:
    return sb.s_fs_info


def EROFS_I_SB(inode: Inode) -> erofs_sb_info:
    return inode.i_sb.s_fs_info


# Mount flags set via mount options or defaults
EROFS_MOUNT_XATTR_USER = 0x00000010
EROFS_MOUNT_POSIX_ACL = 0x00000020
EROFS_MOUNT_DAX_ALWAYS = 0x00000040
EROFS_MOUNT_DAX_NEVER = 0x00000080
EROFS_MOUNT_DIRECT_IO = 0x00000100
EROFS_MOUNT_INODE_SHARE = 0x00000200


def clear_opt(opt: erofs_mount_opts, option: int) -> None:
    """The macro pastes ``EROFS_MOUNT_`` in front of its second argument; here the constant is given whole."""
    opt.mount_opt &= ~option


def set_opt(opt: erofs_mount_opts, option: int) -> None:
    opt.mount_opt |= option


def test_opt(opt: erofs_mount_opts, option: int) -> int:
    return opt.mount_opt & option


@port_of("fs/erofs/internal.h", "erofs_is_fileio_mode")
def erofs_is_fileio_mode(sbi: erofs_sb_info) -> bool:
    return sbi.dif0.file is not None and IS_ENABLED("CONFIG_EROFS_FS_BACKED_BY_FILE")


EROFS_ZIP_CACHE_DISABLED = 0
EROFS_ZIP_CACHE_READAHEAD = 1
EROFS_ZIP_CACHE_READAROUND = 2


class erofs_buf:
    """``struct erofs_buf``: ``erofs_buf()`` is ``__EROFS_BUF_INITIALIZER``; ``assign()`` is ``*buf = other``."""

    __slots__ = ("mapping", "file", "off", "page", "base")

    def __init__(self, page: Page = NULL, base: int = 0) -> None:
        self.mapping: AddressSpace = NULL
        self.file: File = NULL
        self.off = 0
        self.page = page
        self.base = base

    def assign(self, other: Self) -> None:
        self.mapping, self.file, self.off, self.page, self.base = other.mapping, other.file, other.off, other.page, other.base


def erofs_blknr(sb: SuperBlock, pos: int) -> int:
    return pos >> sb.s_blocksize_bits


def erofs_blkoff(sb: SuperBlock, pos: int) -> int:
    return pos & (sb.s_blocksize - 1)


def erofs_pos(sb: SuperBlock, blk: int) -> int:
    return u64(blk << sb.s_blocksize_bits)


def erofs_iblks(i: Inode) -> int:
    size = i.i_size
    bits = i.i_blkbits
    if 0 <= size < 1 << 62:
        return (size + (1 << bits) - 1) >> bits
    return loff_t(round_up(size, 1 << bits)) >> bits


def EROFS_FEATURE_FUNCS(name: str, compat: str, feature: int) -> Callable[[erofs_sb_info], bool]:
    if compat == "incompat":
        def has(sbi: erofs_sb_info) -> bool:
            return bool(sbi.feature_incompat & feature)
    else:
        def has(sbi: erofs_sb_info) -> bool:
            return bool(sbi.feature_compat & feature)
    has.__name__ = has.__qualname__ = "erofs_sb_has_" + name
    return has


erofs_sb_has_lz4_0padding = EROFS_FEATURE_FUNCS("lz4_0padding", "incompat", EROFS_FEATURE_INCOMPAT_LZ4_0PADDING)
erofs_sb_has_compr_cfgs = EROFS_FEATURE_FUNCS("compr_cfgs", "incompat", EROFS_FEATURE_INCOMPAT_COMPR_CFGS)
erofs_sb_has_big_pcluster = EROFS_FEATURE_FUNCS("big_pcluster", "incompat", EROFS_FEATURE_INCOMPAT_BIG_PCLUSTER)
erofs_sb_has_chunked_file = EROFS_FEATURE_FUNCS("chunked_file", "incompat", EROFS_FEATURE_INCOMPAT_CHUNKED_FILE)
erofs_sb_has_device_table = EROFS_FEATURE_FUNCS("device_table", "incompat", EROFS_FEATURE_INCOMPAT_DEVICE_TABLE)
erofs_sb_has_compr_head2 = EROFS_FEATURE_FUNCS("compr_head2", "incompat", EROFS_FEATURE_INCOMPAT_COMPR_HEAD2)
erofs_sb_has_ztailpacking = EROFS_FEATURE_FUNCS("ztailpacking", "incompat", EROFS_FEATURE_INCOMPAT_ZTAILPACKING)
erofs_sb_has_fragments = EROFS_FEATURE_FUNCS("fragments", "incompat", EROFS_FEATURE_INCOMPAT_FRAGMENTS)
erofs_sb_has_dedupe = EROFS_FEATURE_FUNCS("dedupe", "incompat", EROFS_FEATURE_INCOMPAT_DEDUPE)
erofs_sb_has_xattr_prefixes = EROFS_FEATURE_FUNCS("xattr_prefixes", "incompat", EROFS_FEATURE_INCOMPAT_XATTR_PREFIXES)
erofs_sb_has_48bit = EROFS_FEATURE_FUNCS("48bit", "incompat", EROFS_FEATURE_INCOMPAT_48BIT)
erofs_sb_has_metabox = EROFS_FEATURE_FUNCS("metabox", "incompat", EROFS_FEATURE_INCOMPAT_METABOX)
erofs_sb_has_sb_chksum = EROFS_FEATURE_FUNCS("sb_chksum", "compat", EROFS_FEATURE_COMPAT_SB_CHKSUM)
erofs_sb_has_xattr_filter = EROFS_FEATURE_FUNCS("xattr_filter", "compat", EROFS_FEATURE_COMPAT_XATTR_FILTER)
erofs_sb_has_shared_ea_in_metabox = EROFS_FEATURE_FUNCS("shared_ea_in_metabox", "compat",
                                                        EROFS_FEATURE_COMPAT_SHARED_EA_IN_METABOX)
erofs_sb_has_plain_xattr_pfx = EROFS_FEATURE_FUNCS("plain_xattr_pfx", "compat", EROFS_FEATURE_COMPAT_PLAIN_XATTR_PFX)
erofs_sb_has_ishare_xattrs = EROFS_FEATURE_FUNCS("ishare_xattrs", "compat", EROFS_FEATURE_COMPAT_ISHARE_XATTRS)


@port_of("fs/erofs/internal.h", "erofs_nid_to_ino64")
def erofs_nid_to_ino64(sbi: erofs_sb_info, nid: int) -> int:
    if not erofs_sb_has_metabox(sbi):
        return nid

    # When metadata compression is enabled, avoid generating excessively large inode numbers for metadata-compressed inodes.
    # Shift NIDs in the 31-62 bit range left by one and move the metabox flag to bit 31.
    #
    # Note: on-disk NIDs remain unchanged as they are primarily used for compatibility with non-LFS 32-bit applications.
    return (((nid << 1) & GENMASK_ULL(63, 32)) | (nid & GENMASK(30, 0)) |
            ((nid >> EROFS_DIRENT_NID_METABOX_BIT) << 31))


# atomic flag definitions
EROFS_I_EA_INITED_BIT = 0
EROFS_I_Z_INITED_BIT = 1


# bitlock definitions (arranged in reverse order); C counts down from BITS_PER_LONG, and which bit of the word it is cannot be
# seen
EROFS_I_BL_XATTR_BIT = 64 - 1
EROFS_I_BL_Z_BIT = 64 - 2

# default readahead size of directories
EROFS_DIR_RA_BYTES = 16384


class erofs_inode_fingerprint:
    __slots__ = ("opaque", "size")

    def __init__(self) -> None:
        self.opaque = 0
        self.size = 0

    def copy(self) -> erofs_inode_fingerprint:
        new = erofs_inode_fingerprint()
        new.opaque, new.size = self.opaque, self.size
        return new


class erofs_inode(Inode):
    """``struct erofs_inode``: the VFS inode and what stands before it.

    ``startblk``, the chunk's members and the ``z_`` members share their bytes as in C's union; those of the union for page cache
    sharing have fields of their own.
    """

    __slots__ = ("nid", "flags", "datalayout", "inode_isize", "dot_omitted", "xattr_isize", "xattr_name_filter",
                 "xattr_shared_count", "xattr_shared_xattrs", "z_advise", "z_algofmt", "z_lclusterbits", "_padding",
                 "z_tailextent_headlcn", "z_fragmentoff", "z_idata_size", "ishare_list", "fingerprint", "ishare_lock",
                 "sharedentry")

    def __init__(self) -> None:
        Inode.__init__(self)
        self.zero()

    def zero(self) -> None:
        """``memset(self, 0, offsetof(struct erofs_inode, vfs_inode))``"""
        self.nid = 0

        self.flags = Bits(0)            # atomic flags (including bitlocks)

        self.datalayout = 0
        self.inode_isize = 0
        self.dot_omitted = False
        self.xattr_isize = 0

        self.xattr_name_filter = 0
        self.xattr_shared_count = 0
        self.xattr_shared_xattrs = 0

        self.z_advise = 0
        self.z_algofmt = [0, 0]
        self.z_lclusterbits = 0
        self._padding = 0               # up to the eighth byte
        self.z_tailextent_headlcn = 0
        self.z_fragmentoff = 0
        self.z_idata_size = 0
        # CONFIG_EROFS_FS_PAGE_CACHE_SHARE
        self.ishare_list: list_head = NULL
        self.fingerprint: erofs_inode_fingerprint = NULL     # for each anon shared inode
        self.ishare_lock: spinlock_t = NULL
        self.sharedentry: Dentry = NULL                                # for each real filesystem inode

    @property
    def startblk(self) -> int:
        """``erofs_blk_t startblk``: the first eight bytes of the union."""
        fmt = self.z_algofmt
        return self.z_advise | fmt[0] << 16 | fmt[1] << 24 | self.z_lclusterbits << 32 | self._padding << 40

    @startblk.setter
    def startblk(self, value: int) -> None:
        self.z_advise = value & 0xffff
        self.z_algofmt = [value >> 16 & 0xff, value >> 24 & 0xff]
        self.z_lclusterbits = value >> 32 & 0xff
        self._padding = value >> 40 & 0xffffff

    @property
    def chunkformat(self) -> int:
        """``unsigned short chunkformat``: the bytes of ``z_advise``."""
        return self.z_advise

    @chunkformat.setter
    def chunkformat(self, value: int) -> None:
        self.z_advise = value & 0xffff

    @property
    def chunkbits(self) -> int:
        """``unsigned char chunkbits``: the byte of ``z_algofmt[0]``."""
        return self.z_algofmt[0]

    @chunkbits.setter
    def chunkbits(self, value: int) -> None:
        self.z_algofmt[0] = value & 0xff

    @property
    def z_extents(self) -> int:
        """``u64 z_extents``: the bytes of ``z_tailextent_headlcn``."""
        return self.z_tailextent_headlcn

    @z_extents.setter
    def z_extents(self, value: int) -> None:
        self.z_tailextent_headlcn = value


def EROFS_I(ptr: Inode) -> erofs_inode:
    """``container_of(ptr, struct erofs_inode, vfs_inode)``: the same object."""
    return ptr      # type: ignore[return-value]    # container_of()


@port_of("fs/erofs/internal.h", "erofs_inode_in_metabox")
def erofs_inode_in_metabox(inode: Inode) -> bool:
    return bool(EROFS_I(inode).nid >> EROFS_DIRENT_NID_METABOX_BIT)


@port_of("fs/erofs/internal.h", "erofs_iloc")
def erofs_iloc(inode: Inode) -> int:
    sbi = EROFS_I_SB(inode)
    nid_lo = EROFS_I(inode).nid & EROFS_DIRENT_NID_MASK

    if erofs_inode_in_metabox(inode):
        return u64(nid_lo << sbi.islotbits)
    return u64(erofs_pos(inode.i_sb, sbi.meta_blkaddr) + (nid_lo << sbi.islotbits))


@port_of("fs/erofs/internal.h", "erofs_inode_version")
def erofs_inode_version(ifmt: int) -> int:
    return (ifmt >> EROFS_I_VERSION_BIT) & EROFS_I_VERSION_MASK


@port_of("fs/erofs/internal.h", "erofs_inode_datalayout")
def erofs_inode_datalayout(ifmt: int) -> int:
    return (ifmt >> EROFS_I_DATALAYOUT_BIT) & EROFS_I_DATALAYOUT_MASK


@port_of("fs/erofs/internal.h", "erofs_grab_folio_nowait")
def erofs_grab_folio_nowait(as_: AddressSpace, index: int) -> Page:
    """Reclaiming is never triggered when allocating new folios."""
    return __filemap_get_folio(as_, index, FGP_LOCK | FGP_CREAT | FGP_NOFS | FGP_NOWAIT, readahead_gfp_mask(as_) & ~__GFP_RECLAIM)


# Allocated on disk at @m_pa (e.g. NOT a fragment extent)
EROFS_MAP_MAPPED = 0x0001
# Located in metadata (could be copied from bd_inode)
EROFS_MAP_META = 0x0002
# @m_llen may be truncated by the runtime compared to the on-disk record
EROFS_MAP_PARTIAL_MAPPED = 0x0004
# The on-disk @m_llen may cover only part of the encoded data
EROFS_MAP_PARTIAL_REF = 0x0008
# Located in the special packed inode
EROFS_MAP_FRAGMENT = 0x0010


def EROFS_MAP_FULL(f: int) -> bool:
    """The encoded on-disk data will be fully handled (decompressed)."""
    return not f & (EROFS_MAP_PARTIAL_MAPPED | EROFS_MAP_PARTIAL_REF)


class erofs_map_blocks:
    """``struct erofs_map_blocks``. The function of that name is in data.py; who needs both says ``struct_erofs_map_blocks`` here.
    """

    __slots__ = ("buf", "m_pa", "m_la", "m_plen", "m_llen", "m_deviceid", "m_algorithmformat", "m_flags")

    def __init__(self, m_la: int = 0, m_llen: int = 0) -> None:
        self.buf = erofs_buf()
        self.m_pa = 0
        self.m_la = m_la
        self.m_plen = 0
        self.m_llen = m_llen
        self.m_deviceid = 0
        self.m_algorithmformat = 0
        self.m_flags = 0


# Used to get the exact decompressed length, e.g. fiemap (consider lookback approach instead if possible since it's more metadata
# lightweight.)
EROFS_GET_BLOCKS_FIEMAP = 0x0001
# Used to map the whole extent if non-negligible data is requested for LZMA
EROFS_GET_BLOCKS_READMORE = 0x0002
# Used to map tail extent for tailpacking inline or fragment pcluster
EROFS_GET_BLOCKS_FINDTAIL = 0x0004

Z_EROFS_COMPRESSION_SHIFTED = Z_EROFS_COMPRESSION_MAX
Z_EROFS_COMPRESSION_INTERLACED = Z_EROFS_COMPRESSION_MAX + 1
Z_EROFS_COMPRESSION_RUNTIME_MAX = Z_EROFS_COMPRESSION_MAX + 2


class erofs_map_dev:
    """``struct erofs_map_dev``. The function of that name is in data.py; who needs both says ``struct_erofs_map_dev`` here."""

    __slots__ = ("m_sb", "m_dif", "m_bdev", "m_pa", "m_deviceid")

    def __init__(self, m_pa: int = 0, m_deviceid: int = 0) -> None:
        self.m_sb: SuperBlock = NULL
        self.m_dif: erofs_device_info = NULL
        self.m_bdev: BlockDevice = NULL
        self.m_pa = m_pa
        self.m_deviceid = m_deviceid


# structure tags have a name space of their own in C
struct_erofs_map_blocks = erofs_map_blocks
struct_erofs_map_dev = erofs_map_dev


@port_of("fs/erofs/internal.h", "erofs_vm_map_ram")
def erofs_vm_map_ram(pages: list[Page], count: int) -> int:
    retried = 0

    while True:
        p = vm_map_ram(pages, count, -1)

        # retry two more times (totally 3 times)
        if p:
            return p
        retried += 1
        if retried >= 3:
            return p
        vm_unmap_aliases()


@port_of("fs/erofs/internal.h", "erofs_get_aops")
def erofs_get_aops(realinode: Inode) -> address_space_operations:
    if erofs_inode_is_data_compressed(EROFS_I(realinode).datalayout):
        if not IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
            return ERR_PTR(-EOPNOTSUPP)
        DO_ONCE_LITE_IF(realinode.i_blkbits != arch.PAGE_SHIFT, erofs_info, realinode.i_sb,
                        "EXPERIMENTAL EROFS subpage compressed block support in use. Use at your own risk!")
        from erofs_memback.zdata import z_erofs_aops  # noqa: PLC0415  (zdata.py needs this file)

        return z_erofs_aops
    if erofs_is_fileio_mode(EROFS_SB(realinode.i_sb)):
        from erofs_memback.fileio import erofs_fileio_aops  # noqa: PLC0415  (fileio.py needs this file)

        return erofs_fileio_aops
    from erofs_memback.data import erofs_aops  # noqa: PLC0415  (data.py needs this file)

    return erofs_aops


@port_of("fs/erofs/internal.h", "erofs_allocpage")
def erofs_allocpage(pagepool: Ref, gfp: int) -> Page:
    from erofs_memback.zutil import __erofs_allocpage  # noqa: PLC0415  (zutil.py needs this file)

    return __erofs_allocpage(pagepool, gfp, False)


@port_of("fs/erofs/internal.h", "erofs_pagepool_add")
def erofs_pagepool_add(pagepool: Ref, page: Page) -> None:
    set_page_private(page, pagepool.v)
    pagepool.v = page


def MNGD_MAPPING(sbi: erofs_sb_info) -> AddressSpace:
    return sbi.managed_cache.i_mapping
