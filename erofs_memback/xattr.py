# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/xattr.c: extended attributes and ACLs. Attribute names are bytes, buffers addresses."""
from __future__ import annotations

from kemu.linux.bitops import set_bit, test_bit
from kemu.linux.bits import BIT
from kemu.linux.cred import CAP_SYS_ADMIN, capable
from kemu.linux.dcache import Dentry
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import ECHILD, EFSCORRUPTED, EINVAL, ENODATA, ENOMEM, EOPNOTSUPP, ERANGE, ERESTARTSYS
from kemu.linux.fs import Inode, SuperBlock, i_blocksize
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.math import check_add_overflow, min_t
from kemu.linux.port.honesty import port_of
from kemu.linux.posix_acl import (
    ACL_TYPE_ACCESS,
    ACL_TYPE_DEFAULT,
    PosixAcl,
    init_user_ns,
    nop_posix_acl_access,
    nop_posix_acl_default,
    posix_acl_from_xattr,
)
from kemu.linux.slab import kfree, kmalloc, krealloc, kzalloc_objs
from kemu.linux.string import c_string, mem_read, mem_write, memcpy
from kemu.linux.types import NULL, Ref, u32, u64
from kemu.linux.unaligned import get_unaligned_le32, put_unaligned_le32
from kemu.linux.wait_bit import TASK_KILLABLE, clear_and_wake_up_bit, wait_on_bit_lock
from kemu.linux.xattr import (
    XATTR_SECURITY_PREFIX,
    XATTR_TRUSTED_PREFIX,
    XATTR_USER_PREFIX,
    xattr_handler,
    xattr_handler_can_list,
    xattr_prefix,
)
from kemu.linux.xxhash import xxh32_bytes

from erofs_memback.data import erofs_bread, erofs_init_metabuf, erofs_put_metabuf, erofs_read_metabuf
from erofs_memback.internal import (
    DBG_BUGON,
    EROFS_I,
    EROFS_I_BL_XATTR_BIT,
    EROFS_I_EA_INITED_BIT,
    EROFS_I_SB,
    EROFS_MOUNT_INODE_SHARE,
    EROFS_MOUNT_XATTR_USER,
    EROFS_NAME_LEN,
    EROFS_SB,
    EROFS_XATTR_FILTER_BITS,
    EROFS_XATTR_FILTER_SEED,
    EROFS_XATTR_INDEX_POSIX_ACL_ACCESS,
    EROFS_XATTR_INDEX_POSIX_ACL_DEFAULT,
    EROFS_XATTR_INDEX_SECURITY,
    EROFS_XATTR_INDEX_TRUSTED,
    EROFS_XATTR_INDEX_USER,
    EROFS_XATTR_LONG_PREFIX,
    EROFS_XATTR_LONG_PREFIX_MASK,
    erofs_blkoff,
    erofs_buf,
    erofs_err,
    erofs_iloc,
    erofs_inode_fingerprint,
    erofs_inode_in_metabox,
    erofs_pos,
    erofs_sb_has_ishare_xattrs,
    erofs_sb_has_metabox,
    erofs_sb_has_plain_xattr_pfx,
    erofs_sb_has_shared_ea_in_metabox,
    erofs_sb_has_xattr_filter,
    erofs_xattr_entry,
    erofs_xattr_entry_size,
    erofs_xattr_ibody_header,
    erofs_xattr_long_prefix,
    erofs_xattr_prefix_item,
    test_opt,
)

_SIZEOF_IBODY = erofs_xattr_ibody_header.SIZE
_SIZEOF_ENTRY = erofs_xattr_entry.SIZE
_INFIX = 1      # offsetof(struct erofs_xattr_long_prefix, infix)


