# SPDX-License-Identifier: GPL-2.0-or-later
"""fs/erofs/ishare.c: one page cache for files of equal contents on several mounts."""
from __future__ import annotations

from typing import Any

from kemu.linux.cred import current_cred
from kemu.linux.dcache import d_inode, d_obtain_alias, dput
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL
from kemu.linux.fcntl import O_DIRECT, O_NOATIME
from kemu.linux.fs import (
    I_NEW,
    File,
    Inode,
    Kiocb,
    backing_file_open,
    file_operations,
    fput,
    generic_file_llseek,
    generic_file_readonly_mmap,
    iget5_locked,
    igrab,
    inode_state_read_once,
    iput,
    kiocb_clone,
    super_setup_bdi,
    unlock_new_inode,
)
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.list import INIT_LIST_HEAD, list_add, list_del, list_empty, list_for_each_entry
from kemu.linux.mm import vma_set_file
from kemu.linux.mm_types import vm_area_struct
from kemu.linux.mount import VfsMount, kern_mount, kern_unmount
from kemu.linux.pagemap import filemap_read
from kemu.linux.path import Path
from kemu.linux.port.honesty import port_of
from kemu.linux.port.statics import statics
from kemu.linux.security import security_mmap_backing_file
from kemu.linux.slab import kfree
from kemu.linux.spinlock import spin_lock, spin_lock_init, spin_unlock, spinlock_t
from kemu.linux.splice import filemap_splice_read
from kemu.linux.stat import S_IFREG
from kemu.linux.string import memcmp
from kemu.linux.types import NULL, Ref, list_head
from kemu.linux.uio import IovIter, iov_iter_count
from kemu.linux.xxhash import xxh32

from erofs_memback.internal import DBG_BUGON, EROFS_I, EROFS_SB, erofs_get_aops, erofs_inode_fingerprint, erofs_warn


@statics
class g:
    erofs_ishare_mnt: VfsMount = NULL


@port_of("fs/erofs/ishare.c", "erofs_ishare_iget5_eq")
def erofs_ishare_iget5_eq(inode: Inode, data: Any) -> bool:
    fp1 = EROFS_I(inode).fingerprint
    fp2 = data

    return fp1.size == fp2.size and not memcmp(fp1.opaque, fp2.opaque, fp2.size)


@port_of("fs/erofs/ishare.c", "erofs_ishare_iget5_set")
def erofs_ishare_iget5_set(inode: Inode, data: Any) -> int:
    vi = EROFS_I(inode)

    vi.fingerprint = data.copy()
    vi.ishare_list = list_head(vi)
    INIT_LIST_HEAD(vi.ishare_list)
    vi.ishare_lock = spinlock_t()
    spin_lock_init(vi.ishare_lock)
    return 0


empty_fops = file_operations()


@port_of("fs/erofs/ishare.c", "erofs_ishare_fill_inode")
def erofs_ishare_fill_inode(inode: Inode) -> bool:
    if not IS_ENABLED("CONFIG_EROFS_FS_PAGE_CACHE_SHARE"):
        return False
    from erofs_memback.xattr import erofs_xattr_fill_inode_fingerprint  # noqa: PLC0415  (xattr.py needs this file)

    sbi = EROFS_SB(inode.i_sb)
    vi = EROFS_I(inode)
    fp = erofs_inode_fingerprint()

    aops = erofs_get_aops(inode)
    if IS_ERR(aops):
        return False
    if erofs_xattr_fill_inode_fingerprint(fp, inode, sbi.domain_id):
        return False

    si = iget5_locked(g.erofs_ishare_mnt.mnt_sb, xxh32(fp.opaque, fp.size, 0), erofs_ishare_iget5_eq, erofs_ishare_iget5_set, fp)
    if si and inode_state_read_once(si) & I_NEW:
        si.i_fop = empty_fops
        si.i_mapping.a_ops = aops
        si.i_mode = 0o444 | S_IFREG
        si.i_size = inode.i_size
        unlock_new_inode(si)
    else:
        kfree(fp.opaque)
        if not si or aops is not si.i_mapping.a_ops:
            iput(si)
            return False
        if si.i_size != inode.i_size:
            erofs_warn(inode.i_sb, "i_size mismatch (%lld != %lld) for the same fingerprint", inode.i_size, si.i_size)
            iput(si)
            return False
    sd = d_obtain_alias(si)     # disconnected denties for sharedinodes
    if IS_ERR(sd):
        return False
    vi.sharedentry = sd
    vi.ishare_list = list_head(vi)
    INIT_LIST_HEAD(vi.ishare_list)
    spin_lock(EROFS_I(si).ishare_lock)
    list_add(vi.ishare_list, EROFS_I(si).ishare_list)
    spin_unlock(EROFS_I(si).ishare_lock)
    return True


