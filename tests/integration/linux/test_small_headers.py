# SPDX-License-Identifier: GPL-2.0-only
"""Small headers of the VFS: device numbers, times, UUIDs, numbers in text, types of entries, text for /proc, pseudo file systems.
"""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.linux.cred import (
    CAP_MKNOD,
    CAP_SYS_ADMIN,
    Cred,
    capable,
    current_cred,
    get_cred,
    in_group_p,
    override_creds,
    put_cred,
    revert_creds,
)
from kemu.linux.err import IS_ERR
from kemu.linux.fs import FS_USERNS_MOUNT, FileSystemType, alloc_anon_inode, iput, kill_anon_super, simple_statfs
from kemu.linux.fs_dirent import fs_ftype_to_dtype, fs_umode_to_dtype, fs_umode_to_ftype
from kemu.linux.kdev_t import (
    MAJOR,
    MINOR,
    MKDEV,
    huge_decode_dev,
    huge_encode_dev,
    new_decode_dev,
    new_encode_dev,
    old_decode_dev,
    old_encode_dev,
)
from kemu.linux.kstrtox import kstrtobool, kstrtoint, kstrtoll, kstrtouint, kstrtoull
from kemu.linux.mount import kern_mount, kern_unmount
from kemu.linux.pseudo_fs import init_pseudo
from kemu.linux.seq_file import SeqFile, seq_escape, seq_printf, seq_puts, seq_show_option
from kemu.linux.statfs import kstatfs, u64_to_fsid, uuid_to_fsid
from kemu.linux.task_work import task_work_add, task_work_run
from kemu.linux.time64 import timespec64, timespec64_compare, timespec64_equal
from kemu.linux.types import Ref
from kemu.linux.uuid import uuid_equal, uuid_is_null, uuid_t
from kemu.machine.current import this
from tests.unit.linux.vfs_files import name_of