class erofs_xattr_iter:
    __slots__ = ("sb", "buf", "pos", "kaddr", "buffer", "buffer_size", "buffer_ofs", "index", "infix_len", "name", "dentry")

    def __init__(self) -> None:
        self.sb: SuperBlock = NULL
        self.buf = erofs_buf()
        self.pos = 0
        self.kaddr = 0

        self.buffer = 0
        self.buffer_size = self.buffer_ofs = 0

        # getxattr
        self.index = self.infix_len = 0
        self.name = b""

        # listxattr
        self.dentry: Dentry = NULL


@port_of("fs/erofs/xattr.c", "erofs_init_inode_xattrs")
def erofs_init_inode_xattrs(inode: Inode) -> int:
    buf = erofs_buf()
    vi = EROFS_I(inode)
    sb = inode.i_sb
    ret = 0

    if not vi.xattr_isize:
        return -ENODATA

    # the most case is that xattrs of this inode are initialized.
    if test_bit(EROFS_I_EA_INITED_BIT, vi.flags):
        # paired with smp_mb() at the end of the function to ensure fields will only be observed after the bit is set.
        return 0
    if wait_on_bit_lock(vi.flags, EROFS_I_BL_XATTR_BIT, TASK_KILLABLE):
        return -ERESTARTSYS

    try:    # out_unlock
        # someone has initialized xattrs for us?
        if test_bit(EROFS_I_EA_INITED_BIT, vi.flags):
            return ret

        # bypass all xattr operations if ->xattr_isize is not greater than sizeof(struct erofs_xattr_ibody_header), in detail:
        # 1) it is not enough to contain erofs_xattr_ibody_header then ->xattr_isize should be 0 (it means no xattr);
        # 2) it is just to contain erofs_xattr_ibody_header, which is on-disk undefined right now (maybe use later with some new
        # sb feature).
        if vi.xattr_isize == _SIZEOF_IBODY:
            erofs_err(sb, "xattr_isize %d of nid %llu is not supported yet", vi.xattr_isize, vi.nid)
            ret = -EOPNOTSUPP
            return ret
        elif vi.xattr_isize < _SIZEOF_IBODY:
            erofs_err(sb, "bogus xattr ibody @ nid %llu", vi.nid)
            DBG_BUGON(1)
            ret = -EFSCORRUPTED
            return ret

        pos = u64(erofs_iloc(inode) + vi.inode_isize)
        ih = erofs_read_metabuf(buf, sb, pos, erofs_inode_in_metabox(inode))
        if IS_ERR(ih):
            ret = PTR_ERR(ih)
            return ret
        ih = erofs_xattr_ibody_header(ih)
        vi.xattr_name_filter = ih.h_name_filter
        vi.xattr_shared_count = ih.h_shared_count
        if vi.xattr_shared_count * 4 > vi.xattr_isize - _SIZEOF_IBODY:
            erofs_err(sb, "invalid h_shared_count %u @ nid %llu", vi.xattr_shared_count, vi.nid)
            ret = -EFSCORRUPTED
            return ret
        vi.xattr_shared_xattrs = kmalloc(4 * vi.xattr_shared_count, GFP_KERNEL)
        if not vi.xattr_shared_xattrs:
            ret = -ENOMEM
            return ret

        # skip the ibody header and read the shared xattr array
        pos = u64(pos + _SIZEOF_IBODY)
        for i in range(vi.xattr_shared_count):
            xattr_id = erofs_bread(buf, u64(pos + i * 4), True)
            if IS_ERR(xattr_id):
                kfree(vi.xattr_shared_xattrs)
                vi.xattr_shared_xattrs = 0
                ret = PTR_ERR(xattr_id)
                return ret
            put_unaligned_le32(get_unaligned_le32(xattr_id), vi.xattr_shared_xattrs + 4 * i)

        # paired with smp_mb() at the beginning of the function.
        set_bit(EROFS_I_EA_INITED_BIT, vi.flags)
        return ret
    finally:
        erofs_put_metabuf(buf)
        clear_and_wake_up_bit(EROFS_I_BL_XATTR_BIT, vi.flags)


