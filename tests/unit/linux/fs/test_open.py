# SPDX-License-Identifier: GPL-2.0-only
"""Open files: flags, access counts, reading, directories, stat and links, and when the last reference releases."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.linux.cred import Cred
from kemu.linux.errno import EIO
from kemu.linux.fcntl import (
    O_APPEND,
    O_CREAT,
    O_DIRECT,
    O_DIRECTORY,
    O_EXCL,
    O_NOATIME,
    O_PATH,
    O_RDONLY,
    O_RDWR,
    O_TRUNC,
    O_WRONLY,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
)
from kemu.linux.file import flush_delayed_fput, fput, get_file
from kemu.linux.fs import (
    DirContext,
    Kstat,
    allow_write_access,
    dentry_open,
    deny_write_access,
    dir_emit,
    filp_close,
    filp_open,
    get_nr_files,
    iterate_dir,
    kernel_read,
    kernel_write,
    vfs_getattr,
    vfs_iocb_iter_read,
)
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.port import user as sys
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK
from kemu.linux.string import mem_read
from kemu.linux.task_work import task_work_run
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.machine.machine import Machine
from kemu.machine.sched import PF_KTHREAD
from tests.conftest import raises_splat
from tests.unit.linux.vfs_files import Link, Node, TreeFs, balanced, mount, name_of, ok, unregister

DATA = bytes((i * 13 + (i >> 8)) & 0xFF for i in range(10_000))
TREE = {b"file": DATA, b"empty": b"", b"dir": {b"%03d" % i: b"" for i in range(200)}, b"link": Link(b"file"),
        b"paged": Link(b"dir/007", True),
        b"pipe": Node(S_IFIFO | 0o644), b"sock": Node(S_IFSOCK | 0o644), b"chr": Node(S_IFCHR | 0o644, 0x1234_5678 & 0xFFFFF),
        b"blk": Node(S_IFBLK | 0o644, 7 << 20 | 9)}


@pytest.fixture
def fs(machine):
    fs = TreeFs(TREE)
    ok(mount(fs))
    return fs


def opened(path, flags=O_RDONLY, mode=0):
    return name_of(sys.sys_open(path, flags, mode))


# ------------------------------------------------------------------------- opening

@pytest.mark.parametrize("path,flags,error", [
    ("/mnt/none", O_RDONLY, "ENOENT"), ("/mnt/file/x", O_RDONLY, "ENOTDIR"), ("/mnt/file", O_DIRECTORY, "ENOTDIR"),
    ("/mnt/dir", O_WRONLY, "EISDIR"), ("/mnt/dir", O_RDWR, "EISDIR"), ("/mnt/dir", O_CREAT, "EISDIR"),
    ("/mnt/dir/", O_CREAT, "EISDIR"),
    ("/mnt/file", O_WRONLY, "EROFS"), ("/mnt/file", O_RDWR, "EROFS"), ("/mnt/file", O_TRUNC, "EROFS"),
    ("/mnt/file", O_CREAT | O_EXCL, "EEXIST"), ("/mnt/new", O_CREAT | O_WRONLY, "EROFS"), ("/mnt/new", O_CREAT, "EROFS"),
    ("/mnt/file", O_DIRECT, "EINVAL"), ("/mnt/file", O_CREAT | O_DIRECTORY, "EINVAL"),
    ("/mnt/sock", O_RDONLY, "ENXIO"), ("/mnt/chr", O_RDONLY, "ENXIO"),
    ("/mnt/file/", O_RDONLY, "ENOTDIR"), ("/mnt/dir", O_RDONLY | O_APPEND | O_TRUNC, "EISDIR"),
])
def test_what_cannot_be_opened(fs, path, flags, error):
    before = get_nr_files()
    assert opened(path, flags, 0o644) == error
    assert get_nr_files() == before


def test_open_counts(fs):
    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    g = ok(sys.sys_open("/mnt/file", O_RDONLY))
    inode = f.f_inode
    assert inode.i_readcount == 2 and get_nr_files() == 2 and f.f_path.dentry.d_lockref == 2
    sys.sys_close(f)
    sys.sys_close(g)
    assert inode.i_readcount == 0 and get_nr_files() == 0


def test_permissions(fs):
    this.task.cred = Cred(1000, 1000, caps=0)
    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    assert opened("/mnt/file", O_RDONLY | O_NOATIME) == "EPERM"
    f.f_inode.i_mode = 0o100600
    assert opened("/mnt/file") == "EACCES"
    assert ok(sys.sys_open("/mnt/file", O_PATH)).f_mode
    sys.sys_close(f)
    this.task.cred = None
    sys.sys_close(ok(sys.sys_open("/mnt/file", O_RDONLY | O_NOATIME)))


def test_a_path_descriptor_does_nothing(fs):
    f = ok(sys.sys_open("/mnt/file", O_PATH))
    assert name_of(sys.sys_read(f, bytearray(1), 1)) == "EBADF"
    assert ok(sys.sys_fstat(f)).size == len(DATA) and f.f_inode.i_readcount == 0
    sys.sys_close(f)


def test_open_and_release_of_the_file_system(fs):
    calls = []
    fs.file_fops.open = lambda inode, file: calls.append(("open", inode.i_ino)) or 0
    fs.file_fops.release = lambda inode, file: calls.append(("release", inode.i_ino)) or 0
    fs.file_fops.flush = lambda file, id: calls.append(("flush", file.f_ref)) or 0
    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    get_file(f)
    assert calls == [("open", 2)]
    sys.sys_close(f)
    assert calls[1:] == [("flush", 2)]
    fput(f)
    assert calls[2:] == []
    task_work_run()
    assert calls[2:] == [("release", 2)]


def test_a_failing_open(fs):
    fs.file_fops.open = lambda inode, file: -EIO
    fs.file_fops.release = lambda inode, file: pytest.fail("not opened, so not released")
    assert opened("/mnt/file") == "EIO" and get_nr_files() == 0


def test_writing_and_executing_exclude_each_other(machine):
    f = ok(sys.sys_open("/exe", O_CREAT | O_RDWR, 0o755))
    assert name_of(deny_write_access(f)) == "ETXTBSY" and f.f_inode.i_writecount == 1
    sys.sys_close(f)
    f = ok(sys.sys_open("/exe", O_RDONLY))
    assert deny_write_access(f) == 0 and opened("/exe", O_WRONLY) == "ETXTBSY"
    allow_write_access(f)
    sys.sys_close(f)
    sys.sys_close(ok(sys.sys_open("/exe", O_WRONLY)))


# ------------------------------------------------------------------------- when a file is released

def test_fput_waits_for_the_return_to_user_space(fs):
    done = []
    fs.file_fops.release = lambda inode, file: done.append(inode.i_ino) or 0
    f = filp_open("/mnt/file", O_RDONLY, 0)
    filp_close(f, None)
    assert not done and get_nr_files() == 1
    sys.exit_to_user_mode()
    assert done == [2] and get_nr_files() == 0


def test_a_kernel_threads_fput_is_a_work(machine, fs):
    done = []
    fs.file_fops.release = lambda inode, file: done.append(this.task.comm) or 0

    def thread():
        fput(filp_open("/mnt/file", O_RDONLY, 0))
        assert not done

    machine.sched.spawn("kthread", thread, PF_KTHREAD)
    machine.sched.run_others()
    machine.idle()
    assert done and done[0].startswith("kworker")


def test_delayed_fputs_can_be_flushed(machine, fs):
    done = []
    fs.file_fops.release = lambda inode, file: done.append(1) or 0

    def thread():
        fput(filp_open("/mnt/file", O_RDONLY, 0))
        flush_delayed_fput()
        assert done == [1]

    machine.sched.spawn("kthread", thread, PF_KTHREAD)
    machine.sched.run_others()
    assert done == [1]


def test_one_fput_too_many(fs):
    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    sys.sys_close(f)
    with raises_splat("fput() of a file without references"):
        fput(f)


def test_an_open_file_keeps_the_mount(machine, fs):
    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    assert name_of(sys.sys_umount("/mnt")) == "EBUSY"
    sys.sys_close(f)
    ok(sys.sys_umount("/mnt"))
    machine.idle()
    assert fs.put_supers == 1


# ------------------------------------------------------------------------- reading

@given(st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 9_000)), min_size=1, max_size=6),
       st.lists(st.integers(1, 5000), max_size=5))
def test_reading_anywhere(places, sizes):
    with Machine():
        fs = TreeFs(TREE)
        ok(mount(fs))
        f = ok(sys.sys_open("/mnt/file", O_RDONLY))
        for pos, n in places:
            buf = bytearray(n)
            got = ok(sys.sys_pread64(f, buf, n, pos))
            assert bytes(buf[:got]) == DATA[pos:pos + n] and f.f_pos == 0
        at = 0
        for n in sizes:
            buf = bytearray(n)
            got = ok(sys.sys_read(f, buf, n))
            assert bytes(buf[:got]) == DATA[at:at + n]
            at += got
            assert f.f_pos == at
        sys.sys_close(f)


def test_reading_what_cannot_be_read(fs):
    f = ok(sys.sys_open("/mnt/dir", O_RDONLY))
    assert name_of(sys.sys_read(f, bytearray(1), 1)) == "EISDIR"
    sys.sys_close(f)
    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    assert name_of(sys.sys_pread64(f, bytearray(1), 1, -1)) == "EINVAL"
    assert name_of(sys.sys_write(f, b"x")) == "EBADF"
    sys.sys_close(f)


def test_a_bad_page(fs):
    fs.hooks["read_folio"] = lambda inode, folio: -EIO if folio.index == 1 else 0
    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    buf = bytearray(10_000)
    assert sys.sys_read(f, buf, 10_000) == 4096             # what came before it
    assert name_of(sys.sys_read(f, buf, 10_000)) == "EIO" and f.f_pos == 4096
    assert sys.sys_pread64(f, buf, 10_000, 8192) == 10_000 - 8192
    sys.sys_close(f)


@pytest.mark.parametrize("offset,whence,want", [
    (5, SEEK_SET, 5), (-1, SEEK_SET, "EINVAL"), (20_000, SEEK_SET, 20_000), (5, SEEK_CUR, 15), (-10, SEEK_CUR, 0),
    (-11, SEEK_CUR, "EINVAL"),
    (0, SEEK_END, 10_000), (-10_000, SEEK_END, 0), (-10_001, SEEK_END, "EINVAL"), (3, SEEK_DATA, 3), (10_000, SEEK_DATA, "ENXIO"),
    (3, SEEK_HOLE, 10_000), (10_000, SEEK_HOLE, "ENXIO"), (0, 5, "EINVAL"), (1 << 63, SEEK_SET, "EINVAL"),
])
def test_seeking(fs, offset, whence, want):
    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    f.f_pos = 10
    if offset < 1 << 63:
        assert name_of(sys.sys_lseek(f, offset, whence)) == want
        assert f.f_pos == (want if isinstance(want, int) else 10)
    sys.sys_close(f)


def test_the_kernel_reads_and_writes(machine, fs):
    f = filp_open("/mnt/file", O_RDONLY, 0)
    addr = kmalloc(100, GFP_KERNEL)
    pos = Ref(9_950)
    assert kernel_read(f, addr, 100, pos) == 50 and pos.v == 10_000 and mem_read(addr, 50) == DATA[9_950:]
    assert name_of(kernel_write(f, addr, 1, Ref(0))) == "EBADF"
    filp_close(f, None)
    g = filp_open("/ram", O_CREAT | O_RDWR, 0o600)
    pos = Ref(5)
    assert kernel_write(g, addr, 50, pos) == 50 and pos.v == 55
    assert kernel_read(g, addr, 10, Ref(0)) == 10 and mem_read(addr, 10) == bytes(5) + DATA[9_950:9_955]
    filp_close(g, None)
    kfree(addr)
    sys.exit_to_user_mode()


def test_iocbs(fs):
    from kemu.linux.fs import Kiocb, init_sync_kiocb
    from kemu.linux.uio import IovIter, iov_iter_ubuf

    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    buf = bytearray(300)
    it = IovIter()
    iov_iter_ubuf(it, 0, memoryview(buf), 300)
    iocb = Kiocb()
    init_sync_kiocb(iocb, f)
    iocb.ki_pos = 9_900
    assert vfs_iocb_iter_read(f, iocb, it) == 100 and iocb.ki_pos == 10_000 and bytes(buf[:100]) == DATA[9_900:]
    sys.sys_close(f)


# ------------------------------------------------------------------------- directories

def names(path, count=32768):
    f = ok(sys.sys_open(path, O_RDONLY | O_DIRECTORY))
    out, sizes = [], []
    while True:
        n, entries = sys.sys_getdents64(f, count)
        if n <= 0:
            break
        sizes.append(n)
        out += entries
    sys.sys_close(f)
    return n, out, sizes


@pytest.mark.parametrize("count", [32768, 4096, 100, 24])
def test_all_names_in_pieces_of_any_size(fs, count):
    n, entries, sizes = names("/mnt/dir", count)
    assert n == 0 and [e[0] for e in entries] == [b".", b".."] + [b"%03d" % i for i in range(200)]
    assert all(s <= count for s in sizes) and sum(sizes) == 202 * 24
    assert [e[1] for e in entries[:3]] == [fs.numbers[1][b"dir"], 1, fs.numbers[fs.numbers[1][b"dir"]][b"000"]]
    assert [e[2] for e in entries[:4]] == [1, 2, 3, 4]


def test_a_buffer_that_is_too_small(fs):
    f = ok(sys.sys_open("/mnt/dir", O_RDONLY))
    assert name_of(sys.sys_getdents64(f, 23)[0]) == "EINVAL"
    sys.sys_close(f)


def test_types_of_entries(fs):
    _, entries, _ = names("/mnt")
    assert {e[0]: e[3] for e in entries} == {b".": 4, b"..": 4, b"file": 8, b"empty": 8, b"dir": 4, b"link": 10, b"paged": 10,
                                             b"pipe": 1,
                                             b"sock": 12, b"chr": 2, b"blk": 6}


def test_an_error_after_some_names(fs):
    fs.hooks["readdir"] = lambda file, ctx: -EIO if ctx.pos >= 2 else 0
    f = ok(sys.sys_open("/mnt/dir", O_RDONLY))
    n, entries = sys.sys_getdents64(f, 32768)
    assert n == 48 and [e[0] for e in entries] == [b".", b".."]       # what is there is given first
    assert name_of(sys.sys_getdents64(f, 32768)[0]) == "EIO"
    sys.sys_close(f)


@pytest.mark.parametrize("name", [b"a/b", b""])
def test_names_that_no_directory_may_have(machine, name):
    fs = TreeFs({b"dir": {}})
    ok(mount(fs))
    fs.dir_fops.iterate_shared = lambda file, ctx: 0 if dir_emit(ctx, name, len(name), 5, 8) else 0
    f = ok(sys.sys_open("/mnt/dir", O_RDONLY))
    n, _ = sys.sys_getdents64(f, 4096)
    assert name_of(n) == "EIO"
    sys.sys_close(f)


def test_iterating_in_the_kernel(fs):
    f = filp_open("/mnt/dir", O_RDONLY, 0)
    got = []

    def actor(ctx, name, namelen, offset, ino, d_type):
        got.append(bytes(name[:namelen]))
        return len(got) < 5

    ctx = DirContext(actor)
    assert iterate_dir(f, ctx) == 0 and got == [b".", b"..", b"000", b"001", b"002"]
    assert f.f_pos == ctx.pos == 4                          # the one that was refused comes again
    filp_close(f, None)
    g = filp_open("/mnt/file", O_RDONLY, 0)
    assert name_of(iterate_dir(g, DirContext(actor))) == "ENOTDIR"
    filp_close(g, None)
    sys.exit_to_user_mode()


def test_seeking_in_a_directory(fs):
    f = ok(sys.sys_open("/mnt/dir", O_RDONLY))
    sys.sys_getdents64(f, 240)
    assert f.f_pos == 10
    assert sys.sys_lseek(f, 0, SEEK_SET) == 0
    n, entries = sys.sys_getdents64(f, 72)
    assert [e[0] for e in entries] == [b".", b"..", b"000"]
    sys.sys_close(f)


# ------------------------------------------------------------------------- stat and links

def test_stat(fs):
    st = ok(sys.sys_stat("/mnt/file"))
    assert (st.ino, st.mode, st.nlink, st.size, st.uid, st.gid, st.blksize) == (2, 0o100644, 1, 10_000, 0, 0, 4096)
    assert ok(sys.sys_stat("/mnt/link")).ino == 2 and ok(sys.sys_lstat("/mnt/link")).mode == 0o120777
    assert name_of(sys.sys_stat("/mnt/none")) == "ENOENT"
    st = ok(sys.sys_stat("/mnt/blk"))
    assert st.rdev == 7 << 20 | 9 and st.mode & 0o170000 == S_IFBLK


def test_ids_that_do_not_exist(fs):
    f = ok(sys.sys_open("/mnt/file", O_RDONLY))
    f.f_inode.i_uid = f.f_inode.i_gid = 0xFFFF_FFFF
    st = ok(sys.sys_fstat(f))
    assert (st.uid, st.gid) == (65534, 65534)
    sys.sys_close(f)


def test_getattr_of_the_file_system(fs):
    asked = []

    def getattr(idmap, path, stat, mask, flags):
        asked.append(mask)
        return -EIO

    fs.file_iops.getattr = getattr
    assert name_of(sys.sys_stat("/mnt/file")) == "EIO" and asked == [0x7FF]
    f = filp_open("/mnt/file", O_PATH, 0)
    st = Kstat()
    assert name_of(vfs_getattr(f.f_path, st, 1, 0)) == "EIO"
    filp_close(f, None)
    sys.exit_to_user_mode()


def test_readlink(fs):
    assert sys.sys_readlink("/mnt/link") == b"file" and sys.sys_readlink("/mnt/paged") == b"dir/007"
    assert sys.sys_readlink("/mnt/paged", 3) == b"dir"
    assert name_of(sys.sys_readlink("/mnt/file")) == "EINVAL" and name_of(sys.sys_readlink("/mnt/none")) == "ENOENT"
    assert name_of(sys.sys_readlink("/mnt/link", 0)) == "EINVAL"


def test_a_link_in_a_page_ends_where_the_inode_says(machine):
    fs = TreeFs({b"l": Link(b"x" * 4095, True), b"long": Link(b"y" * 5000, True)})
    ok(mount(fs))
    assert sys.sys_readlink("/mnt/l") == b"x" * 4095
    assert sys.sys_readlink("/mnt/long", 6000) == b"y" * 4095        # cut at the page's last byte


# ------------------------------------------------------------------------- the whole

def test_everything_is_given_back():
    with balanced():
        fs = TreeFs(TREE)
        ok(mount(fs))
        for path in ("/mnt/file", "/mnt/link", "/mnt/dir", "/mnt/none", "/mnt/sock"):
            f = sys.sys_open(path, O_RDONLY)
            if not isinstance(f, int):
                sys.sys_read(f, bytearray(100), 100)
                sys.sys_getdents64(f, 4096)
                sys.sys_fstat(f)
                sys.sys_close(f)
            sys.sys_readlink(path)
        names("/mnt/dir", 100)
        sys.sys_readlink("/mnt/paged")
        ok(sys.sys_umount("/mnt"))
        ok(unregister(fs))


@pytest.mark.parametrize("flags", [O_RDONLY, O_PATH])
def test_memory_for_a_file_that_is_not_there(flags):
    from tests.unit.linux.block_files import Planned

    with Machine() as m:
        fs = TreeFs(TREE)
        ok(mount(fs))
        sys.sys_stat("/mnt/file")
        at, results = 1, []
        while True:
            m.chooser = this.chooser = Planned("failslab", at)
            f = sys.sys_open("/mnt/file", flags)
            seen = m.chooser.seen
            m.chooser = this.chooser = None
            if not isinstance(f, int):
                assert seen < at
                sys.sys_close(f)
                break
            results.append(name_of(f))
            at += 1
        assert results and set(results) == {"ENOMEM"} and get_nr_files() == 0
        ok(sys.sys_umount("/mnt"))
        assert dentry_open is not None
