# SPDX-License-Identifier: GPL-2.0-only
"""Extended attributes: handlers by prefix and by name, permissions, sizes; access control lists."""
from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.linux.cred import CAP_FULL_SET, Cred
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EIO, ENODATA
from kemu.linux.fs import SB_POSIXACL
from kemu.linux.gfp import GFP_KERNEL
from kemu.linux.namei import kern_path
from kemu.linux.path import Path, path_put
from kemu.linux.port import user as sys
from kemu.linux.posix_acl import (
    ACL_TYPE_ACCESS,
    ACL_TYPE_DEFAULT,
    forget_all_cached_acls,
    get_inode_acl,
    nop_posix_acl_access,
    nop_posix_acl_default,
    posix_acl_from_xattr,
    posix_acl_permission,
    posix_acl_release,
    set_cached_acl,
)
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.string import mem_write
from kemu.linux.xattr import xattr_handler, xattr_handler_can_list, xattr_prefix
from kemu.machine.current import this
from kemu.machine.machine import Machine
from tests.unit.linux.vfs_files import Link, TreeFs, balanced, mount, name_of, ok, unregister

VALUES = {b"user.a": b"1", b"user.empty": b"", b"user.long": b"x" * 5000, b"trusted.t": b"secret", b"security.s": b"label",
          b"other.o": b"?"}


def answer(value, addr, size):
    """What every ->get does with a value."""
    if value is None:
        return -ENODATA
    if addr and size < len(value):
        return -34
    if addr:
        mem_write(addr, value)
    return len(value)


def getter(handler, dentry, inode, name, value, size):
    return answer(VALUES.get(xattr_prefix(handler) + name), value, size)


HANDLERS = [xattr_handler(prefix=b"user.", get=getter), xattr_handler(prefix=b"trusted.", get=getter),
            xattr_handler(prefix=b"security.", get=getter),
            xattr_handler(name=b"system.only", get=lambda h, d, i, n, v, s: answer(b"one", v, s) if n == b"" else -EIO),
            xattr_handler(prefix=b"noget."), nop_posix_acl_access, nop_posix_acl_default]


class XattrFs(TreeFs):
    def __init__(self):
        super().__init__({b"f": b"", b"d": {}, b"l": Link(b"f")})
        self.acls = {}
        self.reads = []
        for ops in (self.dir_iops, self.file_iops):
            ops.listxattr = self.listxattr
            ops.get_inode_acl = self.get_acl
        self.hooks["fill_super"] = (lambda sb, fc: setattr(sb, "s_xattr", HANDLERS)
                                    or setattr(sb, "s_flags", sb.s_flags | SB_POSIXACL))

    def listxattr(self, dentry, lst, size):
        text = b"".join(n + b"\0" for n in VALUES)
        if lst and size < len(text):
            return -34
        if lst:
            mem_write(lst, text)
        return len(text)

    def get_acl(self, inode, type, rcu):
        raw = self.acls.get(type)
        if raw is None or inode.i_ino == 1:
            return None
        self.reads.append((inode.i_ino, type))
        addr = kmalloc(len(raw), GFP_KERNEL)
        mem_write(addr, raw)
        acl = posix_acl_from_xattr(None, addr, len(raw))
        kfree(addr)
        return acl


@pytest.fixture
def fs(machine):
    fs = XattrFs()
    ok(mount(fs))
    return fs


def get(path, name, size=65536):
    return name_of(sys.sys_lgetxattr(path, name, size))


@pytest.mark.parametrize("name,want", [
    (b"user.a", b"1"), (b"user.empty", b""), (b"user.long", b"x" * 5000), (b"trusted.t", b"secret"), (b"security.s", b"label"),
    (b"user.none", "ENODATA"), (b"user.", "EINVAL"), (b"other.o", "ENOTSUP"), (b"system.only", b"one"),
    (b"system.onlymore", "ENOTSUP"),
    (b"noget.x", "ENOTSUP"), (b"", "ERANGE"), (b"user." + b"n" * 251, "ERANGE"), (b"use", "ENOTSUP"),
])
def test_values_by_handler(fs, name, want):
    assert get("/mnt/f", name) == want


def test_sizes(fs):
    assert get("/mnt/f", b"user.long", 4999) == "ERANGE" and get("/mnt/f", b"user.long", 5000) == b"x" * 5000
    assert name_of(sys.sys_llistxattr("/mnt/f", 5)) == "ERANGE"