@port_of("fs/erofs/xattr.c", "erofs_xattr_copy_to_buffer")
def erofs_xattr_copy_to_buffer(it: erofs_xattr_iter, len_: int) -> int:
    sb = it.sb

    processed = 0
    while processed < len_:
        it.kaddr = erofs_bread(it.buf, it.pos, True)
        if IS_ERR(it.kaddr):
            return PTR_ERR(it.kaddr)

        slice = min_t(u32, sb.s_blocksize - erofs_blkoff(sb, it.pos), len_ - processed)
        memcpy(it.buffer + it.buffer_ofs, it.kaddr, slice)
        it.buffer_ofs += slice
        it.pos = u64(it.pos + slice)
        processed += slice
    return 0


@port_of("fs/erofs/xattr.c", "erofs_listxattr_foreach")
def erofs_listxattr_foreach(it: erofs_xattr_iter) -> int:
    infix, infix_len = 0, 0

    # 1. handle xattr entry
    entry = erofs_xattr_entry(it.kaddr).copy()
    it.pos = u64(it.pos + _SIZEOF_ENTRY)

    base_index = entry.e_name_index
    if entry.e_name_index & EROFS_XATTR_LONG_PREFIX:
        sbi = EROFS_SB(it.sb)
        pfi = entry.e_name_index & EROFS_XATTR_LONG_PREFIX_MASK

        if pfi >= sbi.xattr_prefix_count:
            return 0
        pf = sbi.xattr_prefixes[pfi]
        infix = pf.prefix.infix
        infix_len = pf.infix_len
        base_index = pf.prefix.base_index

    prefix = erofs_xattr_prefix(base_index, it.dentry)
    if not prefix:
        return 0
    prefix_len = len(prefix)
    name_total = prefix_len + infix_len + entry.e_name_len + 1

    if not it.buffer:
        it.buffer_ofs += name_total
        return 0

    if it.buffer_ofs + name_total > it.buffer_size:
        return -ERANGE

    mem_write(it.buffer + it.buffer_ofs, prefix)
    memcpy(it.buffer + it.buffer_ofs + prefix_len, infix, infix_len)
    it.buffer_ofs += prefix_len + infix_len

    # 2. handle xattr name
    err = erofs_xattr_copy_to_buffer(it, entry.e_name_len)
    if err:
        return err

    mem_write(it.buffer + it.buffer_ofs, b"\0")
    it.buffer_ofs += 1
    return 0


@port_of("fs/erofs/xattr.c", "erofs_getxattr_foreach")
def erofs_getxattr_foreach(it: erofs_xattr_iter) -> int:
    sb = it.sb

    # 1. handle xattr entry
    entry = erofs_xattr_entry(it.kaddr).copy()
    it.pos = u64(it.pos + _SIZEOF_ENTRY)
    value_sz = entry.e_value_size

    # should also match the infix for long name prefixes
    if entry.e_name_index & EROFS_XATTR_LONG_PREFIX:
        sbi = EROFS_SB(sb)
        pfi = entry.e_name_index & EROFS_XATTR_LONG_PREFIX_MASK

        if pfi >= sbi.xattr_prefix_count:
            return -ENODATA
        pf = sbi.xattr_prefixes[pfi]

        if it.index != pf.prefix.base_index or len(it.name) != entry.e_name_len + pf.infix_len:
            return -ENODATA

        if it.name[:pf.infix_len] != mem_read(pf.prefix.infix, pf.infix_len):
            return -ENODATA

        it.infix_len = pf.infix_len
    else:
        if it.index != entry.e_name_index or len(it.name) != entry.e_name_len:
            return -ENODATA

        it.infix_len = 0

    # 2. handle xattr name
    processed = 0
    while processed < entry.e_name_len:
        it.kaddr = erofs_bread(it.buf, it.pos, True)
        if IS_ERR(it.kaddr):
            return PTR_ERR(it.kaddr)

        slice = min_t(u32, sb.s_blocksize - erofs_blkoff(sb, it.pos), entry.e_name_len - processed)
        start = it.infix_len + processed
        if it.name[start:start + slice] != mem_read(it.kaddr, slice):
            return -ENODATA
        it.pos = u64(it.pos + slice)
        processed += slice

    # 3. handle xattr value
    if not it.buffer:
        it.buffer_ofs = value_sz
        return 0

    if it.buffer_size < value_sz:
        return -ERANGE

    return erofs_xattr_copy_to_buffer(it, value_sz)


