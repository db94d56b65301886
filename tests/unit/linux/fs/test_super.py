# SPDX-License-Identifier: GPL-2.0-only
"""Superblocks: made, shared, refused, taken down; on a device and without one."""
from __future__ import annotations

import pytest

from kemu.linux.blkdev import BLK_OPEN_READ, bdev_file_open_by_path, bdev_fput, file_bdev
from kemu.linux.dcache import dget
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EIO
from kemu.linux.fs import (
    SB_ACTIVE,
    SB_BORN,
    SB_DEAD,
    SB_DYING,
    SB_RDONLY,
    deactivate_super,
    free_anon_bdev,
    generic_shutdown_super,
    get_anon_bdev,
    get_tree_keyed,
    get_tree_single,
    ihold,
    iterate_supers,
    iterate_supers_type,
    list_bdev_fs_names,
    module_refcount,
    register_filesystem,
    sget_fc,
    unregister_filesystem,
)
from kemu.linux.fs_context import (
    GET_TREE_BDEV_QUIET_LOOKUP,
    fs_context_for_mount,
    get_tree_bdev_flags,
    put_fs_context,
    vfs_parse_fs_string,
)
from kemu.linux.fs_parser import fsparam_flag
from kemu.linux.kdev_t import MAJOR
from kemu.linux.mount import fc_mount, kern_mount, kern_unmount, mntput, vfs_kern_mount
from kemu.linux.namei import kern_path
from kemu.linux.path import Path, path_put
from kemu.linux.port import user as sys
from kemu.linux.port.ramdisk import ramdisk, ramdisk_remove
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.rwsem import up_write
from kemu.linux.task_work import task_work_run
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.machine.machine import Machine
from tests.unit.linux.block_files import Planned
from tests.unit.linux.vfs_files import TreeFs, balanced, disk, mount, name_of, ok, unregister

TREE = {b"d": {b"f": b"data"}, b"g": b""}


def supers(fs):
    found = []
    iterate_supers_type(fs.type, lambda sb, arg: found.append(sb), None)
    return found


def kmount(fs, source="none", flags=0, data=None):
    """A mount that nobody sees, or the errno's name."""
    m = vfs_kern_mount(fs.type, flags, source, data)
    return name_of(PTR_ERR(m)) if IS_ERR(m) else m


def drop(machine, mnt):
    mntput(mnt)
    task_work_run()
    machine.idle()


# ------------------------------------------------------------------------- without a device

def test_a_superblock_from_birth_to_death(machine):
    fs = TreeFs(TREE)
    states = []
    fs.hooks["fill_super"] = lambda sb, fc: states.append(sb.s_flags & (SB_ACTIVE | SB_BORN))
    fs.hooks["put_super"] = lambda sb: states.append(sb.s_flags & (SB_ACTIVE | SB_BORN | SB_DYING))
    mnt = kmount(fs)
    sb = mnt.mnt_sb
    assert sb.s_flags & (SB_ACTIVE | SB_BORN) == SB_ACTIVE | SB_BORN and (sb.s_active, sb.s_passive) == (1, 1)
    assert sb.s_id == "treefs" and MAJOR(sb.s_dev) == 0 and sb.s_dev and supers(fs) == [sb]
    assert module_refcount(fs.type) == 1
    drop(machine, mnt)
    assert states == [0, SB_BORN] and sb.s_flags & SB_DEAD and fs.put_supers == 1
    assert not supers(fs) and module_refcount(fs.type) == 0 and not sb.s_inodes
    assert fs.freed == [1]


def test_every_mount_without_a_device_is_a_file_system_of_its_own(machine):
    fs = TreeFs(TREE)
    a, b = kmount(fs), kmount(fs)
    assert a.mnt_sb is not b.mnt_sb and a.mnt_sb.s_dev != b.mnt_sb.s_dev and supers(fs) == [b.mnt_sb, a.mnt_sb]
    drop(machine, a)
    assert supers(fs) == [b.mnt_sb]
    drop(machine, b)


def test_anonymous_device_numbers_are_reused(machine):
    a, b = Ref(0), Ref(0)
    assert (get_anon_bdev(a), get_anon_bdev(b)) == (0, 0) and b.v == a.v + 1
    free_anon_bdev(a.v)
    c = Ref(0)
    get_anon_bdev(c)
    assert c.v == a.v


