# SPDX-License-Identifier: GPL-2.0-only
"""The tree of mounts: mounting on mounts, flags, remounting, busy and lazy unmounts, bind, move, pivot."""
from __future__ import annotations

import pytest

from kemu.linux.cred import Cred
from kemu.linux.err import IS_ERR
from kemu.linux.errno import EIO
from kemu.linux.fcntl import O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY
from kemu.linux.fs import MNT_DETACH, MNT_EXPIRE, MNT_FORCE, SB_RDONLY, UMOUNT_NOFOLLOW, register_filesystem
from kemu.linux.fs_struct import current_fs
from kemu.linux.mount import (
    MNT_NODEV,
    MNT_NOEXEC,
    MNT_NOSUID,
    MNT_READONLY,
    clone_private_mount,
    kern_mount,
    kern_unmount,
    mnt_drop_write,
    mnt_want_write,
    mntput,
    path_pivot_root,
)
from kemu.linux.namei import kern_path
from kemu.linux.path import Path, path_put
from kemu.linux.port import user as sys
from kemu.linux.port.user import exit_to_user_mode
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.task_work import task_work_run
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.machine.sched import PF_KTHREAD
from tests.conftest import raises_splat
from tests.unit.linux.vfs_files import Link, TreeFs, balanced, mount, name_of, ok

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC = 1, 2, 4, 8, 32, 4096, 8192, 16384
MS_SHARED, MS_PRIVATE, MS_MGC = 1 << 20, 1 << 18, 0xC0ED0000


@pytest.fixture
def ram(machine):
    register_filesystem(ramfs_fs_type)
    for d in ("/mnt", "/b", "/file"):
        sys.sys_mkdir(d) if d != "/file" else sys.sys_close(ok(sys.sys_open(d, O_CREAT | O_WRONLY, 0o644)))
    return machine


def ramfs(where, flags=0, data=None):
    return name_of(sys.sys_mount("none", where, "ramfs", flags, data))


def names(path):
    f = ok(sys.sys_open(path, O_DIRECTORY))
    _, entries = sys.sys_getdents64(f)
    sys.sys_close(f)
    return sorted(e[0].decode() for e in entries if e[0] not in (b".", b".."))


def touch(path):
    sys.sys_close(ok(sys.sys_open(path, O_CREAT | O_WRONLY, 0o644)))


def path_of(name):
    p = Path()
    ok(kern_path(name, 1, p))
    return p


def mnt_of(name):
    p = path_of(name)
    path_put(p)
    return p.mnt


# ------------------------------------------------------------------------- mounting

@pytest.mark.parametrize("dev,where,type,flags,error", [
    ("none", "/none", "ramfs", 0, "ENOENT"), ("none", "/mnt", "nofs", 0, "ENODEV"), ("none", "/mnt", None, 0, "EINVAL"),
    ("none", "/file", "ramfs", 0, "ENOTDIR"), ("none", "/mnt", "", 0, "ENODEV"), ("none", "/mnt", "ramfs.sub", 0, "ENODEV"),
])
def test_mounts_that_are_refused(ram, dev, where, type, flags, error):
    assert name_of(sys.sys_mount(dev, where, type, flags)) == error
    assert names("/mnt") == []


def test_only_the_administrator_mounts(ram):
    this.task.cred = Cred(1000, 1000, caps=0)
    assert ramfs("/mnt") == "EPERM" and name_of(sys.sys_umount("/mnt")) == "EPERM"
    this.task.cred = None


def test_what_is_below_is_hidden_and_comes_back(ram):
    touch("/mnt/below")
    assert ramfs("/mnt") == 0
    touch("/mnt/above")
    assert names("/mnt") == ["above"]
    assert name_of(sys.sys_rmdir("/mnt")) == "EBUSY"
    ok(sys.sys_umount("/mnt"))
    assert names("/mnt") == ["below"]
    assert name_of(sys.sys_umount("/mnt")) == "EINVAL"


def test_flags_of_a_mount(ram):
    assert ramfs("/mnt", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_MGC) == 0
    flags = mnt_of("/mnt").mnt_flags
    assert flags & (MNT_NOSUID | MNT_NODEV | MNT_NOEXEC | MNT_READONLY) == MNT_NOSUID | MNT_NODEV | MNT_NOEXEC