@port_of("fs/erofs/xattr.c", "erofs_xattr_iter_inline")
def erofs_xattr_iter_inline(it: erofs_xattr_iter, inode: Inode, getxattr: bool) -> int:
    vi = EROFS_I(inode)

    xattr_header_sz = _SIZEOF_IBODY + 4 * vi.xattr_shared_count
    if xattr_header_sz >= vi.xattr_isize:
        DBG_BUGON(xattr_header_sz > vi.xattr_isize)
        return -ENODATA

    ret = erofs_init_metabuf(it.buf, it.sb, erofs_inode_in_metabox(inode))
    if ret:
        return ret
    remaining = vi.xattr_isize - xattr_header_sz
    it.pos = u64(erofs_iloc(inode) + vi.inode_isize + xattr_header_sz)

    while remaining:
        it.kaddr = erofs_bread(it.buf, it.pos, True)
        if IS_ERR(it.kaddr):
            return PTR_ERR(it.kaddr)

        entry_sz = erofs_xattr_entry_size(erofs_xattr_entry(it.kaddr))
        # xattr on-disk corruption: xattr entry beyond xattr_isize
        if remaining < entry_sz:
            DBG_BUGON(1)
            return -EFSCORRUPTED
        remaining -= entry_sz
        next_pos = u64(it.pos + entry_sz)

        if getxattr:
            ret = erofs_getxattr_foreach(it)
        else:
            ret = erofs_listxattr_foreach(it)
        if (getxattr and ret != -ENODATA) or (not getxattr and ret):
            break

        it.pos = next_pos
    return ret


@port_of("fs/erofs/xattr.c", "erofs_xattr_iter_shared")
def erofs_xattr_iter_shared(it: erofs_xattr_iter, inode: Inode, getxattr: bool) -> int:
    vi = EROFS_I(inode)
    sb = it.sb
    sbi = EROFS_SB(sb)
    i = 0

    ret = erofs_init_metabuf(it.buf, sb, erofs_sb_has_shared_ea_in_metabox(sbi))
    if ret:
        return ret

    while i < vi.xattr_shared_count:
        it.pos = u64(erofs_pos(sb, sbi.xattr_blkaddr) + get_unaligned_le32(vi.xattr_shared_xattrs + 4 * i) * 4)
        i += 1
        it.kaddr = erofs_bread(it.buf, it.pos, True)
        if IS_ERR(it.kaddr):
            return PTR_ERR(it.kaddr)

        if getxattr:
            ret = erofs_getxattr_foreach(it)
        else:
            ret = erofs_listxattr_foreach(it)
        if (getxattr and ret != -ENODATA) or (not getxattr and ret):
            break
    return ret if i else -ENODATA


@port_of("fs/erofs/xattr.c", "erofs_getxattr")
def erofs_getxattr(inode: Inode, index: int, name: bytes, buffer: int, buffer_size: int) -> int:
    """Size of the value, or -ENODATA, -ERANGE, ...; with ``buffer`` 0 the value is not copied."""
    it = erofs_xattr_iter()
    vi = EROFS_I(inode)
    sbi = EROFS_SB(inode.i_sb)

    if name is None:
        return -EINVAL

    ret = erofs_init_inode_xattrs(inode)
    if ret:
        return ret

    # reserved flag is non-zero if there's any change of on-disk format
    if erofs_sb_has_xattr_filter(sbi) and not sbi.xattr_filter_reserved:
        hashbit = xxh32_bytes(name, u32(EROFS_XATTR_FILTER_SEED + index))
        hashbit &= EROFS_XATTR_FILTER_BITS - 1
        if vi.xattr_name_filter & (1 << hashbit):
            return -ENODATA

    it.index = index
    it.name = name
    if len(it.name) > EROFS_NAME_LEN:
        return -ERANGE

    it.sb = inode.i_sb
    it.buffer = buffer
    it.buffer_size = buffer_size
    it.buffer_ofs = 0

    ret = erofs_xattr_iter_inline(it, inode, True)
    if ret == -ENODATA:
        ret = erofs_xattr_iter_shared(it, inode, True)
    erofs_put_metabuf(it.buf)
    return ret if ret else it.buffer_ofs