@pytest.mark.parametrize("hook", ["fill_super", "fill_super_late", "init_fs_context"])
def test_a_failed_mount_leaves_nothing(hook):
    with balanced():
        fs = TreeFs(TREE)
        fs.hooks[hook] = lambda *args: -EIO
        assert kmount(fs) == "EIO"
        assert not supers(fs) and module_refcount(fs.type) == 0
        assert fs.put_supers == (hook == "fill_super_late")      # only what has a root is shut down by the file system


def test_sharing_by_key(machine):
    fs = TreeFs(TREE)
    key = object()
    fs.get_tree = lambda fc: get_tree_keyed(fc, fs.fill_super, key if fc.source == "shared" else object())
    fs.context_ops.get_tree = fs.get_tree
    a, b, c = kmount(fs, "shared"), kmount(fs, "shared"), kmount(fs, "other")
    assert a.mnt_sb is b.mnt_sb and a.mnt_sb is not c.mnt_sb and a.mnt_sb.s_active == 2
    drop(machine, a)
    assert b.mnt_sb.s_active == 1 and fs.put_supers == 0
    drop(machine, b)
    drop(machine, c)
    assert fs.put_supers == 2


def test_one_superblock_for_all(machine):
    fs = TreeFs(TREE)
    fills = []
    fs.hooks["fill_super"] = lambda sb, fc: fills.append(sb)
    fs.context_ops.get_tree = lambda fc: get_tree_single(fc, fs.fill_super)
    a, b = kmount(fs), kmount(fs)
    assert a.mnt_sb is b.mnt_sb and fills == [a.mnt_sb]
    drop(machine, a)
    drop(machine, b)


def test_exclusive_wants_no_sharing(machine):
    fs = TreeFs(TREE)
    fs.context_ops.get_tree = lambda fc: get_tree_single(fc, fs.fill_super)
    mnt = kmount(fs)
    fc = fs_context_for_mount(fs.type, 0)
    fc.exclusive = True
    assert name_of(PTR_ERR(fc_mount(fc))) == "EBUSY"
    assert machine.log.entries[-1][2] == "treefs: reusing existing filesystem not allowed"
    put_fs_context(fc)
    drop(machine, mnt)


def test_a_second_mount_waits_for_the_first_to_be_filled(machine):
    fs = TreeFs(TREE)
    fs.context_ops.get_tree = lambda fc: get_tree_single(fc, fs.fill_super)
    order, got = [], []

    def fill(sb, fc):
        order.append("filling")
        this.sched.run_others()
        order.append("filled")

    fs.hooks["fill_super"] = fill
    for i in range(3):
        machine.sched.spawn(f"mount{i}", lambda: got.append(kmount(fs)) or order.append("mounted"))
    machine.sched.run_others()
    assert (order == ["filling", "filled"] + ["mounted"] * 3 and len({id(m.mnt_sb) for m in got}) == 1
            and got[0].mnt_sb.s_active == 3)
    for m in got:
        drop(machine, m)
    assert fs.put_supers == 1


def test_a_second_mount_tries_itself_when_the_first_fails(machine):
    fs = TreeFs(TREE)
    fs.context_ops.get_tree = lambda fc: get_tree_single(fc, fs.fill_super)
    got, fills = [], []

    def fill(sb, fc):
        fills.append(sb)
        this.sched.run_others()
        return -EIO if len(fills) == 1 else 0

    fs.hooks["fill_super"] = fill
    for i in range(2):
        machine.sched.spawn(f"mount{i}", lambda: got.append(kmount(fs)))
    machine.sched.run_others()
    assert got[0] == "EIO" and got[1].mnt_sb is fills[1] and len(fills) == 2
    drop(machine, got[1])


def test_a_mount_waits_for_one_that_is_going(machine):
    fs = TreeFs(TREE)
    fs.context_ops.get_tree = lambda fc: get_tree_single(fc, fs.fill_super)
    old = kmount(fs)
    got = []
    fs.hooks["put_super"] = lambda sb: this.sched.run_others()          # the second mount begins in the middle of this
    machine.sched.spawn("umount", lambda: drop(machine, old))
    machine.sched.spawn("mount", lambda: got.append(kmount(fs)))
    machine.sched.run_others()
    machine.idle()
    assert got and got[0].mnt_sb is not old.mnt_sb and supers(fs) == [got[0].mnt_sb] and fs.put_supers == 1
    drop(machine, got[0])