def test_a_read_only_mount(ram):
    assert ramfs("/mnt", MS_RDONLY) == 0
    assert name_of(sys.sys_open("/mnt/x", O_CREAT | O_WRONLY, 0o644)) == "EROFS" and name_of(sys.sys_mkdir("/mnt/d")) == "EROFS"
    ok(sys.sys_mount(None, "/mnt", None, MS_REMOUNT))
    touch("/mnt/x")
    ok(sys.sys_mount(None, "/mnt", None, MS_REMOUNT | MS_RDONLY))
    assert name_of(sys.sys_unlink("/mnt/x")) == "EROFS"


def test_remounting_read_only_while_someone_writes(ram):
    assert ramfs("/mnt") == 0
    f = ok(sys.sys_open("/mnt/x", O_CREAT | O_RDWR, 0o644))
    assert name_of(sys.sys_mount(None, "/mnt", None, MS_REMOUNT | MS_RDONLY)) == "EBUSY"
    assert name_of(sys.sys_mount(None, "/mnt", None, MS_REMOUNT | MS_BIND | MS_RDONLY)) == "EBUSY"
    sys.sys_close(f)
    ok(sys.sys_mount(None, "/mnt", None, MS_REMOUNT | MS_BIND | MS_RDONLY))
    assert mnt_of("/mnt").mnt_flags & MNT_READONLY and not mnt_of("/mnt").mnt_sb.s_flags & SB_RDONLY
    assert name_of(sys.sys_open("/mnt/x", O_WRONLY)) == "EROFS"


def test_write_access_is_counted(ram):
    assert ramfs("/mnt", MS_RDONLY) == 0
    mnt = mnt_of("/mnt")
    assert name_of(mnt_want_write(mnt)) == "EROFS"
    ok(sys.sys_mount(None, "/mnt", None, MS_REMOUNT))
    assert mnt_want_write(mnt) == 0
    assert name_of(sys.sys_mount(None, "/mnt", None, MS_REMOUNT | MS_RDONLY)) == "EBUSY"
    mnt_drop_write(mnt)
    ok(sys.sys_mount(None, "/mnt", None, MS_REMOUNT | MS_RDONLY))


def test_remounting_what_is_not_a_mount(ram):
    assert name_of(sys.sys_mount(None, "/mnt", None, MS_REMOUNT)) == "EINVAL"


def test_a_file_system_that_cannot_be_reconfigured_keeps_its_state(machine):
    fs = TreeFs({})
    ok(mount(fs))
    fs.context_ops.reconfigure = lambda fc: -EIO
    assert name_of(sys.sys_mount(None, "/mnt", None, MS_REMOUNT | MS_NOEXEC)) == "EIO"
    assert not mnt_of("/mnt").mnt_flags & MNT_NOEXEC


def test_a_mount_on_a_file(ram):
    fs = TreeFs({b"f": b"inside"})
    ok(mount(fs, "/b"))
    ok(sys.sys_mount("/b/f", "/file", None, MS_BIND))
    f = ok(sys.sys_open("/file", O_RDONLY))
    buf = bytearray(10)
    assert sys.sys_read(f, buf, 10) == 6 and buf[:6] == b"inside"
    sys.sys_close(f)
    assert name_of(sys.sys_unlink("/file")) in ("EBUSY", "EROFS")
    ok(sys.sys_umount("/file"))
    ok(sys.sys_umount("/b"))


# ------------------------------------------------------------------------- unmounting

def test_a_mount_with_a_mount_on_it_is_busy(ram):
    assert ramfs("/mnt") == 0
    ok(sys.sys_mkdir("/mnt/d"))
    assert ramfs("/mnt/d") == 0
    assert name_of(sys.sys_umount("/mnt")) == "EBUSY"
    ok(sys.sys_umount("/mnt/d"))
    ok(sys.sys_umount("/mnt"))