@port_of("fs/erofs/ishare.c", "erofs_ishare_free_inode")
def erofs_ishare_free_inode(inode: Inode) -> None:
    vi = EROFS_I(inode)

    if not vi.sharedentry:
        return
    svi = EROFS_I(d_inode(vi.sharedentry))
    spin_lock(svi.ishare_lock)
    list_del(vi.ishare_list)
    spin_unlock(svi.ishare_lock)
    dput(vi.sharedentry)
    vi.sharedentry = NULL


@port_of("fs/erofs/ishare.c", "erofs_ishare_file_open")
def erofs_ishare_file_open(inode: Inode, file: File) -> int:
    sharedpath = Path(mnt=g.erofs_ishare_mnt, dentry=EROFS_I(inode).sharedentry)

    if file.f_flags & O_DIRECT:
        return -EINVAL

    rf = backing_file_open(file, file.f_flags | O_NOATIME, sharedpath, current_cred())
    if IS_ERR(rf):
        return PTR_ERR(rf)
    file.private_data = rf
    return 0


@port_of("fs/erofs/ishare.c", "erofs_ishare_file_release")
def erofs_ishare_file_release(inode: Inode, file: File) -> int:
    fput(file.private_data)
    file.private_data = NULL
    return 0


@port_of("fs/erofs/ishare.c", "erofs_ishare_file_read_iter")
def erofs_ishare_file_read_iter(iocb: Kiocb, to: IovIter) -> int:
    realfile = iocb.ki_filp.private_data
    dedup_iocb = Kiocb()

    if not iov_iter_count(to):
        return 0
    kiocb_clone(dedup_iocb, iocb, realfile)
    nread = filemap_read(dedup_iocb, to, 0)
    iocb.ki_pos = dedup_iocb.ki_pos
    return nread


@port_of("fs/erofs/ishare.c", "erofs_ishare_mmap")
def erofs_ishare_mmap(file: File, vma: vm_area_struct) -> int:
    realfile = file.private_data

    vma_set_file(vma, realfile)

    err = security_mmap_backing_file(vma, realfile, file)
    if err:
        return err

    return generic_file_readonly_mmap(file, vma)


# fadvise is not part of the emulated kernel
erofs_ishare_fops = file_operations(
    open=erofs_ishare_file_open,
    llseek=generic_file_llseek,
    read_iter=erofs_ishare_file_read_iter,
    mmap=erofs_ishare_mmap,
    release=erofs_ishare_file_release,
    splice_read=filemap_splice_read,
)


@port_of("fs/erofs/ishare.c", "erofs_real_inode")
def erofs_real_inode(inode: Inode, need_iput: Ref) -> Inode:
    need_iput.v = False
    if g.erofs_ishare_mnt is None or inode.i_sb is not g.erofs_ishare_mnt.mnt_sb:
        return inode

    vi_share = EROFS_I(inode)
    realinode = NULL
    spin_lock(vi_share.ishare_lock)
    # fetch any one as real inode
    DBG_BUGON(list_empty(vi_share.ishare_list))
    for vi in list_for_each_entry(vi_share.ishare_list):
        realinode = igrab(vi)
        if realinode:
            need_iput.v = True
            break
    spin_unlock(vi_share.ishare_lock)

    DBG_BUGON(not realinode)
    return realinode


@port_of("fs/erofs/ishare.c", "erofs_init_ishare")
def erofs_init_ishare() -> int:
    if not IS_ENABLED("CONFIG_EROFS_FS_PAGE_CACHE_SHARE"):
        return 0
    from erofs_memback.super import erofs_anon_fs_type  # noqa: PLC0415  (super.py needs this file)

    mnt = kern_mount(erofs_anon_fs_type)
    if IS_ERR(mnt):
        return PTR_ERR(mnt)
    # generic_fadvise() doesn't work if s_bdi == &noop_backing_dev_info
    ret = super_setup_bdi(mnt.mnt_sb)
    if ret:
        kern_unmount(mnt)
    else:
        g.erofs_ishare_mnt = mnt
    return ret


@port_of("fs/erofs/ishare.c", "erofs_exit_ishare")
def erofs_exit_ishare() -> None:
    if not IS_ENABLED("CONFIG_EROFS_FS_PAGE_CACHE_SHARE"):
        return
    kern_unmount(g.erofs_ishare_mnt)