def test_lists(fs):
    assert sys.sys_llistxattr("/mnt/f") == list(VALUES)
    assert sys.sys_llistxattr("/mnt/l") == []               # no ->listxattr there
    assert name_of(sys.sys_llistxattr("/mnt/none")) == "ENOENT"


def test_a_list_that_no_buffer_holds(fs):
    fs.file_iops.listxattr = lambda dentry, lst, size: -34
    assert name_of(sys.sys_llistxattr("/mnt/f")) == "E2BIG" and name_of(sys.sys_llistxattr("/mnt/f", 65535)) == "ERANGE"


def test_who_may_read_them(fs):
    this.task.cred = Cred(1000, 1000, caps=0)
    assert get("/mnt/f", b"trusted.t") == "ENODATA"         # as if it were not there
    assert get("/mnt/f", b"security.s") == b"label"
    assert get("/mnt/l", b"user.a") == "ENODATA"            # links have no user attributes
    p = path_of("/mnt/f")
    p.dentry.d_inode.i_mode = 0o100600
    assert get("/mnt/f", b"user.a") == "EACCES"
    this.task.cred = None
    assert get("/mnt/f", b"user.a") == b"1"
    path_put(p)


def test_a_file_system_without_attributes(machine):
    ok(mount(TreeFs({b"f": b""})))
    assert get("/mnt/f", b"user.a") == "ENOTSUP" and sys.sys_llistxattr("/mnt/f") == []
    assert get("/mnt/f", b"system.posix_acl_access") == "ENOTSUP"


def path_of(name):
    p = Path()
    ok(kern_path(name, 1, p))
    return p


def test_handlers_that_list_sometimes(fs):
    p = path_of("/mnt/f")
    assert xattr_handler_can_list(HANDLERS[0], p.dentry) and not xattr_handler_can_list(None, p.dentry)
    assert xattr_handler_can_list(nop_posix_acl_access, p.dentry)
    p.dentry.d_inode.i_sb.s_flags &= ~SB_POSIXACL
    assert not xattr_handler_can_list(nop_posix_acl_access, p.dentry)
    path_put(p)


# ------------------------------------------------------------------------- access control lists

U, USER, G, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32


def acl_bytes(*entries, version=2):
    return struct.pack("<I", version) + b"".join(struct.pack("<HHI", tag, perm, id if tag in (USER, GROUP) else 0xFFFF_FFFF)
                                                 for tag, perm, id in entries)


LIST = [(U, 6, 0), (USER, 4, 1000), (G, 5, 0), (MASK, 7, 0), (OTHER, 0, 0)]


def parse(raw):
    addr = kmalloc(max(len(raw), 1), GFP_KERNEL)
    mem_write(addr, raw)
    acl = posix_acl_from_xattr(None, addr, len(raw))
    kfree(addr)
    return name_of(PTR_ERR(acl)) if IS_ERR(acl) else acl


def test_a_list_from_its_value(machine):
    acl = parse(acl_bytes(*LIST))
    assert acl.a_entries == LIST
    posix_acl_release(acl)
    assert parse(acl_bytes()) is None


@pytest.mark.parametrize("raw,error", [
    (b"", "EINVAL"), (b"\2\0\0", "EINVAL"), (acl_bytes(*LIST, version=3), "ENOTSUP"), (acl_bytes(*LIST)[:-1], "EINVAL"),
    (acl_bytes((3, 7, 0)), "EINVAL"), (acl_bytes((USER, 7, 0xFFFF_FFFF)), "EINVAL"),
])
def test_values_that_are_no_list(machine, raw, error):
    assert parse(raw) == error


def test_attributes_of_lists(fs):
    fs.acls[ACL_TYPE_ACCESS] = acl_bytes(*LIST)
    assert get("/mnt/f", b"system.posix_acl_access") == acl_bytes(*LIST)
    assert get("/mnt/f", b"system.posix_acl_access") == acl_bytes(*LIST)
    assert fs.reads == [(2, ACL_TYPE_ACCESS)]               # read once, then cached
    assert get("/mnt/f", b"system.posix_acl_default") == "ENODATA"
    assert get("/mnt/f", b"system.posix_acl_access", 10) == "ERANGE"
    assert get("/mnt/l", b"system.posix_acl_access") == "ENOTSUP"


