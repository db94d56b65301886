# SPDX-License-Identifier: GPL-2.0-only
"""prepare_namespace(): a root file system instead of an init in the initramfs; and the mount calls of fs/init.c."""
from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest

from kemu.linux.errno import EBUSY, EEXIST, EINVAL, ENODEV, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY, EROFS
from kemu.machine.initcalls import Initcalls
from kemu.machine.machine import Machine
from tests.conftest import DATA

from initramfs.harness import boot_views as views
from initramfs.harness.boots import boot_initrd


def table(r: Any) -> list[dict[str, Any]]:
    return views.mounts()


def test_a_tmpfs_as_root_is_pivoted_into() -> None:
    seen: list[Any] = []
    r = boot_initrd(b"", cmdline="root=x rootfstype=tmpfs rw", after=lambda r: seen.extend(views.mounts()))
    assert "VFS: Pivoted into new rootfs" in r.log
    assert any(x.startswith("VFS: Mounted root (tmpfs filesystem) on device 0:") for x in r.log)
    assert [(m["mountpoint"], m["type"]) for m in seen] == [("/", "nullfs"), ("/", "tmpfs")]
    assert r.error is not None and "No working init found." in r.error.title


def test_an_erofs_disk_as_root() -> None:
    seen: list[Any] = []

    def prepare(m: Machine) -> None:
        from kemu.linux.init import initcalls as ported
        from kemu.machine import initcalls

        levels = {k: list(v) for k, v in initcalls.functions(m, ported).items()}

        def probe() -> int:
            from kemu.linux.port.ramdisk import ramdisk

            ramdisk(m.place((DATA / "small.erofs").read_bytes(), name="disk"), name="vda", pad=4096)
            return 0

        levels["late"].append(probe)
        m.part(Initcalls).levels = levels

    r = boot_initrd(b"", cmdline="root=/dev/vda rootwait", prepare=prepare, config={"CONFIG_DEVTMPFS_MOUNT": True},
                    after=lambda r: seen.extend(views.mounts()))
    assert "VFS: Mounted root (erofs filesystem) readonly on device 1:0." in r.log
    assert ("/", "erofs") in [(m["mountpoint"], m["type"]) for m in seen]
    assert r.error is not None and "No working init found." in r.error.title


def test_no_directory_to_mount_on() -> None:
    r = boot_initrd(b"", cmdline="root=x rootfstype=tmpfs", builtin="none")
    assert r.log[-1] == "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"


# ------------------------------------------------------------------------- the calls themselves

@pytest.fixture
def root() -> Iterator[Machine]:
    from kemu.linux.fs.ramfs.inode import init_ramfs_fs
    from kemu.linux.mm.shmem import shmem_init
    from kemu.linux.mount import mnt_init

    with Machine() as m:
        mnt_init()
        shmem_init()
        init_ramfs_fs()
        yield m


def mountpoints() -> list[str]:
    return [f"{m['mountpoint']} {m['type']} {','.join(o for o in m['options'] if o != 'relatime')}" for m in views.mounts()][2:]


def test_names_and_errors(root: Machine) -> None:
    from kemu.linux.fs import Kstat
    from kemu.linux.init_syscalls import (
        init_chdir,
        init_chmod,
        init_chown,
        init_eaccess,
        init_link,
        init_mkdir,
        init_mknod,
        init_rmdir,
        init_stat,
        init_symlink,
        init_unlink,
    )

    st = Kstat()
    assert init_mkdir("/a", 0o777) == 0 and init_mkdir("/a", 0o777) == -EEXIST
    assert init_stat("/a", st, 0) == 0 and st.mode == 0o040755          # umask 022
    assert init_mknod("/a/f", 0o100666, 0) == 0 and init_link("/a/f", "/a/g") == 0
    assert init_stat("/a/g", st, 0) == 0 and st.nlink == 2 and st.mode == 0o100644
    assert init_symlink("f", "/a/l") == 0 and init_stat("/a/l", st, 0x100) == 0 and st.mode == 0o120777
    assert init_rmdir("/a") == -ENOTEMPTY and init_rmdir("/a/f") == -ENOTDIR and init_unlink("/nope") == -ENOENT
    assert init_chown("/a/l", 5, 6, 0) == 0 and init_stat("/a/f", st, 0) == 0 and (st.uid, st.gid) == (5, 6)
    assert init_chmod("/a/f", 0o4711) == 0 and init_stat("/a/f", st, 0) == 0 and st.mode == 0o104711
    assert init_chdir("/a") == 0 and init_eaccess("l") == 0 and init_eaccess("../a/nope") == -ENOENT
    assert init_unlink("f") == 0 and init_eaccess("l") == -ENOENT       # the link dangles now


def test_bind_move_remount_umount(root: Machine) -> None:
    from kemu.linux.init_syscalls import init_mkdir, init_mknod, init_mount, init_umount
    from kemu.linux.mount import MS_BIND, MS_MOVE, MS_RDONLY, MS_REMOUNT

    for d in ("/t", "/b", "/m"):
        assert init_mkdir(d, 0o755) == 0
    assert init_mount("tmp", "/t", "nosuchfs", 0, None) == -ENODEV
    assert init_mount("tmp", "/nope", "tmpfs", 0, None) == -ENOENT
    assert init_mount("tmp", "/t", "tmpfs", 0, None) == 0
    assert init_mkdir("/t/sub", 0o755) == 0
    assert init_mount("/t/sub", "/b", None, MS_BIND, None) == 0
    assert init_mknod("/b/x", 0o100600, 0) == 0
    assert mountpoints() == ["/t tmpfs rw", "/b tmpfs rw"]
    assert init_mount("/t", "/m", None, MS_MOVE, None) == 0
    assert mountpoints() == ["/m tmpfs rw", "/b tmpfs rw"]
    assert init_mount(None, "/m", None, MS_REMOUNT | MS_RDONLY, None) == 0
    assert init_mkdir("/b/y", 0o755) == -EROFS
    assert init_umount("/t", 0) == -EINVAL              # nothing is mounted there any more
    assert init_umount("/b", 0) == 0 and init_umount("/m", 0) == 0
    assert mountpoints() == []


