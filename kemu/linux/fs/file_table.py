# SPDX-License-Identifier: GPL-2.0-only
"""Open files: allocation and the last reference (fs/file_table.c)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.bug import WARN_ON_ONCE
from kemu.linux.err import ERR_PTR, IS_ERR
from kemu.linux.errno import EINVAL, ENOMEM
from kemu.linux.fcntl import O_ACCMODE
from kemu.linux.fs.dcache import d_alloc_pseudo, d_instantiate, dput
from kemu.linux.fs.inode import ihold
from kemu.linux.fs.namei import path_get, path_put
from kemu.linux.fs.namespace import mnt_put_write_access, mntget, mntput
from kemu.linux.include.cred import Cred, current_cred, get_cred, put_cred
from kemu.linux.include.dcache import QSTR
from kemu.linux.include.fs.calls import i_readcount_inc, iocb_flags, put_write_access
from kemu.linux.include.fs.constants import (
    FMODE_BACKING,
    FMODE_CAN_READ,
    FMODE_CAN_WRITE,
    FMODE_LSEEK,
    FMODE_NOACCOUNT,
    FMODE_NONOTIFY_PERM,
    FMODE_OPENED,
    FMODE_READ,
    FMODE_WRITE,
    FMODE_WRITER,
)
from kemu.linux.include.fs.types import File, Inode
from kemu.linux.include.gfp import GFP_KERNEL
from kemu.linux.include.path import Path
from kemu.linux.include.slab import SLAB_PANIC, KmemCache, kmem_cache_alloc, kmem_cache_create
from kemu.linux.include.workqueue import delayed_work, schedule_delayed_work
from kemu.linux.kernel.task_work import task_work_add
from kemu.linux.kernel.workqueue import flush_delayed_work
from kemu.linux.mm.slub import kmem_cache_free
from kemu.linux.port.honesty import custom, dup
from kemu.linux.stat import S_ISDIR
from kemu.machine.current import NULL, this
from kemu.machine.machine import IdleWork
from kemu.machine.sched import PF_KTHREAD
from kemu.machine.splat import KernelBug, caller_function
from kemu.machine.statics import statics

C = "fs/file_table.c"

@statics
class g:
    filp_cache: KmemCache = NULL
    nr_files = 0
    delayed_fput_list: list[File] = []
    works: dict[str, delayed_work] = {}             # delayed_fput_work, and namespace.c's delayed_mntput_work


def schedule_delayed(name: str, fn: Callable[[], None]) -> None:
    """One jiffy later, by a kworker: the static DECLARE_DELAYED_WORK of this file and of namespace.c."""
    work = g.works.get(name)
    if work is None:
        work = g.works[name] = delayed_work()
        work.func = lambda _: fn()
        this.machine.part(IdleWork).flush_puts = flush_all_delayed
    schedule_delayed_work(work, 1)


def flush_all_delayed() -> None:
    for name in g.works:
        flush_delayed(name)


def flush_delayed(name: str) -> None:
    work = g.works.get(name)
    if work is not None:
        flush_delayed_work(work)


@dup(C)
def backing_file_user_path(f: File) -> Path:
    """``const struct path *backing_file_user_path(const struct file *f)``"""
    assert f.user_path is not None
    return f.user_path


@dup(C)
def backing_file_set_user_path(f: File, path: Path) -> None:
    """``void backing_file_set_user_path(struct file *f, const struct path *path)``"""
    f.user_path = path.copy()


def alloc_file_common(flags: int, cred: Cred, mode: int) -> Any:
    if g.filp_cache is None:
        g.filp_cache = kmem_cache_create("filp", File, 0, SLAB_PANIC)
    f = kmem_cache_alloc(g.filp_cache, GFP_KERNEL)
    if f is None:
        return ERR_PTR(-ENOMEM)
    f.f_cred = get_cred(cred)
    f.f_flags = flags
    f.f_mode = (flags + 1) & O_ACCMODE | FMODE_NONOTIFY_PERM | mode       # OPEN_FMODE(flags)
    if this.watch is not None:
        this.watch.ref("file", f, 1)
    return f


@custom(C, "alloc_empty_file", "any number of files: there is no max_files")
def alloc_empty_file(flags: int, cred: Cred) -> Any:
    """``struct file *alloc_empty_file(int flags, const struct cred *cred)``. Return: ERR_PTR(-ENOMEM) on failure."""
    f = alloc_file_common(flags, cred, 0)
    if not IS_ERR(f):
        g.nr_files += 1
    return f


@dup(C)
def alloc_empty_file_noaccount(flags: int, cred: Cred) -> Any:
    """``struct file *alloc_empty_file_noaccount(int flags, const struct cred *cred)``: not counted as open."""
    return alloc_file_common(flags, cred, FMODE_NOACCOUNT)


@dup(C)
def alloc_empty_backing_file(flags: int, cred: Cred, user_file: File) -> Any:
    """``struct file *alloc_empty_backing_file(int flags, const struct cred *cred, const struct file *user_file)``"""
    f = alloc_file_common(flags, cred, FMODE_BACKING | FMODE_NOACCOUNT)
    if not IS_ERR(f):
        f.user_path = Path()
    return f


@dup(C)
def file_init_path(file: File, path: Path, fop: Any) -> None:
    """``static void file_init_path(struct file *file, const struct path *path, const struct file_operations *fop)``"""
    file.f_path = path.copy()
    file.f_inode = path.dentry.d_inode
    file.f_mapping = path.dentry.d_inode.i_mapping
    file.f_wb_err = file.f_mapping.wb_err                       # filemap_sample_wb_err()
    if fop.llseek:
        file.f_mode |= FMODE_LSEEK
    if file.f_mode & FMODE_READ and (fop.read or fop.read_iter):
        file.f_mode |= FMODE_CAN_READ
    if file.f_mode & FMODE_WRITE and (fop.write or fop.write_iter):
        file.f_mode |= FMODE_CAN_WRITE
    file.f_iocb_flags = iocb_flags(file)
    file.f_mode |= FMODE_OPENED
    file.f_op = fop
    if file.f_mode & (FMODE_READ | FMODE_WRITE) == FMODE_READ:
        i_readcount_inc(path.dentry.d_inode)


@dup(C)
def alloc_file(path: Path, flags: int, fop: Any) -> Any:
    """``static struct file *alloc_file(const struct path *path, int flags, const struct file_operations *fop)``.

    Return: or ERR_PTR().
    """
    file = alloc_empty_file(flags, current_cred())
    if not IS_ERR(file):
        file_init_path(file, path, fop)
    return file


@dup(C)
def alloc_path_pseudo(name: str, inode: Inode, mnt: Any, path: Path) -> int:
    """``static int alloc_path_pseudo(const char *name, struct inode *inode, struct vfsmount *mnt, struct path *path)``.

    Return: 0, -EINVAL, -ENOMEM.
    """
    if WARN_ON_ONCE(S_ISDIR(inode.i_mode)):
        return -EINVAL
    path.dentry = d_alloc_pseudo(mnt.mnt_sb, QSTR(name))
    if not path.dentry:
        return -ENOMEM
    path.mnt = mntget(mnt)
    d_instantiate(path.dentry, inode)
    return 0


@dup(C)
def alloc_file_pseudo(inode: Inode, mnt: Any, name: str, flags: int, fops: Any) -> Any:
    """``struct file *alloc_file_pseudo(inode, mnt, name, flags, fops)``: takes the inode reference, but not on failure.

    Return: or ERR_PTR().
    """
    path = Path()

    ret = alloc_path_pseudo(name, inode, mnt, path)
    if ret:
        return ERR_PTR(ret)

    file = alloc_file(path, flags, fops)
    if IS_ERR(file):
        ihold(inode)
        path_put(path)
        return file
    return file


@dup(C)
def alloc_file_pseudo_noaccount(inode: Inode, mnt: Any, name: str, flags: int, fops: Any) -> Any:
    """``struct file *alloc_file_pseudo_noaccount(inode, mnt, name, flags, fops)``: not counted as open. Return: or ERR_PTR()."""
    path = Path()

    ret = alloc_path_pseudo(name, inode, mnt, path)
    if ret:
        return ERR_PTR(ret)

    file = alloc_empty_file_noaccount(flags, current_cred())
    if IS_ERR(file):
        ihold(inode)
        path_put(path)
        return file
    file_init_path(file, path, fops)
    return file


@dup(C)
def alloc_file_clone(base: File, flags: int, fops: Any) -> Any:
    """``struct file *alloc_file_clone(struct file *base, int flags, const struct file_operations *fops)``"""
    f = alloc_file(base.f_path, flags, fops)
    if not IS_ERR(f):
        path_get(f.f_path)
        f.f_mapping = base.f_mapping
    return f


def file_free(f: File) -> None:
    if not f.f_mode & FMODE_NOACCOUNT:
        g.nr_files -= 1
    put_cred(f.f_cred)
    if f.f_mode & FMODE_BACKING and f.user_path is not None and f.user_path.dentry is not None:
        path_put(f.user_path)
    kmem_cache_free(g.filp_cache, f)


def put_file_access(file: File) -> None:
    if file.f_mode & (FMODE_READ | FMODE_WRITE) == FMODE_READ:
        file.f_inode.i_readcount -= 1
    elif file.f_mode & FMODE_WRITER:
        put_write_access(file.f_inode)
        mnt_put_write_access(file.f_path.mnt)
        if file.f_mode & FMODE_BACKING and file.user_path is not None:
            mnt_put_write_access(file.user_path.mnt)


def __fput(file: File) -> None:
    path = file.f_path
    mode = file.f_mode
    if mode & FMODE_OPENED:
        if file.f_op.release is not None:
            file.f_op.release(file.f_inode, file)
        put_file_access(file)
        dput(path.dentry)
        mntput(path.mnt)
    file_free(file)


def _put(file: File) -> bool:
    """Drop a reference; True if it was the last."""
    file.f_ref -= 1
    if this.watch is not None:
        this.watch.ref("file", file, -1)
    if file.f_ref < 0:
        func = caller_function()[0]
        raise KernelBug(f"VFS: BUG: fput() of a file without references in {func}", [repr(file)], function=func)
    return not file.f_ref


def delayed_fput() -> None:
    """The work of delayed_fput_work."""
    lst, g.delayed_fput_list = g.delayed_fput_list, []
    for f in reversed(lst):
        __fput(f)


@dup(C)
def flush_delayed_fput() -> None:
    """``void flush_delayed_fput(void)``: the files that kernel threads have put last. Context: may sleep."""
    delayed_fput()
    flush_delayed("delayed_fput")


@dup(C)
def fput(file: File) -> None:
    """``void fput(struct file *file)``: drop a reference.

    The last one releases the file when the task returns to user space; for a kernel thread a delayed work does it.
    """
    if not _put(file):
        return
    if not file.f_mode & (FMODE_BACKING | FMODE_OPENED):
        file_free(file)
        return
    task = this.task
    if not task.flags & PF_KTHREAD and not task_work_add(task, __fput, file):
        return
    g.delayed_fput_list.append(file)
    if len(g.delayed_fput_list) == 1:
        schedule_delayed("delayed_fput", delayed_fput)


fput_close = fput


@dup(C)
def __fput_sync(file: File) -> None:
    """``void __fput_sync(struct file *file)``: the last reference releases the file now. Context: may sleep."""
    if _put(file):
        __fput(file)


fput_close_sync = __fput_sync


@custom(C, "get_nr_files", "exact")
def get_nr_files() -> int:
    """``long get_nr_files(void)``: files that count as open."""
    return int(g.nr_files)