def test_flags_that_umount_does_not_know(ram):
    assert ramfs("/mnt") == 0
    assert name_of(sys.sys_umount("/mnt", 0x100)) == "EINVAL"
    assert name_of(sys.sys_umount("/mnt", MNT_EXPIRE | MNT_FORCE)) == "EINVAL"
    assert name_of(sys.sys_umount("/mnt", MNT_EXPIRE)) == "EAGAIN"
    ok(sys.sys_umount("/mnt", MNT_EXPIRE))


def test_umount_of_a_link(ram):
    assert ramfs("/mnt") == 0
    ok(sys.sys_symlink("mnt", "/l"))
    assert name_of(sys.sys_umount("/l", UMOUNT_NOFOLLOW)) == "EINVAL"
    ok(sys.sys_umount("/l"))
    assert mnt_of("/mnt") is mnt_of("/")


def test_a_lazy_umount_lives_as_long_as_it_is_used(machine):
    fs = TreeFs({b"f": b"data", b"d": {}})
    ok(mount(fs))
    inner = TreeFs({b"g": b""}, name="inner")
    ok(mount(inner, "/mnt/d"))
    f = ok(sys.sys_open("/mnt/f", O_RDONLY))
    ok(sys.sys_umount("/mnt", MNT_DETACH))
    assert names("/mnt") == [] and fs.put_supers == 0 and inner.put_supers == 1
    buf = bytearray(4)
    assert sys.sys_read(f, buf, 4) == 4 and buf == b"data"
    sys.sys_close(f)
    machine.idle()
    assert fs.put_supers == 1


def test_the_file_system_is_gone_when_umount_returns(machine):
    fs = TreeFs({})
    ok(mount(fs))
    ok(sys.sys_umount("/mnt"))
    assert fs.put_supers == 1


def test_a_kernel_threads_last_mntput_is_a_work(machine):
    fs = TreeFs({})
    ok(register_filesystem(fs.type))

    def thread():
        from kemu.linux.mount import vfs_kern_mount

        mntput(vfs_kern_mount(fs.type, 0, "none", None))
        assert fs.put_supers == 0

    machine.sched.spawn("kthread", thread, PF_KTHREAD)
    machine.sched.run_others()
    machine.idle()
    assert fs.put_supers == 1


def test_one_mntput_too_many(machine):
    fs = TreeFs({})
    mnt = kern_mount(fs.type)
    kern_unmount(mnt)
    with raises_splat("without references"):
        mntput(mnt)


# ------------------------------------------------------------------------- bind and move

def test_a_bind_shows_the_same_tree(ram):
    assert ramfs("/mnt") == 0
    ok(sys.sys_mkdir("/mnt/d"))
    touch("/mnt/d/f")
    ok(sys.sys_mount("/mnt/d", "/b", None, MS_BIND))
    assert names("/b") == ["f"] and mnt_of("/b").mnt_sb is mnt_of("/mnt").mnt_sb and mnt_of("/b") is not mnt_of("/mnt")
    touch("/b/g")
    assert names("/mnt/d") == ["f", "g"]
    ok(sys.sys_umount("/mnt"))
    assert names("/b") == ["f", "g"]                        # the file system lives on
    ok(sys.sys_umount("/b"))


@pytest.mark.parametrize("recurse", [False, True])
def test_a_bind_takes_mounts_below_only_when_asked(ram, recurse):
    assert ramfs("/mnt") == 0
    ok(sys.sys_mkdir("/mnt/d"))
    assert ramfs("/mnt/d") == 0
    touch("/mnt/d/inner")
    ok(sys.sys_mount("/mnt", "/b", None, MS_BIND | (MS_REC if recurse else 0)))
    assert names("/b/d") == (["inner"] if recurse else [])
    ok(sys.sys_umount("/b", MNT_DETACH))
    ok(sys.sys_umount("/mnt/d"))
    ok(sys.sys_umount("/mnt"))


def test_binds_that_are_refused(ram):
    assert name_of(sys.sys_mount("/none", "/b", None, MS_BIND)) == "ENOENT"
    assert name_of(sys.sys_mount(None, "/b", None, MS_BIND)) == "EINVAL"
    assert name_of(sys.sys_mount("", "/b", None, MS_BIND)) == "EINVAL"
    assert name_of(sys.sys_mount("/file", "/b", None, MS_BIND)) == "ENOTDIR"


