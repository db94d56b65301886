# SPDX-License-Identifier: GPL-2.0-only
"""Who shares the fs_struct, who runs task work, whose fput and mntput wait, and until when; asynchronous calls and usermode
helpers.

The rules are those of fs/file_table.c (__fput_deferred, delayed_fput), fs/namespace.c (mntput_no_expire_slowpath),
kernel/task_work.c, kernel/fork.c (CLONE_FS), kernel/umh.c and kernel/async.c.
"""
from __future__ import annotations

from typing import Any

import pytest

from kemu.linux import async_, umh
from kemu.linux.binfmts import Programs
from kemu.linux.errno import EBUSY, EINVAL, ENOENT, ENOMEM
from kemu.linux.fcntl import O_CREAT, O_RDWR
from kemu.linux.file import flush_delayed_fput, fput
from kemu.linux.fs import file_table, filp_open, kernel_write
from kemu.linux.fs.namespace import g as mounts
from kemu.linux.fs.namespace import mnt_init
from kemu.linux.fs.ramfs.inode import init_ramfs_fs
from kemu.linux.include.fs.constants import MNT_DETACH
from kemu.linux.include.mount import MS_MOVE
from kemu.linux.include.sched import current_fs
from kemu.linux.init_syscalls import init_chdir, init_mkdir, init_mount, init_pivot_root, init_umount
from kemu.linux.kernel import async_ as kernel_async
from kemu.linux.kthread import kthread_run
from kemu.linux.mount import kern_mount, kern_unmount
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.sched import msleep
from kemu.linux.slab import kmalloc
from kemu.linux.string import mem_write
from kemu.linux.task_work import task_work_add, task_work_run
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.machine.machine import Machine
from tests.unit.initramfs.archive import ELF

from initramfs.do_mounts_h import init_flush_fput

JIFFY = 10


@pytest.fixture(autouse=True)
def tree(machine: Machine) -> None:
    """A user task (as PID 1 is one) in a mount tree."""
    init_ramfs_fs()
    mnt_init()
    init_mkdir("/m", 0o755)


def in_kthread(machine: Machine, fn: Any) -> None:
    """Run fn in a kernel thread, to its end."""
    done: list[int] = []

    def body(_: Any) -> int:
        fn()
        done.append(1)
        return 0
    kthread_run(body, None, "a kthread")
    machine.sched.run_others()
    assert done


def opened(name: str = "/f") -> Any:
    return filp_open(name, O_CREAT | O_RDWR, 0o644)


# ------------------------------------------------------------------------- files

def test_a_users_last_fput_waits_for_its_task_work(machine: Machine) -> None:
    before = file_table.g.nr_files
    fput(opened())
    assert file_table.g.nr_files == before + 1 and len(this.task.task_works) == 1 and not file_table.g.delayed_fput_list
    msleep(5 * JIFFY)
    assert file_table.g.nr_files == before + 1          # no time runs it, only the way to user space
    flush_delayed_fput()
    assert file_table.g.nr_files == before + 1          # nor does the delayed list know of it
    task_work_run()
    assert file_table.g.nr_files == before


def test_a_kernel_threads_last_fput_waits_a_jiffy(machine: Machine) -> None:
    before = file_table.g.nr_files
    f = opened()
    in_kthread(machine, lambda: fput(f))
    assert file_table.g.nr_files == before + 1 and file_table.g.delayed_fput_list == [f] and not this.task.task_works
    task_work_run()
    assert file_table.g.nr_files == before + 1
    msleep(2 * JIFFY)
    assert file_table.g.nr_files == before and not file_table.g.delayed_fput_list


def test_init_flush_fput_is_both_of_the_task_that_calls_it(machine: Machine) -> None:
    before = file_table.g.nr_files
    mine, theirs = opened("/a"), opened("/b")
    in_kthread(machine, lambda: fput(theirs))
    fput(mine)
    in_kthread(machine, init_flush_fput)                # a worker's: the delayed list, and the task work of the worker alone
    assert file_table.g.nr_files == before + 1 and len(this.task.task_works) == 1
    init_flush_fput()
    assert file_table.g.nr_files == before


def test_a_dead_tasks_fput_goes_to_the_delayed_list(machine: Machine) -> None:
    t = kthread_run(lambda _: 0, None, "gone")
    machine.sched.run_others()
    assert t.state == "dead" and task_work_add(t, print, None) == -3


# ------------------------------------------------------------------------- mounts