def test_a_mount_waits_until_the_old_one_is_quite_dead(machine):
    """kill_sb has more to do when the superblock is shut down: its device, for instance."""
    fs = TreeFs(TREE)
    fs.context_ops.get_tree = lambda fc: get_tree_single(fc, fs.fill_super)
    order, got = [], []

    def kill(sb):
        dev = sb.s_dev
        generic_shutdown_super(sb)
        this.sched.run_others()
        order.append("killed")
        free_anon_bdev(dev)

    fs.type.kill_sb = kill
    fs.hooks["fill_super"] = lambda sb, fc: order.append("fill")
    old = kmount(fs)
    machine.sched.spawn("umount", lambda: drop(machine, old))
    machine.sched.spawn("mount", lambda: got.append(kmount(fs)))
    machine.sched.run_others()
    machine.idle()
    assert order == ["fill", "killed", "fill"]
    drop(machine, got[0])


def test_iterating_passes_over_what_is_dying(machine):
    fs = TreeFs(TREE)
    mnt = kmount(fs)
    found = []
    fs.hooks["put_super"] = lambda sb: this.sched.run_others()
    machine.sched.spawn("umount", lambda: drop(machine, mnt))
    machine.sched.spawn("iterate", lambda: found.append(supers(fs)))
    machine.sched.run_others()
    assert found == [[]] and fs.put_supers == 1


def test_a_superblock_that_set_refuses():
    with balanced() as m:
        fs = TreeFs(TREE)
        fc = fs_context_for_mount(fs.type, 0)
        fc.s_fs_info = info = object()
        assert name_of(PTR_ERR(sget_fc(fc, None, lambda s, fc: -EIO))) == "EIO"
        assert fc.s_fs_info is info and not supers(fs)
        put_fs_context(fc)
        m.idle()


def test_a_busy_inode_is_reported(machine):
    fs = TreeFs(TREE)
    mnt = kmount(fs)
    sb = mnt.mnt_sb
    inode = sb.s_root.d_inode
    ihold(inode)
    drop(machine, mnt)
    assert "VFS: Busy inodes after unmount of treefs (treefs)" in [text for _, _, text in machine.log.entries]
    assert list(sb.s_inodes) == [inode]


def test_a_busy_dentry_is_reported(machine):
    fs = TreeFs(TREE)
    ok(mount(fs))
    p = Path()
    ok(kern_path("/mnt/d/f", 1, p))
    leaked = dget(p.dentry)
    path_put(p)
    ok(sys.sys_umount("/mnt"))
    machine.idle()
    texts = [t for _, _, t in machine.log.entries]
    assert any("BUG: Dentry" in t and "{i=3,n=f}  still in use (1) [unmount of treefs treefs]" in t for t in texts)
    assert leaked.d_lockref == 1


def test_references_keep_a_superblock_that_is_not_mounted(machine):
    fs = TreeFs(TREE)
    mnt = kmount(fs)
    sb = mnt.mnt_sb
    sb.s_active += 1
    drop(machine, mnt)
    assert fs.put_supers == 0 and sb.s_flags & SB_ACTIVE
    deactivate_super(sb)
    assert fs.put_supers == 1 and not supers(fs)


def test_get_tree_must_set_a_root(machine):
    fs = TreeFs(TREE)
    fs.context_ops.get_tree = lambda fc: 0
    with pytest.raises(Exception, match="BUG"):
        kmount(fs)
    assert machine.log.entries[-1][2].startswith("Filesystem treefs get_tree() didn't set fc->root, returned 0")


def test_iterating_over_all(machine):
    fs = TreeFs(TREE)
    a, b = kmount(fs), kmount(fs)
    found = []
    iterate_supers(lambda sb, arg: found.append(sb), None)
    assert [s for s in found if s.s_type is fs.type] == [a.mnt_sb, b.mnt_sb]
    drop(machine, a)
    drop(machine, b)


def test_a_mount_of_the_kernels_own(machine):
    fs = TreeFs(TREE)
    mnt = kern_mount(fs.type)
    assert mnt.mnt_sb.s_flags & (1 << 22)                   # SB_KERNMOUNT
    kern_unmount(mnt)
    machine.idle()
    assert not supers(fs) and fs.put_supers == 1


# ------------------------------------------------------------------------- types

def test_registering_types(machine):
    fs, other = TreeFs(TREE), TreeFs(TREE)
    assert register_filesystem(fs.type) == 0
    assert name_of(register_filesystem(fs.type)) == "EBUSY" and name_of(register_filesystem(other.type)) == "EBUSY"
    assert unregister_filesystem(fs.type) == 0 and name_of(unregister_filesystem(fs.type)) == "EINVAL"
    assert register_filesystem(other.type) == 0