def test_moving(ram):
    assert ramfs("/mnt") == 0
    ok(sys.sys_mkdir("/mnt/d"))
    assert ramfs("/mnt/d") == 0
    touch("/mnt/d/deep")
    ok(sys.sys_mount("/mnt", "/b", None, MS_MOVE))
    assert names("/mnt") == [] and names("/b") == ["d"] and names("/b/d") == ["deep"]
    assert name_of(sys.sys_mount("/b", "/b/d", None, MS_MOVE)) == "ELOOP"
    assert name_of(sys.sys_mount("/mnt", "/b", None, MS_MOVE)) == "EINVAL"      # not the root of a mount
    assert name_of(sys.sys_mount("/b", "/file", None, MS_MOVE)) in ("EINVAL", "ENOTDIR")
    ok(sys.sys_umount("/b/d"))
    ok(sys.sys_umount("/b"))


def test_the_root_moves_on_top_of_itself(ram):
    """What prepare_namespace() does: mount the root file system, go there, move it to / and chroot."""
    fs = TreeFs({b"sbin": {b"init": b"x"}})
    ok(mount(fs, "/mnt"))
    p = path_of("/mnt")
    from kemu.linux.fs_struct import set_fs_pwd, set_fs_root

    set_fs_pwd(current_fs(), p)
    ok(sys.sys_mount(".", "/", None, MS_MOVE))
    dot = path_of(".")
    set_fs_root(current_fs(), dot)
    path_put(dot)
    path_put(p)
    assert names("/") == ["sbin"] and names("/..") == ["sbin"] and names("/sbin/../../..") == ["sbin"]


# ------------------------------------------------------------------------- pivot_root

def pivot(new, old):
    a, b = path_of(new), path_of(old)
    ret = path_pivot_root(a, b)
    path_put(a)
    path_put(b)
    return name_of(ret)


def test_pivoting(ram):
    assert ramfs("/mnt") == 0
    for d in ("/mnt/old", "/mnt/bin"):
        ok(sys.sys_mkdir(d))
    touch("/here")
    ok(sys.sys_mkdir("/mnt/new"))
    assert pivot("/mnt", "/mnt/old") == 0
    exit_to_user_mode()
    assert names("/") == ["bin", "new", "old"] and "here" in names("/old")
    ok(sys.sys_umount("/old", MNT_DETACH))
    assert names("/old") == []


def test_pivots_that_are_refused(ram):
    assert ramfs("/mnt") == 0
    ok(sys.sys_mkdir("/mnt/old"))
    ok(sys.sys_mkdir("/elsewhere"))
    ok(sys.sys_mkdir("/mnt/d"))
    assert pivot("/elsewhere", "/elsewhere") == "EBUSY"     # on the root's own file system
    assert pivot("/mnt/d", "/mnt/old") == "EINVAL"          # no mount
    assert ramfs("/b") == 0
    assert pivot("/mnt", "/b") == "EINVAL"                  # the old root would be outside
    assert pivot("/mnt", "/elsewhere") == "EBUSY" and pivot("/", "/mnt/old") == "EBUSY"
    assert names("/mnt") == ["d", "old"]


def test_a_root_that_is_no_mountpoint_cannot_be_exchanged(ram):
    from kemu.linux.fs_struct import set_fs_root

    ok(sys.sys_mkdir("/jail"))
    for d in ("/jail/new", "/jail/b"):
        ok(sys.sys_mkdir(d))
    assert ramfs("/jail/new") == 0
    ok(sys.sys_mkdir("/jail/new/old"))
    old_root, jail = path_of("/"), path_of("/jail")
    set_fs_root(current_fs(), jail)
    assert pivot("/new", "/new/old") == "EINVAL"
    set_fs_root(current_fs(), old_root)
    path_put(jail)
    path_put(old_root)
    assert names("/jail/new") == ["old"]


# ------------------------------------------------------------------------- private mounts, propagation, locks

