# SPDX-License-Identifier: GPL-2.0-only
"""ramfs and the calls that change names: contents as Python says, link counts, modes, errors."""
from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kemu.linux.cred import Cred
from kemu.linux.fcntl import O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY
from kemu.linux.fs import vfs_fchmod, vfs_fchown, vfs_truncate, vfs_utimes
from kemu.linux.fs_struct import current_fs
from kemu.linux.kdev_t import MKDEV, new_encode_dev
from kemu.linux.namei import kern_path
from kemu.linux.path import Path, path_put
from kemu.linux.port import user as sys
from kemu.linux.ramfs import ramfs_fs_type
from kemu.linux.time64 import timespec64
from kemu.machine.current import this
from kemu.machine.machine import Machine
from tests.unit.linux.vfs_files import balanced, name_of, ok

S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK = 0o060000, 0o020000, 0o010000, 0o140000


def write(path, data, flags=O_CREAT | O_WRONLY, mode=0o644):
    f = sys.sys_open(path, flags, mode)
    if isinstance(f, int):
        return name_of(f)
    n = sys.sys_write(f, data)
    sys.sys_close(f)
    return name_of(n)


def read(path):
    f = sys.sys_open(path, O_RDONLY)
    if isinstance(f, int):
        return name_of(f)
    out = b""
    buf = bytearray(3000)
    while (n := ok(sys.sys_read(f, buf, 3000))) > 0:
        out += buf[:n]
    sys.sys_close(f)
    return out


def names(path):
    f = ok(sys.sys_open(path, O_DIRECTORY))
    out = []
    while (r := sys.sys_getdents64(f, 100))[0] > 0:
        out += [e[0] for e in r[1]]
    sys.sys_close(f)
    assert out[:2] == [b".", b".."]
    return out[2:]


def stat(path):
    return ok(sys.sys_lstat(path))


# ------------------------------------------------------------------------- one at a time

def test_contents_and_holes(machine):
    assert write("/f", b"abc") == 3 and read("/f") == b"abc"
    f = ok(sys.sys_open("/f", O_RDWR))
    sys.sys_lseek(f, 10_000, 0)
    assert sys.sys_write(f, b"end") == 3
    sys.sys_close(f)
    assert read("/f") == b"abc" + bytes(9_997) + b"end" and stat("/f").size == 10_003
    assert write("/f", b"+", O_WRONLY | O_APPEND) == 1 and stat("/f").size == 10_004
    assert write("/f", b"x", O_WRONLY | O_TRUNC) == 1 and read("/f") == b"x"


def test_directories(machine):
    ok(sys.sys_mkdir("/d", 0o1777))
    assert stat("/d").mode == 0o041755 and stat("/d").nlink == 2       # the umask is 022
    ok(sys.sys_mkdir("/d/e"))
    assert stat("/d").nlink == 3 and names("/d") == [b"e"]
    assert name_of(sys.sys_rmdir("/d")) == "ENOTEMPTY" and name_of(sys.sys_unlink("/d")) == "EISDIR"
    assert name_of(sys.sys_mkdir("/d")) == "EEXIST" and name_of(sys.sys_mkdir("/d/x/y")) == "ENOENT"
    ok(sys.sys_rmdir("/d/e"))
    assert stat("/d").nlink == 2
    ok(sys.sys_rmdir("/d"))
    assert name_of(sys.sys_lstat("/d")) == "ENOENT"


@pytest.mark.parametrize("path,error", [("/", "EBUSY"), ("/.", "EINVAL"), ("/d/.", "EINVAL"), ("/d/..", "ENOTEMPTY"),
                                        ("/f", "ENOTDIR"), ("/none", "ENOENT"),
                                        ("/f/", "ENOTDIR")])
def test_directories_that_cannot_be_removed(machine, path, error):
    ok(sys.sys_mkdir("/d"))
    write("/f", b"")
    assert name_of(sys.sys_rmdir(path)) == error


@pytest.mark.parametrize("path,error", [("/", "EISDIR"), ("/.", "EISDIR"), ("/f/", "ENOTDIR"), ("/none", "ENOENT"),
                                        ("/none/", "ENOENT"), ("/d/", "EISDIR")])
def test_names_that_cannot_be_removed(machine, path, error):
    ok(sys.sys_mkdir("/d"))
    write("/f", b"")
    assert name_of(sys.sys_unlink(path)) == error


def test_a_name_with_a_slash_behind_it(machine):
    ok(sys.sys_mkdir("/d/"))
    assert (name_of(sys.sys_mknod("/x/", 0o100644)) == "ENOENT"
            and name_of(sys.sys_open("/x/", O_CREAT | O_WRONLY, 0o644)) == "EISDIR")
    assert name_of(sys.sys_symlink("t", "/l/")) == "ENOENT"