@port_of("fs/erofs/xattr.c", "erofs_listxattr")
def erofs_listxattr(dentry: Dentry, buffer: int, buffer_size: int) -> int:
    if not IS_ENABLED("CONFIG_EROFS_FS_XATTR"):
        return 0            # erofs_listxattr is NULL then, and the VFS lists nothing
    it = erofs_xattr_iter()
    inode = dentry.d_inode

    ret = erofs_init_inode_xattrs(inode)
    if ret == -ENODATA:
        return 0
    if ret:
        return ret

    it.sb = dentry.d_sb
    it.dentry = dentry
    it.buffer = buffer
    it.buffer_size = buffer_size
    it.buffer_ofs = 0

    ret = erofs_xattr_iter_inline(it, inode, False)
    if not ret or ret == -ENODATA:
        ret = erofs_xattr_iter_shared(it, inode, False)
    if ret == -ENODATA:
        ret = 0
    erofs_put_metabuf(it.buf)
    return ret if ret else it.buffer_ofs


@port_of("fs/erofs/xattr.c", "erofs_xattr_user_list")
def erofs_xattr_user_list(dentry: Dentry) -> bool:
    return bool(test_opt(EROFS_SB(dentry.d_sb).opt, EROFS_MOUNT_XATTR_USER))


@port_of("fs/erofs/xattr.c", "erofs_xattr_trusted_list")
def erofs_xattr_trusted_list(dentry: Dentry) -> bool:
    return capable(CAP_SYS_ADMIN)


@port_of("fs/erofs/xattr.c", "erofs_xattr_generic_get")
def erofs_xattr_generic_get(handler: xattr_handler, unused: Dentry, inode: Inode, name: bytes, buffer: int, size: int) -> int:
    if handler.flags == EROFS_XATTR_INDEX_USER and not test_opt(EROFS_I_SB(inode).opt, EROFS_MOUNT_XATTR_USER):
        return -EOPNOTSUPP

    return erofs_getxattr(inode, handler.flags, name, buffer, size)


erofs_xattr_user_handler = xattr_handler(
    prefix=XATTR_USER_PREFIX,
    flags=EROFS_XATTR_INDEX_USER,
    list=erofs_xattr_user_list,
    get=erofs_xattr_generic_get,
)

erofs_xattr_trusted_handler = xattr_handler(
    prefix=XATTR_TRUSTED_PREFIX,
    flags=EROFS_XATTR_INDEX_TRUSTED,
    list=erofs_xattr_trusted_list,
    get=erofs_xattr_generic_get,
)

erofs_xattr_security_handler = xattr_handler(
    prefix=XATTR_SECURITY_PREFIX,
    flags=EROFS_XATTR_INDEX_SECURITY,
    get=erofs_xattr_generic_get,
)

_handlers = [
    erofs_xattr_user_handler,
    erofs_xattr_trusted_handler,
    erofs_xattr_security_handler,       # CONFIG_EROFS_FS_SECURITY
]


def erofs_xattr_handlers() -> list[xattr_handler]:
    """The table of C, as the machine is configured: NULL without CONFIG_EROFS_FS_XATTR."""
    if not IS_ENABLED("CONFIG_EROFS_FS_XATTR"):
        return NULL
    return _handlers if IS_ENABLED("CONFIG_EROFS_FS_SECURITY") else _handlers[:2]