def test_a_tmpfs_has_limits(root: Machine) -> None:
    from kemu.linux.err import IS_ERR
    from kemu.linux.fcntl import O_CREAT, O_LARGEFILE, O_WRONLY
    from kemu.linux.file import fput
    from kemu.linux.fs import filp_open, kernel_write
    from kemu.linux.init_syscalls import init_mkdir, init_mknod, init_mount, init_unlink
    from kemu.linux.slab import kzalloc
    from kemu.linux.string import put_string
    from kemu.linux.task_work import task_work_run
    from kemu.linux.types import Ref

    page = kzalloc(4096)
    put_string(page, "size=8k,nr_inodes=3,mode=0700", 4096)
    assert init_mkdir("/t", 0o755) == 0 and init_mount("t", "/t", "tmpfs", 0, page) == 0
    put_string(page, "size=nonsense", 4096)
    assert init_mount("t", "/t", "tmpfs", 0, page) == -EINVAL
    f = filp_open("/t/f", O_CREAT | O_WRONLY | O_LARGEFILE, 0o600)
    assert not IS_ERR(f)
    buf, pos = kzalloc(16384), Ref(0)
    assert kernel_write(f, buf, 16384, pos) == 8192     # a short write first
    assert kernel_write(f, buf, 1, pos) == -ENOSPC
    assert init_mknod("/t/g", 0o100600, 0) == 0 and init_mknod("/t/h", 0o100600, 0) == -ENOSPC
    fput(f)
    task_work_run()
    assert init_unlink("/t/f") == 0
    f = filp_open("/t/g", O_WRONLY | O_LARGEFILE, 0)
    pos.v = 0
    assert kernel_write(f, buf, 8192, pos) == 8192      # the room is there again
    fput(f)


def test_pivot_root_and_detach(root: Machine) -> None:
    from kemu.linux.fs_struct import current_fs
    from kemu.linux.init_syscalls import init_chdir, init_mkdir, init_mount, init_pivot_root, init_umount
    from kemu.linux.mount import MNT_DETACH

    assert init_mkdir("/new", 0o755) == 0 and init_mount("n", "/new", "tmpfs", 0, None) == 0
    assert init_pivot_root("/new/none", "/new") == -ENOENT
    assert init_pivot_root("/", "/") == -EBUSY
    assert init_chdir("/new") == 0 and init_pivot_root(".", ".") == 0
    assert current_fs().root.mnt.mnt_devname == "n"
    assert init_umount(".", MNT_DETACH) == 0
    assert [m["source"] for m in views.mounts()] == ["nullfs", "n"]


# ------------------------------------------------------------------------- an initrd that is the image of a RAM disk

def boot_ram(data: bytes, cmdline: str = "root=/dev/ram0", **config: Any) -> list[str]:
    return boot_initrd(data, cmdline=cmdline, tree=False, config={"CONFIG_BLK_DEV_RAM": True, **config}).log


def test_a_ram_disk_as_root() -> None:
    image = gzip.compress((DATA / "small.erofs").read_bytes())
    log = boot_ram(image)
    assert "RAMDISK: gzip image found at block 0" in log and "VFS: Mounted root (erofs filesystem) readonly on device 1:0." in log
    assert log[-1].startswith("Kernel panic - not syncing: No working init found.")
    # the file that has filled the disk is put by PID 1, which runs its task work later: it is still open for writing
    log = boot_ram(image, CONFIG_BLK_DEV_WRITE_MOUNTED=False)
    assert 'VFS: Cannot open root device "/dev/ram0" or unknown-block(1,0): error -16' in log
    log = boot_ram(image, "root=/dev/ram0 ramdisk_size=4")
    assert any("incomplete write" in line for line in log)
    log = boot_ram(b"-rom1fs-" + (40 << 10).to_bytes(4, "big") + bytes(40 << 10), "root=/dev/ram1")
    assert "RAMDISK: Loading 40KiB [1 disk] into ram disk... |\b/\b-\bdone." in log
    log = boot_ram(image, CONFIG_BLK_DEV_RAM_COUNT=0)
    assert "/dev/root: Can't open blockdev" in log


def test_a_device_that_never_comes() -> None:
    """rootwait without a time: Linux waits for ever; here it is said that nothing will change. With a time both give up."""
    r = boot_initrd(b"", cmdline="root=/dev/x rootwait", tree=False)
    assert (r.ended == "splat" and "sleeps and looks again for ever" in r.error.title
            and "Waiting for root device /dev/x..." in r.log)
    r = boot_initrd(b"", cmdline="root=/dev/x rootwait=3", tree=False)
    assert r.ended == "panic" and 'VFS: Cannot open root device "/dev/x" or unknown-block(0,0): error -6' in r.log