def test_types_for_devices(machine):
    for name, bdev in (("one", True), ("two", False), ("three", True)):
        register_filesystem(TreeFs({}, name=name, bdev=bdev).type)
    names = [n for n in list_bdev_fs_names() if n in ("one", "two", "three")]
    assert names == ["one", "three"]


def test_types_are_the_machines_own():
    fs = TreeFs(TREE)
    with Machine():
        ok(register_filesystem(fs.type))
        with Machine():
            assert register_filesystem(fs.type) == 0
            assert unregister_filesystem(fs.type) == 0
        assert name_of(register_filesystem(fs.type)) == "EBUSY"


# ------------------------------------------------------------------------- on a device

@pytest.fixture
def bfs():
    return TreeFs(TREE, bdev=True)


def test_a_device_has_one_superblock(machine, bfs):
    path = disk(machine)
    a, b = kmount(bfs, path, SB_RDONLY), kmount(bfs, path, SB_RDONLY)
    sb = a.mnt_sb
    assert b.mnt_sb is sb and sb.s_active == 2 and sb.s_id == "disk" and sb.s_dev == sb.s_bdev.bd_dev
    assert sb.s_bdev.bd_holder is sb and sb.s_bdi is sb.s_bdev.bd_disk.bdi
    bdev = sb.s_bdev
    drop(machine, a)
    assert bdev.bd_holder is sb
    drop(machine, b)
    assert bdev.bd_holder is None and bfs.put_supers == 1


def test_a_device_has_one_read_only_state(machine, bfs):
    path = disk(machine)
    bfs.hooks["fill_super_late"] = lambda sb, fc: setattr(sb, "s_flags", sb.s_flags & ~SB_RDONLY | fc.sb_flags & SB_RDONLY)
    a = kmount(bfs, path, SB_RDONLY)
    assert kmount(bfs, path, 0) == "EBUSY"
    assert machine.log.entries[-1][2] == "disk: Can't mount, would change RO state"
    assert a.mnt_sb.s_active == 1
    drop(machine, a)


def test_a_device_that_another_holds(machine, bfs):
    path = disk(machine)
    other = TreeFs(TREE, name="other", bdev=True)
    a = kmount(bfs, path, SB_RDONLY)
    assert kmount(other, path, SB_RDONLY) == "EBUSY"
    assert machine.log.entries[-1][2] == f"{path}: Can't open blockdev"
    assert not supers(other)
    drop(machine, a)
    drop(machine, kmount(other, path, SB_RDONLY))


def test_a_read_only_device(machine, bfs):
    path = disk(machine)
    assert kmount(bfs, path, 0) == "EACCES" and not supers(bfs)
    drop(machine, kmount(bfs, path, SB_RDONLY))


@pytest.mark.parametrize("source,error,message", [
    (None, "EINVAL", "No source specified"),
    ("/dev/none", "ENOENT", "/dev/none: Can't lookup blockdev"),
    ("/file", "ENOTBLK", "/file: Can't lookup blockdev"),
    ("/dir", "ENOTBLK", "/dir: Can't lookup blockdev"),
    ("", "EINVAL", ": Can't lookup blockdev"),
])
def test_sources_that_are_no_devices(machine, bfs, source, error, message):
    sys.sys_mkdir("/dir")
    sys.sys_close(sys.sys_open("/file", 0o100, 0o644))
    assert kmount(bfs, source, SB_RDONLY) == error
    assert machine.log.entries[-1][2] == message
    assert not supers(bfs)


def test_a_lookup_that_is_quiet(machine, bfs):
    sys.sys_close(sys.sys_open("/file", 0o100, 0o644))
    bfs.context_ops.get_tree = lambda fc: get_tree_bdev_flags(fc, bfs.fill_super, GET_TREE_BDEV_QUIET_LOOKUP)
    before = len(machine.log.entries)
    assert kmount(bfs, "/file", SB_RDONLY) == "ENOTBLK" and len(machine.log.entries) == before


def test_a_node_on_a_mount_without_devices(machine, bfs):
    path = disk(machine)
    assert path == "/dev/disk"
    ok(register_filesystem(ramfs_fs_type))
    ok(sys.sys_mkdir("/nodev"))
    ok(sys.sys_mount("none", "/nodev", "ramfs", 4, None))           # MS_NODEV
    st = ok(sys.sys_stat(path))
    from kemu.linux.kdev_t import new_encode_dev

    ok(sys.sys_mknod("/nodev/disk2", 0o060600, new_encode_dev(st.rdev)))
    assert kmount(bfs, "/nodev/disk2", SB_RDONLY) == "EACCES"
    ok(sys.sys_umount("/nodev"))