xattr_handler_map = {
    EROFS_XATTR_INDEX_USER: erofs_xattr_user_handler,
    EROFS_XATTR_INDEX_POSIX_ACL_ACCESS: nop_posix_acl_access,
    EROFS_XATTR_INDEX_POSIX_ACL_DEFAULT: nop_posix_acl_default,
    EROFS_XATTR_INDEX_TRUSTED: erofs_xattr_trusted_handler,
    EROFS_XATTR_INDEX_SECURITY: erofs_xattr_security_handler,
}
_needs_config = {
    EROFS_XATTR_INDEX_POSIX_ACL_ACCESS: "CONFIG_EROFS_FS_POSIX_ACL",
    EROFS_XATTR_INDEX_POSIX_ACL_DEFAULT: "CONFIG_EROFS_FS_POSIX_ACL",
    EROFS_XATTR_INDEX_SECURITY: "CONFIG_EROFS_FS_SECURITY",
}


@port_of("fs/erofs/xattr.c", "erofs_xattr_prefix")
def erofs_xattr_prefix(idx: int, dentry: Dentry) -> bytes:
    handler = xattr_handler_map.get(idx, NULL)
    if idx in _needs_config and not IS_ENABLED(_needs_config[idx]):
        handler = NULL
    if xattr_handler_can_list(handler, dentry):
        return xattr_prefix(handler)
    return NULL


@port_of("fs/erofs/xattr.c", "erofs_xattr_prefixes_cleanup")
def erofs_xattr_prefixes_cleanup(sb: SuperBlock) -> None:
    sbi = EROFS_SB(sb)

    if sbi.xattr_prefixes:
        for i in range(sbi.xattr_prefix_count):
            prefix = sbi.xattr_prefixes[i].prefix
            kfree(prefix.p if prefix else 0)
        kfree(sbi.xattr_prefixes)
        sbi.xattr_prefixes = NULL


@port_of("fs/erofs/xattr.c", "erofs_xattr_prefixes_init")
def erofs_xattr_prefixes_init(sb: SuperBlock) -> int:
    from erofs_memback.super import erofs_read_metadata  # noqa: PLC0415  (super.py needs this file)

    if not IS_ENABLED("CONFIG_EROFS_FS_XATTR"):
        return 0
    sbi = EROFS_SB(sb)
    buf = erofs_buf()
    pos = Ref(u64(sbi.xattr_prefix_start << 2))
    ret = 0
    plain = erofs_sb_has_plain_xattr_pfx(sbi)

    if not sbi.xattr_prefix_count:
        return 0

    pfs = kzalloc_objs(erofs_xattr_prefix_item, sbi.xattr_prefix_count, GFP_KERNEL)
    if not pfs:
        return -ENOMEM

    if not plain:
        if erofs_sb_has_metabox(sbi):
            erofs_init_metabuf(buf, sb, True)
        elif sbi.packed_inode:
            buf.mapping = sbi.packed_inode.i_mapping
        else:
            plain = True
    if plain:
        erofs_init_metabuf(buf, sb, False)

    for i in range(sbi.xattr_prefix_count):
        len_ = Ref(0)
        ptr = erofs_read_metadata(sb, buf, pos, len_)

        if IS_ERR(ptr):
            ret = PTR_ERR(ptr)
            break
        elif len_.v < erofs_xattr_long_prefix.SIZE or len_.v > EROFS_NAME_LEN + erofs_xattr_long_prefix.SIZE:
            kfree(ptr)
            ret = -EFSCORRUPTED
            break
        pfs[i].prefix = erofs_xattr_long_prefix(ptr)
        pfs[i].infix_len = len_.v - erofs_xattr_long_prefix.SIZE

    erofs_put_metabuf(buf)
    if not ret and erofs_sb_has_ishare_xattrs(sbi):
        pf = pfs[sbi.ishare_xattr_prefix_id]

        newpfx = krealloc(pf.prefix.p, erofs_xattr_long_prefix.SIZE + pf.infix_len + 1, GFP_KERNEL)
        if newpfx:
            mem_write(newpfx + _INFIX + pf.infix_len, b"\0")
            pf.prefix = erofs_xattr_long_prefix(newpfx)
        else:
            ret = -ENOMEM
    sbi.xattr_prefixes = pfs
    if ret:
        erofs_xattr_prefixes_cleanup(sb)
    return ret