@given(st.integers(0, 0xFFF), st.integers(0, 0xFFFFF))
def test_device_numbers(major, minor):
    dev = MKDEV(major, minor)
    assert (MAJOR(dev), MINOR(dev)) == (major, minor)
    assert new_encode_dev(dev) == (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12
    assert new_decode_dev(new_encode_dev(dev)) == dev and huge_decode_dev(huge_encode_dev(dev)) == dev
    if major < 256 and minor < 256:
        assert old_encode_dev(dev) == major << 8 | minor and old_decode_dev(old_encode_dev(dev)) == dev


@given(st.integers(-2**40, 2**40), st.integers(0, 999_999_999), st.integers(-2**40, 2**40), st.integers(0, 999_999_999))
def test_times(a, b, c, d):
    x, y = timespec64(a, b), timespec64(c, d)
    want = (x.tv_sec * 10**9 + x.tv_nsec) - (y.tv_sec * 10**9 + y.tv_nsec)
    got = timespec64_compare(x, y)
    assert (got > 0) - (got < 0) == (want > 0) - (want < 0) and timespec64_equal(x, y) == (want == 0)


def test_uuids():
    u = uuid_t(bytes(range(16)))
    assert str(u) == "00010203-0405-0607-0809-0a0b0c0d0e0f" and not uuid_is_null(u) and uuid_is_null(uuid_t())
    assert uuid_equal(u, uuid_t(bytes(range(16)))) and not uuid_equal(u, uuid_t())
    assert u64_to_fsid(0x1_0000_0002) == (2, 1)
    assert uuid_to_fsid(bytes(range(16))) == (0x0B0A0908 ^ 0x03020100, 0x0F0E0D0C ^ 0x07060504)


@pytest.mark.parametrize("text,base,value", [("0", 0, 0), ("10", 0, 10), ("0x1F", 0, 31), ("017", 0, 15), ("ff", 16, 255),
                                             ("0xff", 16, 255), ("+5", 0, 5),
                                             ("12\n", 0, 12), ("18446744073709551615", 10, 2**64 - 1)])
def test_numbers_in_text(text, base, value):
    out = Ref(None)
    assert kstrtoull(text, base, out) == 0 and out.v == value


@pytest.mark.parametrize("text,base,error", [("", 0, "EINVAL"), ("x", 0, "EINVAL"), ("-1", 0, "EINVAL"), ("1 ", 0, "EINVAL"),
                                             ("1\n\n", 0, "EINVAL"),
                                             ("0x", 0, "EINVAL"), ("08", 0, "EINVAL"), ("18446744073709551616", 0, "ERANGE"),
                                             ("+-1", 0, "EINVAL")])
def test_text_that_is_no_number(text, base, error):
    out = Ref("untouched")
    assert name_of(kstrtoull(text, base, out)) == error and out.v == "untouched"


@pytest.mark.parametrize("convert,low,high", [(kstrtoint, -2**31, 2**31 - 1), (kstrtoll, -2**63, 2**63 - 1),
                                              (kstrtouint, 0, 2**32 - 1)])
def test_ranges(convert, low, high):
    for n in (low, high, 0):
        out = Ref(None)
        assert convert(str(n), 10, out) == 0 and out.v == n
    assert name_of(convert(str(high + 1), 10, Ref(None))) == "ERANGE"
    assert name_of(convert(str(low - 1), 10, Ref(None))) == ("ERANGE" if low else "EINVAL")


@pytest.mark.parametrize("text,value", [("y", True), ("Yes", True), ("1", True), ("on", True), ("ON", True), ("n", False),
                                        ("0", False), ("off", False),
                                        ("t", True), ("false", False), ("o", None), ("", None), ("x", None), (None, None)])
def test_booleans(text, value):
    out = Ref(None)
    assert name_of(kstrtobool(text, out)) == (0 if value is not None else "EINVAL") and out.v == value


def test_types_of_entries():
    assert [fs_ftype_to_dtype(i) for i in range(10)] == [0, 8, 4, 2, 6, 1, 12, 10, 0, 0]
    for mode, dtype, ftype in ((0o100644, 8, 1), (0o040755, 4, 2), (0o020600, 2, 3), (0o060600, 6, 4), (0o010600, 1, 5),
                               (0o140600, 12, 6),
                               (0o120777, 10, 7), (0, 0, 0), (0o170000, 0, 0)):
        assert (fs_umode_to_dtype(mode), fs_umode_to_ftype(mode), fs_ftype_to_dtype(ftype)) == (dtype, ftype, dtype)
    assert fs_ftype_to_dtype(8) == 0 and fs_ftype_to_dtype(255) == 0


def test_text_for_proc(machine):
    m = SeqFile()
    seq_puts(m, "a")
    seq_printf(m, ",%s=%u", "b", 5)
    seq_show_option(m, "c", None)
    seq_show_option(m, "d,", "e f\\")
    seq_show_option(m, "g", "")
    assert m.text == "a,b=5,c,d\\054=e\\040f\\134,g="
    m = SeqFile()
    seq_escape(m, "x\ty", "\t")
    assert m.text == "x\\011y"


def test_credentials(machine):
    root = current_cred()
    assert capable(CAP_SYS_ADMIN) and not in_group_p(5)
    user = Cred(1000, 100, caps=1 << CAP_MKNOD, groups=(5,))
    get_cred(user)
    old = override_creds(user)
    assert old is root and current_cred() is user and capable(CAP_MKNOD) and not capable(CAP_SYS_ADMIN)
    assert in_group_p(5) and in_group_p(100) and not in_group_p(6)
    revert_creds(old)
    assert current_cred() is root and user.usage == 2
    put_cred(user)


def test_task_work_runs_the_newest_first_and_then_what_it_adds(machine):
    """task_work_add() pushes, task_work_run() takes the whole list from its head."""
    done = []

    def first(x):
        done.append(x)
        task_work_add(this.task, done.append, "later")

    task_work_add(this.task, first, 1)
    task_work_add(this.task, done.append, 2)
    task_work_run()
    assert done == [2, 1, "later"] and not this.task.task_works
    t = machine.sched.spawn("t", lambda: None)
    machine.sched.run_others()
    assert name_of(task_work_add(t, done.append, 3)) == "ESRCH"


def test_a_pseudo_file_system(machine):
    def init(fc):
        return 0 if init_pseudo(fc, 0x50530D) is not None else -12

    fs = FileSystemType(name="pseudo", init_fs_context=init, kill_sb=kill_anon_super, fs_flags=FS_USERNS_MOUNT)
    mnt = kern_mount(fs)
    assert not IS_ERR(mnt) and mnt.mnt_sb.s_magic == 0x50530D and mnt.mnt_root.d_inode.i_ino == 1
    inode = alloc_anon_inode(mnt.mnt_sb)
    assert inode.i_mode & 0o7777 == 0o600 and inode.i_ino
    iput(inode)
    buf = kstatfs()
    assert simple_statfs(mnt.mnt_root, buf) == 0 and (buf.f_type, buf.f_namelen, buf.f_bsize) == (0x50530D, 255, 4096)
    kern_unmount(mnt)
    machine.idle()
