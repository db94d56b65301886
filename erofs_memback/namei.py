# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs/namei.c: lookup."""
from __future__ import annotations

from typing import Any

from kemu.linux.dcache import Dentry, Qstr, d_splice_alias
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR, PTR_ERR_OR_ZERO
from kemu.linux.errno import EFSCORRUPTED, ENAMETOOLONG, ENOENT
from kemu.linux.fs import Inode, inode_operations
from kemu.linux.port.honesty import port_of
from kemu.linux.port.layout import View
from kemu.linux.string import mem_match
from kemu.linux.tracepoint import trace
from kemu.linux.types import NULL, Ref, s32
from kemu.linux.unaligned import get_u8

from erofs_memback.data import erofs_bread, erofs_fiemap, erofs_put_metabuf
from erofs_memback.inode import erofs_getattr, erofs_iget
from erofs_memback.internal import (
    DBG_BUGON,
    EROFS_I,
    EROFS_NAME_LEN,
    erofs_buf,
    erofs_dirent,
    erofs_err,
    erofs_iblks,
    erofs_pos,
)
from erofs_memback.xattr import erofs_get_acl, erofs_listxattr


class erofs_qstr:
    """``struct erofs_qstr`` of a name on disk: two addresses. A looked-up name is ``bytes`` with its NUL."""

    __slots__ = ("name", "end")

    def __init__(self, name: int = 0, end: int = 0) -> None:
        self.name = name
        self.end = end


@port_of("fs/erofs/namei.c", "erofs_dirnamecmp")
def erofs_dirnamecmp(qn: bytes, qd: erofs_qstr, matched: Ref) -> int:
    """Based on the end of qn is accurate and it must have the trailing NUL.

    C compares a byte at a time; so does this, in effect: ``mem_match`` touches no byte behind the first one that differs.
    """
    i = matched.v

    # on-disk error, let's only BUG_ON in the debugging mode. otherwise, it will return 1 to just skip the invalid name and go on
    # (in consideration of the lookup performance).
    DBG_BUGON(qd.name > qd.end)

    # qd could not have trailing '\0'; however it is absolutely safe if < qd->end
    n = min(qd.end - (qd.name + i), len(qn) - i)
    if n > 0:
        same = mem_match(qd.name + i, qn[i:i + n])
        i += same
        if same < n:
            c = get_u8(qd.name + i)
            matched.v = i
            if not c:                           # the name on disk ends here, qn does not
                return 1
            return 1 if qn[i] > c else -1
        if i == len(qn):                        # both ended with a NUL
            matched.v = i - 1
            return 0
    matched.v = i
    # See comments in __d_alloc on the terminating NUL character
    return 0 if not qn[i] else 1


def nameoff_from_disk(off: int, sz: int) -> int:
    return off & (sz - 1)


@port_of("fs/erofs/namei.c", "find_target_dirent")
def find_target_dirent(name: bytes, data: int, dirblksize: int, ndirents: int) -> View:
    de = erofs_dirent(data)

    # since the 1st dirent has been evaluated previously
    head = 1
    back = ndirents - 1
    startprfx = endprfx = 0

    while head <= back:
        mid = head + (back - head) // 2
        nameoff = nameoff_from_disk(de[mid].nameoff, dirblksize)
        matched = Ref(min(startprfx, endprfx))
        dname = erofs_qstr(name=data + nameoff,
                           end=data + dirblksize if mid >= ndirents - 1 else
                           data + nameoff_from_disk(de[mid + 1].nameoff, dirblksize))

        # string comparison without already matched prefix
        ret = erofs_dirnamecmp(name, dname, matched)

        if not ret:
            return de[mid]
        if ret > 0:
            head = mid + 1
            startprfx = matched.v
        else:
            back = mid - 1
            endprfx = matched.v

    return ERR_PTR(-ENOENT)


@port_of("fs/erofs/namei.c", "erofs_find_target_block")
def erofs_find_target_block(target: erofs_buf, dir: Inode, name: bytes, _ndirents: Ref) -> Any:
    bsz = 1 << dir.i_blkbits
    head, back = 0, s32(erofs_iblks(dir) - 1)
    startprfx = endprfx = 0
    candidate: View = ERR_PTR(-ENOENT)

    while head <= back:
        mid = head + (back - head) // 2
        buf = erofs_buf()

        buf.mapping = dir.i_mapping
        de = erofs_bread(buf, erofs_pos(dir.i_sb, mid), True)
        if not IS_ERR(de):
            de = erofs_dirent(de)
            nameoff = nameoff_from_disk(de.nameoff, bsz)
            ndirents = nameoff // erofs_dirent.SIZE

            if not ndirents:
                erofs_put_metabuf(buf)
                erofs_err(dir.i_sb, "corrupted dir block %d @ nid %llu", mid, EROFS_I(dir).nid)
                DBG_BUGON(1)
                de = ERR_PTR(-EFSCORRUPTED)
            else:
                matched = Ref(min(startprfx, endprfx))

                dname = erofs_qstr(name=de.p + nameoff)
                if ndirents == 1:
                    dname.end = de.p + bsz
                else:
                    dname.end = de.p + nameoff_from_disk(de[1].nameoff, bsz)

                # string comparison without already matched prefix
                diff = erofs_dirnamecmp(name, dname, matched)

                if diff < 0:
                    erofs_put_metabuf(buf)
                    back = mid - 1
                    endprfx = matched.v
                    continue

                if not IS_ERR(candidate):
                    erofs_put_metabuf(target)
                target.assign(buf)
                if not diff:
                    _ndirents.v = 0
                    return de
                head = mid + 1
                startprfx = matched.v
                candidate = de
                _ndirents.v = ndirents
                continue
        # out: free if the candidate is valid
        if not IS_ERR(candidate):
            erofs_put_metabuf(target)
        return de
    return candidate


@port_of("fs/erofs/namei.c", "erofs_namei")
def erofs_namei(dir: Inode, name: Qstr, nid: Ref, d_type: Ref) -> int:
    buf = erofs_buf()

    if not dir.i_size:
        return -ENOENT

    qn = name.name + b"\0"
    buf.mapping = dir.i_mapping

    ndirents = Ref(0)
    de = erofs_find_target_block(buf, dir, qn, ndirents)
    if IS_ERR(de):
        return PTR_ERR(de)

    if ndirents.v:
        de = find_target_dirent(qn, de.p, 1 << dir.i_blkbits, ndirents.v)

    if not IS_ERR(de):
        nid.v = de.nid
        d_type.v = de.file_type
    erofs_put_metabuf(buf)
    return PTR_ERR_OR_ZERO(de)


@port_of("fs/erofs/namei.c", "erofs_lookup")
def erofs_lookup(dir: Inode, dentry: Dentry, flags: int) -> Dentry:
    """None, another dentry, or ERR_PTR."""
    nid, d_type = Ref(0), Ref(0)

    trace("erofs_lookup", dir=dir, dentry=dentry, flags=flags)

    if dentry.d_name.len > EROFS_NAME_LEN:
        return ERR_PTR(-ENAMETOOLONG)

    err = erofs_namei(dir, dentry.d_name, nid, d_type)

    if err == -ENOENT:
        # negative dentry
        inode = NULL
    elif err:
        inode = ERR_PTR(err)
    else:
        inode = erofs_iget(dir.i_sb, nid.v)
    return d_splice_alias(inode, dentry)


erofs_dir_iops = inode_operations(
    lookup=erofs_lookup,
    getattr=erofs_getattr,
    listxattr=erofs_listxattr,
    get_inode_acl=erofs_get_acl,
    fiemap=erofs_fiemap,
)