@port_of("fs/erofs/xattr.c", "erofs_get_acl")
def erofs_get_acl(inode: Inode, type: int, rcu: bool) -> PosixAcl:
    """A posix_acl, None, or ERR_PTR."""
    value = 0

    if not IS_ENABLED("CONFIG_EROFS_FS_POSIX_ACL"):
        return NULL         # erofs_get_acl is NULL then
    if rcu:
        return ERR_PTR(-ECHILD)

    if type == ACL_TYPE_ACCESS:
        prefix = EROFS_XATTR_INDEX_POSIX_ACL_ACCESS
    elif type == ACL_TYPE_DEFAULT:
        prefix = EROFS_XATTR_INDEX_POSIX_ACL_DEFAULT
    else:
        return ERR_PTR(-EINVAL)

    rc = erofs_getxattr(inode, prefix, b"", 0, 0)
    if rc > 0:
        value = kmalloc(rc, GFP_KERNEL)
        if not value:
            return ERR_PTR(-ENOMEM)
        rc = erofs_getxattr(inode, prefix, b"", value, rc)

    if rc == -ENODATA:
        acl = NULL
    elif rc < 0:
        acl = ERR_PTR(rc)
    else:
        acl = posix_acl_from_xattr(init_user_ns, value, rc)
    kfree(value)
    return acl


_NOACL_BITMASK = BIT(21) | BIT(30)      # system.posix_acl_default, system.posix_acl_access


@port_of("fs/erofs/xattr.c", "erofs_inode_has_noacl")
def erofs_inode_has_noacl(inode: Inode, kaddr: int, ofs: int) -> bool:
    sbi = EROFS_I_SB(inode)

    if EROFS_I(inode).xattr_isize < _SIZEOF_IBODY:
        return True

    if erofs_sb_has_xattr_filter(sbi) and not sbi.xattr_filter_reserved:
        ih = erofs_xattr_ibody_header(kaddr + ofs)
        overflow, ofs = check_add_overflow(ofs, _SIZEOF_IBODY, 32)
        if not overflow and ofs <= i_blocksize(inode):
            if ih.h_name_filter & _NOACL_BITMASK == _NOACL_BITMASK:
                return True
    return False


@port_of("fs/erofs/xattr.c", "erofs_xattr_fill_inode_fingerprint")
def erofs_xattr_fill_inode_fingerprint(fp: erofs_inode_fingerprint, inode: Inode, domain_id: str) -> int:
    sbi = EROFS_SB(inode.i_sb)

    if not test_opt(sbi.opt, EROFS_MOUNT_INODE_SHARE):
        return -EOPNOTSUPP
    if not sbi.xattr_prefixes:
        return -EINVAL
    prefix = sbi.xattr_prefixes[sbi.ishare_xattr_prefix_id]
    infix = c_string(prefix.prefix.infix)
    base_index = prefix.prefix.base_index
    valuelen = erofs_getxattr(inode, base_index, infix, 0, 0)
    if valuelen <= 0 or valuelen > 1 << sbi.blkszbits:
        return -EFSCORRUPTED
    domain = domain_id.encode("utf-8", "surrogateescape")
    domainlen = len(domain)
    fp.size = domainlen + 1 + valuelen
    fp.opaque = kmalloc(fp.size, GFP_KERNEL)
    if not fp.opaque:
        return -ENOMEM
    mem_write(fp.opaque, domain + b"\0")
    if valuelen != erofs_getxattr(inode, base_index, infix, fp.opaque + domainlen + 1, valuelen):
        kfree(fp.opaque)
        fp.opaque = 0
        return -EFSCORRUPTED
    return 0