def test_a_working_directory_that_is_gone(machine):
    ok(sys.sys_mkdir("/d"))
    p = Path()
    ok(kern_path("/d", 1, p))
    from kemu.linux.fs_struct import set_fs_pwd

    set_fs_pwd(current_fs(), p)
    path_put(p)
    ok(sys.sys_rmdir("/d"))
    assert name_of(sys.sys_mkdir("x")) == "ENOENT" and name_of(sys.sys_open("x", O_CREAT | O_WRONLY, 0o644)) == "ENOENT"
    assert name_of(sys.sys_lstat("x")) == "ENOENT" and stat("..").ino == stat("/").ino


def test_hard_links(machine):
    write("/f", b"data")
    ok(sys.sys_link("/f", "/g"))
    assert stat("/f").nlink == 2 and stat("/g").ino == stat("/f").ino
    ok(sys.sys_unlink("/f"))
    assert read("/g") == b"data" and stat("/g").nlink == 1
    ok(sys.sys_mkdir("/d"))
    assert name_of(sys.sys_link("/d", "/e")) == "EPERM" and name_of(sys.sys_link("/g", "/d")) == "EEXIST"
    ok(sys.sys_symlink("g", "/l"))
    ok(sys.sys_link("/l", "/m"))
    assert sys.sys_readlink("/m") == b"g"                   # the link itself, not what it points to


def test_an_unlinked_file_lives_while_it_is_open(machine):
    write("/f", b"still here")
    f = ok(sys.sys_open("/f", O_RDONLY))
    ok(sys.sys_unlink("/f"))
    assert ok(sys.sys_fstat(f)).nlink == 0
    buf = bytearray(20)
    assert sys.sys_read(f, buf, 20) == 10
    inode = f.f_inode
    sys.sys_close(f)
    assert inode.i_data.nrpages == 0


def test_symbolic_links(machine):
    ok(sys.sys_symlink("f", "/l"))
    assert stat("/l").mode == 0o120777 and stat("/l").size == 1 and sys.sys_readlink("/l") == b"f"
    assert write("/l", b"through") == 7 and read("/f") == b"through"
    assert name_of(sys.sys_symlink("x", "/l")) == "EEXIST" and name_of(sys.sys_symlink("", "/m")) == "ENOENT"
    ok(sys.sys_symlink("y" * 4094, "/long"))
    assert sys.sys_readlink("/long") == b"y" * 4094
    assert name_of(sys.sys_symlink("y" * 4096, "/longer")) == "ENAMETOOLONG"


def test_creating_through_a_link(machine):
    ok(sys.sys_symlink("target", "/l"))
    assert name_of(sys.sys_open("/l", O_CREAT | O_EXCL | O_WRONLY, 0o644)) == "EEXIST"
    assert write("/l", b"x") == 1 and read("/target") == b"x"


@pytest.mark.parametrize("mode", [S_IFBLK, S_IFCHR, S_IFIFO, S_IFSOCK])
def test_nodes(machine, mode):
    ok(sys.sys_mknod("/n", mode | 0o640, new_encode_dev(MKDEV(300, 70000))))
    st_ = stat("/n")
    assert st_.mode == mode | 0o640 and st_.rdev == (MKDEV(300, 70000) if mode in (S_IFBLK, S_IFCHR) else 0)
    assert name_of(sys.sys_mknod("/n", mode)) == "EEXIST"


def test_nodes_that_cannot_be_made(machine):
    assert name_of(sys.sys_mknod("/n", 0o040755)) == "EPERM" and name_of(sys.sys_mknod("/n", 0o120777)) == "EINVAL"
    ok(sys.sys_mknod("/zero", 0o644))                       # no type: a regular file
    assert stat("/zero").mode == 0o100644
    this.task.cred = Cred(1000, 1000, caps=0)
    assert name_of(sys.sys_mknod("/n", S_IFBLK | 0o600, 1)) in ("EPERM", "EACCES")
    this.task.cred = None


def test_the_umask(machine):
    current_fs().umask = 0o077
    write("/f", b"", mode=0o666)
    ok(sys.sys_mkdir("/d", 0o777))
    assert stat("/f").mode == 0o100600 and stat("/d").mode == 0o040700


def test_a_set_gid_directory_passes_its_group_on(machine):
    ok(sys.sys_mkdir("/d"))
    f = ok(sys.sys_open("/d", O_DIRECTORY))
    ok(vfs_fchown(f, 5, 7))
    ok(vfs_fchmod(f, 0o2775))
    sys.sys_close(f)
    write("/d/f", b"")
    ok(sys.sys_mkdir("/d/e"))
    assert stat("/d/f").gid == 7 and stat("/d/f").uid == 0 and stat("/d/e").gid == 7 and stat("/d/e").mode & 0o2000