def test_a_failed_mount_gives_the_device_back(machine, bfs):
    path = disk(machine)
    bfs.hooks["fill_super"] = lambda sb, fc: -EIO
    assert kmount(bfs, path, SB_RDONLY) == "EIO" and not supers(bfs)
    f = bdev_file_open_by_path(path, BLK_OPEN_READ, object(), None)
    assert not IS_ERR(f) and file_bdev(f).bd_holder is not None
    bdev_fput(f)


def test_a_device_that_is_taken_away_shuts_the_file_system_down(machine, bfs):
    from kemu.linux.port.ramdisk import ramdisk

    d = ramdisk(machine.place(bytes(8192), 0, "linear", "gone"), name="gone", completion="sync")
    told = []
    bfs.sops.shutdown = lambda sb: told.append(sb)
    mnt = kmount(bfs, sys.device_node("gone", d.part0.bd_dev), SB_RDONLY)
    sb = mnt.mnt_sb
    from kemu.linux.blkdev import bdev_mark_dead

    bdev_mark_dead(d.part0, True)
    assert told == [sb] and sb.s_passive == 1
    drop(machine, mnt)


def test_options_reach_the_file_system(machine):
    fs = TreeFs(TREE, parameters=[fsparam_flag("x", 1)])
    got = []
    fs.hooks["parse_param"] = lambda fc, p: got.append((p.key, p.string)) or (-519 if p.key == "source" else 0)
    mnt = kmount(fs, "src", 0, "x,y=1")
    assert got == [("source", "src"), ("x", None), ("y", "1")] and mnt.mnt_devname == "src"
    drop(machine, mnt)


# ------------------------------------------------------------------------- faults

@pytest.mark.parametrize("bdev", [False, True])
def test_every_allocation_of_a_mount_may_fail(bdev):
    at = 1
    while True:
        fs = TreeFs(TREE, bdev=bdev)
        with Machine() as m:
            path = disk(m) if bdev else "none"
            drop(m, kmount(fs, path, SB_RDONLY))               # caches are there from now on
            fs.freed.clear()
            m.chooser = this.chooser = chooser = Planned("failslab", at)
            got = kmount(fs, path, SB_RDONLY)
            m.chooser = this.chooser = None
            assert isinstance(got, str) == (chooser.seen >= at)
            if isinstance(got, str):
                assert got == "ENOMEM" and not supers(fs) and module_refcount(fs.type) == 0, (at, chooser.asked[-1])
                again = kmount(fs, path, SB_RDONLY)
                assert not isinstance(again, str)
                drop(m, again)
            else:
                drop(m, got)
                break
        at += 1
    assert at > 5


def test_what_a_mount_takes_it_gives_back():
    with balanced() as m:
        fs, bfs = TreeFs(TREE), TreeFs(TREE, name="b", bdev=True)
        img = ramdisk(m.place(bytes(8192), 0, "linear", "img"), name="img", completion="sync")
        ok(mount(fs))
        ok(mount(bfs, "/mnt2", "/dev/img", 1))
        for p in ("/mnt/d/f", "/mnt2/d/f", "/mnt2/g"):
            f = ok(sys.sys_open(p, 0))
            buf = bytearray(10)
            assert sys.sys_read(f, buf, 10) == (4 if p.endswith("/f") else 0)
            sys.sys_close(f)
        ok(sys.sys_umount("/mnt"))
        ok(sys.sys_umount("/mnt2"))
        ok(unregister(fs))
        ok(unregister(bfs))
        ramdisk_remove(img)


def test_a_locked_superblock_can_be_given_up(machine):
    """What a caller of get_tree does by hand."""
    fs = TreeFs(TREE)
    fc = fs_context_for_mount(fs.type, 0)
    ok(vfs_parse_fs_string(fc, "source", "s"))
    from kemu.linux.fs_context import vfs_get_tree

    ok(vfs_get_tree(fc))
    assert name_of(vfs_get_tree(fc)) == "EBUSY"
    sb = fc.root.d_sb
    up_write(sb.s_umount)
    put_fs_context(fc)
    machine.idle()
    assert fs.put_supers == 1 and not supers(fs)