def test_a_list_that_cannot_be_read_is_asked_for_again(fs):
    fs.acls[ACL_TYPE_DEFAULT] = acl_bytes((3, 7, 0))
    for _ in range(2):
        assert get("/mnt/d", b"system.posix_acl_default") == "EINVAL"
    assert len(fs.reads) == 2


def test_a_list_decides_before_the_bits(fs):
    fs.acls[ACL_TYPE_ACCESS] = acl_bytes((U, 6, 0), (USER, 0, 1000), (USER, 4, 1001), (G, 4, 0), (MASK, 4, 0), (OTHER, 0, 0))
    p = path_of("/mnt/f")
    p.dentry.d_inode.i_mode = 0o100644 | 0o070
    for uid, want in ((1000, "EACCES"), (1001, "open"), (1002, "EACCES")):
        this.task.cred = Cred(uid, 5, caps=0)
        f = sys.sys_open("/mnt/f", 0)
        assert (name_of(f) if isinstance(f, int) else "open") == want
        if not isinstance(f, int):
            sys.sys_close(f)
    this.task.cred = None
    path_put(p)


def reference(entries, owner, group, uid, gids, want):
    """The algorithm of POSIX 1003.1e draft 17, 23.1.5: 0 or -13."""
    mask = next((p for t, p, _ in entries if t == MASK), 7)
    by = lambda tag: [(p, i) for t, p, i in entries if t == tag]
    if uid == owner:
        return 0 if by(U)[0][0] & want == want else -13
    named = [p for p, i in by(USER) if i == uid]
    if named:
        return 0 if named[0] & mask & want == want else -13
    groups = [p for p, _ in by(G) if group in gids] + [p for p, i in by(GROUP) if i in gids]
    if groups:
        return 0 if any(p & mask & want == want for p in groups if p & want == want) else -13
    return 0 if by(OTHER)[0][0] & want == want else -13


ids = st.integers(1, 4)
perms = st.integers(0, 7)


@given(perms, st.lists(st.tuples(perms, ids), max_size=3, unique_by=lambda e: e[1]), perms,
       st.lists(st.tuples(perms, ids), max_size=3, unique_by=lambda e: e[1]), perms, perms, ids, ids, ids,
       st.sets(ids, max_size=2), perms)
def test_access_by_list(u, users, g, groups, mask, other, owner, group, uid, gids, want):
    entries = [(U, u, 0), *((USER, p, i) for p, i in users), (G, g, 0), *((GROUP, p, i) for p, i in groups), (MASK, mask, 0),
               (OTHER, other, 0)]
    with Machine():
        acl = parse(acl_bytes(*entries))
        this.task.cred = Cred(uid, 9, caps=CAP_FULL_SET, groups=tuple(gids))

        class Owner:
            i_uid, i_gid = owner, group

        assert posix_acl_permission(None, Owner, acl, want) == reference(entries, owner, group, uid, gids | {9}, want)
        this.task.cred = None
        posix_acl_release(acl)


def test_a_list_that_makes_no_sense(machine):
    acl = parse(acl_bytes((U, 7, 0)))
    this.task.cred = Cred(5, 5)
    p = type("Owner", (), {"i_uid": 1, "i_gid": 1})
    assert name_of(posix_acl_permission(None, p, acl, 4)) == "EIO"
    this.task.cred = None
    posix_acl_release(acl)


def test_lists_are_counted():
    with balanced():
        fs = XattrFs()
        fs.acls[ACL_TYPE_ACCESS] = acl_bytes(*LIST)
        ok(mount(fs))
        for _ in range(2):
            get("/mnt/f", b"system.posix_acl_access")
            get("/mnt/d", b"system.posix_acl_default")
        p = path_of("/mnt/f")
        acl = get_inode_acl(p.dentry.d_inode, ACL_TYPE_ACCESS)
        assert acl.a_refcount == 2
        set_cached_acl(p.dentry.d_inode, ACL_TYPE_DEFAULT, acl)
        assert acl.a_refcount == 3
        forget_all_cached_acls(p.dentry.d_inode)
        assert acl.a_refcount == 1
        posix_acl_release(acl)
        get("/mnt/f", b"system.posix_acl_access")           # cached again, and let go with the inode
        path_put(p)
        ok(sys.sys_umount("/mnt"))
        ok(unregister(fs))