def test_a_sticky_directory(machine):
    ok(sys.sys_mkdir("/tmp"))
    f = ok(sys.sys_open("/tmp", O_DIRECTORY))
    ok(vfs_fchmod(f, 0o1777))
    sys.sys_close(f)
    write("/tmp/f", b"")
    this.task.cred = Cred(1000, 1000, caps=0)
    assert name_of(sys.sys_unlink("/tmp/f")) == "EPERM"
    assert write("/tmp/mine", b"") == 0
    assert stat("/tmp/mine").uid == 1000
    ok(sys.sys_unlink("/tmp/mine"))
    this.task.cred = None


def test_attributes(machine):
    write("/f", b"0123456789")
    f = ok(sys.sys_open("/f", O_RDWR))
    ok(vfs_fchmod(f, 0o4711))
    assert stat("/f").mode == 0o104711
    ok(vfs_fchown(f, 10, 20))
    assert (stat("/f").uid, stat("/f").gid) == (10, 20) and stat("/f").mode == 0o100711         # the set-uid bit goes
    ok(vfs_truncate(f.f_path, 4))
    assert read("/f") == b"0123"
    ok(vfs_truncate(f.f_path, 8))
    assert read("/f") == b"0123\0\0\0\0"
    ok(vfs_utimes(f.f_path, [timespec64(1, 2), timespec64(3, 4)]))
    assert stat("/f").mtime == timespec64(3, 4) and stat("/f").atime == timespec64(1, 2)
    assert name_of(vfs_truncate(f.f_path, -1)) == "EINVAL"
    sys.sys_close(f)
    this.task.cred = Cred(1000, 1000, caps=0)
    p = Path()
    ok(kern_path("/f", 1, p))
    assert name_of(vfs_truncate(p, 0)) == "EACCES" and name_of(vfs_utimes(p, [timespec64(1, 2), timespec64(3, 4)])) == "EPERM"
    path_put(p)
    this.task.cred = None


def test_times_follow_what_is_done(machine):
    machine.clock.now_ns = 10**9
    write("/f", b"x")
    ok(sys.sys_mkdir("/d"))
    machine.clock.now_ns = 5 * 10**9
    before = stat("/d").mtime
    write("/d/g", b"")
    assert stat("/d").mtime > before
    m = stat("/f").mtime
    write("/f", b"y", O_WRONLY)
    assert stat("/f").mtime > m and stat("/f").ctime > m


def test_the_mode_of_a_mount(machine):
    from kemu.linux.fs import register_filesystem

    register_filesystem(ramfs_fs_type)
    ok(sys.sys_mkdir("/mnt"))
    ok(sys.sys_mount("none", "/mnt", "ramfs", 0, "mode=1700,whatever=7"))
    assert stat("/mnt").mode == 0o041700
    assert name_of(sys.sys_mount("none", "/mnt", "ramfs", 0, "mode=9")) == "EINVAL"
    assert machine.log.entries[-1][2] == "ramfs: Bad value for 'mode'"


# ------------------------------------------------------------------------- against a model

NAMES = ("a", "b", "c")