def test_a_private_clone(ram):
    assert ramfs("/mnt") == 0
    touch("/mnt/f")
    p = path_of("/mnt")
    clone = clone_private_mount(p)
    assert not IS_ERR(clone) and clone.mnt_sb is p.mnt.mnt_sb and clone.mnt_root is p.dentry and clone is not p.mnt
    path_put(p)
    ok(sys.sys_umount("/mnt"))
    assert clone.mnt_sb.s_active == 1
    kern_unmount(clone)


def test_propagation_types_are_taken(ram):
    assert ramfs("/mnt") == 0
    ok(sys.sys_mount(None, "/mnt", None, MS_PRIVATE | MS_REC))
    assert name_of(sys.sys_mount(None, "/mnt", None, MS_PRIVATE | MS_SHARED)) == "EINVAL"
    assert name_of(sys.sys_mount(None, "/b", None, MS_PRIVATE)) == "EINVAL"


def test_two_mounts_at_once_stack(machine):
    a, b = TreeFs({b"a": b""}, name="a"), TreeFs({b"b": b""}, name="b")
    got = []
    for fs in (a, b):
        register_filesystem(fs.type)
        fs.hooks["fill_super"] = lambda sb, fc: this.sched.run_others()
    sys.sys_mkdir("/mnt")
    for fs in (a, b):
        machine.sched.spawn(fs.type.name, lambda fs=fs: got.append(sys.sys_mount("none", "/mnt", fs.type.name)))
    machine.sched.run_others()
    assert got == [0, 0]
    ok(sys.sys_umount("/mnt"))
    ok(sys.sys_umount("/mnt"))
    assert a.put_supers == b.put_supers == 1


def test_a_mountpoint_that_is_removed_while_mounting(machine):
    fs = TreeFs({})
    register_filesystem(fs.type)
    sys.sys_mkdir("/gone")
    fs.hooks["fill_super"] = lambda sb, fc: ok(sys.sys_rmdir("/gone"))
    assert name_of(sys.sys_mount("none", "/gone", fs.type.name)) == "ENOENT"
    exit_to_user_mode()
    machine.idle()
    assert fs.put_supers == 1


# ------------------------------------------------------------------------- balance

def test_all_of_it_gives_back_what_it_took():
    with balanced() as m:
        register_filesystem(ramfs_fs_type)
        fs = TreeFs({b"d": {b"e": {}}, b"l": Link(b"d")})
        ok(mount(fs))
        assert ramfs("/mnt2") == 0
        ok(sys.sys_mkdir("/mnt2/x"))
        ok(sys.sys_mount("/mnt/l", "/mnt2/x", None, MS_BIND))
        assert ramfs("/mnt2/x/e") == 0
        assert name_of(sys.sys_umount("/mnt2")) == "EBUSY"
        ok(sys.sys_mount("/mnt2", "/mnt/d", None, MS_MOVE))
        assert names("/mnt/d/x") == ["e"]
        ok(sys.sys_umount("/mnt/d", MNT_DETACH))
        assert name_of(sys.sys_mount("none", "/mnt", "nofs")) == "ENODEV"
        ok(sys.sys_umount("/mnt"))
        from kemu.linux.fs import unregister_filesystem

        m.idle()
        ok(unregister_filesystem(fs.type))
        ok(unregister_filesystem(ramfs_fs_type))
        task_work_run()


def test_every_allocation_may_fail():
    from tests.unit.linux.block_files import Planned

    at = 1
    while True:
        with Machine() as m:
            register_filesystem(ramfs_fs_type)
            for d in ("/mnt", "/b"):
                sys.sys_mkdir(d)
            assert ramfs("/mnt") == 0
            ok(sys.sys_mkdir("/mnt/d"))
            assert ramfs("/mnt/d") == 0
            before = mnt_of("/mnt").mnt_sb.s_active
            m.chooser = this.chooser = chooser = Planned("failslab", at)
            got = name_of(sys.sys_mount("/mnt", "/b", None, MS_BIND | MS_REC))
            m.chooser = this.chooser = None
            exit_to_user_mode()
            m.idle()
            if chooser.seen < at:
                assert got == 0
                break
            assert got == "ENOMEM" and names("/b") == [] and mnt_of("/mnt").mnt_sb.s_active == before
            ok(sys.sys_umount("/mnt/d"))
            ok(sys.sys_umount("/mnt"))
        at += 1
    assert at > 3