def mounted() -> Any:
    assert init_mount("x", "/m", "ramfs", 0, None) == 0
    return next(m for m in mounts.init_mnt_ns.mounts if m.mnt_devname == "x")


@pytest.mark.parametrize("flags", [0, MNT_DETACH])
def test_a_users_umount_is_over_after_its_task_work(machine: Machine, flags: int) -> None:
    sb = mounted().mnt_sb
    assert init_umount("/m", flags) == 0
    assert sb.s_active == 1 and sb.s_root is not None
    flush_delayed_fput()                                # knows nothing of mounts
    assert sb.s_root is not None
    task_work_run()
    assert sb.s_active == 0 and sb.s_root is None


def test_a_kernel_threads_umount_is_over_a_jiffy_later(machine: Machine) -> None:
    sb = mounted().mnt_sb
    in_kthread(machine, lambda: init_umount("/m", 0))
    assert sb.s_root is not None and len(mounts.delayed_mntput_list) == 1
    init_flush_fput()                                   # the files and the own task work: the delayed mounts stay
    assert sb.s_root is not None and len(mounts.delayed_mntput_list) == 1
    msleep(2 * JIFFY)
    assert sb.s_root is None and not mounts.delayed_mntput_list


def test_an_internal_mount_is_gone_at_once(machine: Machine) -> None:
    mnt = kern_mount(ramfs_fs_type)
    sb = mnt.mnt_sb
    in_kthread(machine, lambda: kern_unmount(mnt))
    assert sb.s_root is None and not mounts.delayed_mntput_list


def test_a_file_that_is_put_late_keeps_its_mount_busy(machine: Machine) -> None:
    """What init_flush_fput() is for: the file is closed, and the mount cannot go all the same."""
    mounted()
    fput(opened("/m/f"))
    assert init_umount("/m", 0) == -EBUSY
    init_flush_fput()
    assert init_umount("/m", 0) == 0


# ------------------------------------------------------------------------- fs_struct

def test_kernel_threads_share_it_and_helpers_copy_it(machine: Machine) -> None:
    seen: dict[str, Any] = {}
    init_mkdir("/d", 0o755)

    def helper(_: Any) -> int:
        seen["helper"] = current_fs()
        init_chdir("/m")                                # its own: nobody else sees it
        return 0

    in_kthread(machine, lambda: seen.setdefault("kthread", current_fs()))
    assert seen["kthread"] is current_fs()
    in_kthread(machine, lambda: init_chdir("/d"))       # everybody's
    assert current_fs().pwd.dentry.d_name.name == b"d"
    umh.user_mode_thread(helper, None)
    machine.sched.run_others()
    assert seen["helper"] is not current_fs() and current_fs().pwd.dentry.d_name.name == b"d"


def test_pivot_root_moves_every_task_that_is_at_the_old_root(machine: Machine) -> None:
    """chroot_fs_refs(): a helper that sleeps has the new root when it goes on; one that has moved away stays where it is."""
    seen: list[bytes] = []
    roots: list[Any] = []

    def helper(_: Any) -> int:
        msleep(JIFFY)
        seen.append(b"" if current_fs().pwd.dentry is current_fs().pwd.mnt.mnt_root else current_fs().pwd.dentry.d_name.name)
        roots.append(current_fs().root.mnt)
        return 0

    def elsewhere(_: Any) -> int:
        init_chdir("/d")
        return helper(None)

    init_mkdir("/d", 0o755)
    new = mounted()
    for fn in (helper, elsewhere):
        umh.user_mode_thread(fn, None)
    machine.sched.run_others()
    init_chdir("/m")
    assert init_pivot_root(".", ".") == 0 and init_umount(".", MNT_DETACH) == 0
    msleep(3 * JIFFY)
    assert current_fs().root.mnt is new and roots == [new, new] and seen == [b"", b"d"]


def test_move_takes_the_tree_along(machine: Machine) -> None:
    mounted()
    init_mkdir("/to", 0o755)
    fput(opened("/m/f"))
    task_work_run()
    assert init_mount("/m", "/to", None, MS_MOVE, None) == 0
    assert init_umount("/m", 0) == -EINVAL and init_mkdir("/to/f", 0o755) == -17


# ------------------------------------------------------------------------- helpers