class Tree(RuleBasedStateMachine):
    """Random operations, and a Python tree that must agree: directories are dicts, files lists of one bytes object, links
    strings.
    """

    def __init__(self):
        super().__init__()
        self.context = balanced()
        self.machine = self.context.__enter__()
        self.root = {}
        from kemu.linux.fs import register_filesystem

        register_filesystem(ramfs_fs_type)
        ok(sys.sys_mount("none", "/mnt", "ramfs"))

    def teardown(self):
        from kemu.linux.fs import unregister_filesystem

        ok(sys.sys_mount(None, "/mnt", None, 33))           # MS_REMOUNT | MS_RDONLY: no one has it for writing
        ok(sys.sys_umount("/mnt"))
        self.machine.idle()
        unregister_filesystem(ramfs_fs_type)
        self.context.__exit__(None, None, None)

    def place(self, path):
        """(directory that would have the last component, its name, what is there)"""
        node = self.root
        for part in path[:-1]:
            if not isinstance(node, dict):
                return "ENOTDIR", None, None
            node = node.get(part)
            if node is None:
                return "ENOENT", None, None
            if isinstance(node, str):
                return "link", None, None
        if not isinstance(node, dict):
            return "ENOTDIR", None, None
        return node, path[-1], node.get(path[-1])

    paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)

    def run(self, path, call, model):
        """One operation on both sides."""
        where, name, there = self.place(path)
        if where == "link":
            return
        got = name_of(call("/mnt/" + "/".join(path)))
        want = where if isinstance(where, str) else model(where, name, there)
        assert got == want, (path, got, want)

    @rule(path=paths)
    def mkdir(self, path):
        self.run(path, sys.sys_mkdir, lambda d, n, there: "EEXIST" if there is not None else d.__setitem__(n, {}) or 0)

    @rule(path=paths)
    def rmdir(self, path):
        def model(d, n, there):
            if there is None:
                return "ENOENT"
            if not isinstance(there, dict):
                return "ENOTDIR"
            if there:
                return "ENOTEMPTY"
            del d[n]
            return 0
        self.run(path, sys.sys_rmdir, model)

    @rule(path=paths)
    def unlink(self, path):
        def model(d, n, there):
            if there is None:
                return "ENOENT"
            if isinstance(there, dict):
                return "EISDIR"
            del d[n]
            return 0
        self.run(path, sys.sys_unlink, model)

    @rule(path=paths, at=st.integers(0, 9000), data=st.binary(max_size=20), trunc=st.booleans())
    def write(self, path, at, data, trunc):
        def call(p):
            f = sys.sys_open(p, O_CREAT | O_WRONLY | (O_TRUNC if trunc else 0), 0o644)
            if isinstance(f, int):
                return f
            sys.sys_lseek(f, at, 0)
            n = sys.sys_write(f, data)
            sys.sys_close(f)
            return n

        def model(d, n, there):
            if isinstance(there, dict):
                return "EISDIR"
            old = b"" if there is None or trunc else there[0]
            new = old
            if data:
                new = old[:at].ljust(at, b"\0") + data + old[at + len(data):]
            if there is None:
                d[n] = [new]
            else:
                there[0] = new
            return len(data)
        if isinstance(self.place(path)[2], str):
            return
        self.run(path, call, model)

    @rule(path=paths, text=st.sampled_from(("a", "../b", "/none", "b/c")))
    def symlink(self, path, text):
        self.run(path, lambda p: sys.sys_symlink(text, p),
                 lambda d, n, there: "EEXIST" if there is not None else d.__setitem__(n, text) or 0)

    @rule(old=paths, new=paths)
    def link(self, old, new):
        where, name, there = self.place(old)
        if isinstance(where, str) or there is None or isinstance(self.place(new)[0], str):
            return
        self.run(new, lambda p: sys.sys_link("/mnt/" + "/".join(old), p),
                 lambda d, n, at: "EEXIST" if at is not None else "EPERM" if isinstance(there, dict) else d.__setitem__(n, there)
                 or 0)

    @invariant()
    def same_tree(self):
        self.compare("/mnt", self.root)

    def compare(self, path, node):
        st_ = stat(path)
        if isinstance(node, dict):
            assert sorted(names(path)) == sorted(n.encode() for n in node)
            assert st_.nlink == 2 + sum(isinstance(c, dict) for c in node.values())
            for name, child in node.items():
                self.compare(f"{path}/{name}", child)
        elif isinstance(node, str):
            assert sys.sys_readlink(path) == node.encode()
        else:
            assert read(path) == node[0] and st_.size == len(node[0])
            assert st_.nlink == sum(c is node for c in self.all(self.root))

    def all(self, node):
        for child in node.values():
            if isinstance(child, dict):
                yield from self.all(child)
            else:
                yield child


TestTree = Tree.TestCase
TestTree.settings = settings(max_examples=25, stateful_step_count=30, deadline=None, database=None, derandomize=True)


@pytest.mark.parametrize("call", ["mkdir", "mknod", "symlink", "link", "create"])
def test_every_allocation_may_fail(call):
    from tests.unit.linux.block_files import Planned

    calls = {"mkdir": lambda: sys.sys_mkdir("/d/new"), "mknod": lambda: sys.sys_mknod("/d/new", S_IFIFO | 0o600),
             "symlink": lambda: sys.sys_symlink("text", "/d/new"), "link": lambda: sys.sys_link("/d/f", "/d/new"),
             "create": lambda: (lambda f: f if isinstance(f, int)
                                else sys.sys_close(f))(sys.sys_open("/d/new", O_CREAT | O_WRONLY, 0o600))}
    at = 1
    while True:
        with Machine() as m:
            ok(sys.sys_mkdir("/d"))
            write("/d/f", b"x")
            m.chooser = this.chooser = chooser = Planned("failslab", at)
            got = name_of(calls[call]())
            m.chooser = this.chooser = None
            if chooser.seen < at:
                assert got == 0 and sorted(names("/d")) == [b"f", b"new"]
                break
            assert got in ("ENOMEM", "ENOSPC") and names("/d") == [b"f"] and stat("/d").nlink == 2
            assert stat("/d/f").nlink == 1
            ok(sys.sys_unlink("/d/f"))
            ok(sys.sys_rmdir("/d"))
        at += 1
    assert at > 1
