# SPDX-License-Identifier: GPL-2.0-only
"""System calls on the mount tree and on a task's root and working directory: not for ports (see user.py)."""
from __future__ import annotations

from kemu.linux.errno import EPERM
from kemu.linux.fcntl import AT_FDCWD
from kemu.linux.fs.fs_struct import set_fs_pwd, set_fs_root
from kemu.linux.fs.namei import filename_lookup, getname, path_put
from kemu.linux.fs.namespace import g as namespace_g
from kemu.linux.fs.namespace import path_pivot_root
from kemu.linux.fs.proc_namespace import show_mountinfo
from kemu.linux.include.cred import CAP_SYS_CHROOT, capable
from kemu.linux.include.fs.constants import MAY_CHDIR, MAY_EXEC
from kemu.linux.include.init_syscalls import path_permission
from kemu.linux.include.namei import LOOKUP_DIRECTORY, LOOKUP_FOLLOW
from kemu.linux.include.path import Path
from kemu.linux.include.sched import current_fs
from kemu.linux.include.seq_file import SeqFile
from kemu.linux.port.honesty import custom
from kemu.linux.port.user import Name, syscall
from kemu.linux.security.security import security_path_chroot


def _directory(name: Name, path: Path) -> int:
    err = filename_lookup(AT_FDCWD, getname(name, 0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, path)
    return err


@syscall
def sys_pivot_root(new_root: Name, put_old: Name) -> int:
    """``pivot_root(new_root, put_old)``"""
    new, old = Path(), Path()
    err = _directory(new_root, new)
    if err:
        return err
    err = _directory(put_old, old)
    if not err:
        err = path_pivot_root(new, old)
        path_put(old)
    path_put(new)
    return err


@syscall
def sys_chdir(filename: Name) -> int:
    """``chdir(filename)``"""
    path = Path()
    err = _directory(filename, path)
    if err:
        return err
    err = path_permission(path, MAY_EXEC | MAY_CHDIR)
    if not err:
        set_fs_pwd(current_fs(), path)
    path_put(path)
    return err


@syscall
def sys_chroot(filename: Name) -> int:
    """``chroot(filename)``: the working directory stays where it is."""
    path = Path()
    err = _directory(filename, path)
    if err:
        return err
    err = path_permission(path, MAY_EXEC | MAY_CHDIR)
    if not err and not capable(CAP_SYS_CHROOT):
        err = -EPERM
    if not err:
        err = security_path_chroot(path)
    if not err:
        set_fs_root(current_fs(), path)
    path_put(path)
    return err


@custom("fs/proc_namespace.c", "mountinfo_open", "the whole text at once, of the one namespace there is")
def mountinfo(root: Path) -> str:
    """What a task with that root reads from /proc/self/mountinfo: the mounts it can see, in the order they were made."""
    ns = namespace_g.init_mnt_ns
    out = []
    for mnt in sorted(ns.mounts, key=lambda p: p.mnt_id_unique) if ns is not None else ():
        m = SeqFile()
        if not show_mountinfo(m, mnt, root):
            out.append(m.text)
    return "".join(out)