def test_helpers_before_and_after_they_are_allowed(machine: Machine) -> None:
    assert umh.call_usermodehelper("/bin/x", ["/bin/x"], [], umh.UMH_WAIT_EXEC) == -EBUSY
    umh.usermodehelper_enable()
    assert umh.call_usermodehelper("", [""], [], umh.UMH_WAIT_EXEC) == 0            # nothing to run
    assert umh.call_usermodehelper("/bin/x", ["/bin/x"], [], umh.UMH_WAIT_EXEC) == -ENOENT
    assert umh.call_usermodehelper("/bin/x", ["/bin/x"], [], umh.UMH_NO_WAIT) == 0  # nobody is told


def test_who_waits_for_a_helper_gets_its_exit_status(machine: Machine) -> None:
    """kernel_wait() puts a status that is not 0 over what execve() said; who waits for execve() alone never sees it."""
    machine.part(Programs).at = {"/bin/three": lambda argv, envp: 3, "/bin/fine": lambda argv, envp: 0}
    umh.usermodehelper_enable()
    init_mkdir("/bin", 0o755)
    image = kmalloc(len(ELF))
    mem_write(image, ELF)
    for name in ("/bin/three", "/bin/fine"):
        f = filp_open(name, O_CREAT | O_RDWR, 0o755)
        kernel_write(f, image, len(ELF), Ref(0))
        fput(f)
    task_work_run()
    assert umh.call_usermodehelper("/bin/three", ["/bin/three"], [], umh.UMH_WAIT_PROC) == 3 << 8
    assert umh.call_usermodehelper("/bin/three", ["/bin/three"], [], umh.UMH_WAIT_EXEC) == 0
    assert umh.call_usermodehelper("/bin/fine", ["/bin/fine"], [], umh.UMH_WAIT_PROC) == 0
    assert umh.call_usermodehelper("/bin/none", ["/bin/none"], [], umh.UMH_WAIT_PROC) == -ENOENT


def test_a_helpers_umask_is_the_default(machine: Machine) -> None:
    seen: list[int] = []
    umh.usermodehelper_enable()
    current_fs().umask = 0
    info = umh.call_usermodehelper_setup("/bin/x", ["/bin/x"], [], 0,
                                         lambda info, new: seen.append(current_fs().umask) or -ENOMEM, None, None)
    assert umh.call_usermodehelper_exec(info, umh.UMH_WAIT_EXEC) == -ENOMEM         # what init says
    assert seen == [0o022] and current_fs().umask == 0


# ------------------------------------------------------------------------- asynchronous calls

def test_cookies_rise_over_all_domains_and_a_domain_waits_for_its_own(machine: Machine) -> None:
    async_.async_init()
    first, second = async_.async_domain("first"), async_.async_domain("second", False)
    ran: list[str] = []

    def slow(name: Any, cookie: int) -> None:
        msleep(JIFFY)
        ran.append(name)

    a = async_.async_schedule_domain(slow, "a", first)
    b = async_.async_schedule_domain(slow, "b", second)
    c = async_.async_schedule_domain(slow, "c", first)
    assert a < b < c
    async_.async_synchronize_cookie_domain(c, first)        # those before c
    assert "a" in ran
    async_.async_synchronize_full()                         # second is exclusive: not waited for
    assert set(ran) >= {"a", "c"}
    async_.async_synchronize_full_domain(second)
    assert sorted(ran) == ["a", "b", "c"]


def test_too_much_pending_runs_in_the_caller(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_async, "MAX_WORK", 2)
    async_.async_init()
    ran: list[tuple[int, bool]] = []

    def fn(data: Any, cookie: int) -> None:
        ran.append((data, async_.current_is_async()))

    cookies = [async_.async_schedule(fn, i) for i in range(4)]
    assert ran == [(3, False)]                              # more than MAX_WORK were pending: the fourth has run already
    assert cookies == sorted(cookies) and len(set(cookies)) == 4
    async_.async_synchronize_full()
    assert sorted(ran) == [(0, True), (1, True), (2, True), (3, False)]
    assert async_.async_schedule_dev_nocall(fn, 9)
    async_.async_synchronize_full()
    assert ran[-1] == (9, True)


def test_nocall_gives_up_where_the_others_run_in_the_caller(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_async, "MAX_WORK", 0)
    async_.async_init()
    ran: list[int] = []
    async_.async_schedule(lambda data, cookie: ran.append(data), 1)
    assert not async_.async_schedule_dev_nocall(lambda data, cookie: ran.append(data), 2)
    async_.async_synchronize_full()
    assert ran == [1]
