# SPDX-License-Identifier: GPL-2.0-only
"""The path walk: components, links of all kinds, limits, mounts on the way, permissions."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.linux.cred import Cred
from kemu.linux.errno import EIO
from kemu.linux.fcntl import O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_PATH, O_RDONLY
from kemu.linux.mount import MS_NOSYMFOLLOW, MS_REMOUNT
from kemu.linux.namei import (
    LOOKUP_BENEATH,
    LOOKUP_IN_ROOT,
    LOOKUP_NO_SYMLINKS,
    LOOKUP_NO_XDEV,
    filename_lookup,
    getname,
    kern_path,
    user_path_at,
)
from kemu.linux.path import Path, path_put
from kemu.linux.port import user as sys
from kemu.linux.stat import S_IFIFO
from kemu.machine.current import this
from kemu.machine.machine import Machine
from tests.unit.linux.vfs_files import Link, Node, TreeFs, balanced, mount, name_of, ok, unregister

TREE = {
    b"dir": {b"file": b"contents", b"sub": {b"deep": b"deeper"}, b"up": Link(b"../file"), b"self": Link(b".")},
    b"file": b"top",
    b"abs": Link(b"/mnt/dir/file"),
    b"rel": Link(b"dir/sub"),
    b"paged": Link(b"dir/sub", paged=True),
    b"slashes": Link(b"///mnt//dir"),
    b"root": Link(b"/"),
    b"dangling": Link(b"nowhere"),
    b"broken": Link(b"dir/none/x"), b"brokenpaged": Link(b"broken/y", paged=True), b"up2": Link(b"dir/../brokenpaged/z"),
    b"loop": Link(b"loop"),
    b"ping": Link(b"pong"), b"pong": Link(b"ping"),
    b"pipe": Node(S_IFIFO | 0o600),
    b"n" * 255: b"longest name",
}


@pytest.fixture
def fs(machine):
    fs = TreeFs(TREE)
    ok(mount(fs))
    return fs


def look(path, flags=1):
    """The inode number that a walk ends at, or the errno's name."""
    p = Path()
    err = filename_lookup(-100, getname(path, 0), flags, p)
    if err:
        return name_of(err)
    ino = p.dentry.d_inode.i_ino
    path_put(p)
    return ino


def ino_of(fs, *names):
    n = 1
    for name in names:
        n = fs.numbers[n][name]
    return n


@pytest.mark.parametrize("path,names", [
    ("/mnt/dir/file", (b"dir", b"file")),
    ("//mnt///dir//file", (b"dir", b"file")),
    ("/mnt/dir/./sub/../file", (b"dir", b"file")),
    ("/mnt/dir/", (b"dir",)),
    ("/mnt/dir/.", (b"dir",)),
    ("/mnt/dir/sub/..", (b"dir",)),
    ("/mnt/.", ()),
    ("/mnt/abs", (b"dir", b"file")),
    ("/mnt/rel/deep", (b"dir", b"sub", b"deep")),
    ("/mnt/rel/", (b"dir", b"sub")),
    ("/mnt/paged/deep", (b"dir", b"sub", b"deep")),
    ("/mnt/slashes/file", (b"dir", b"file")),
    ("/mnt/root/mnt/root/mnt/dir", (b"dir",)),
    ("/mnt/dir/up", (b"file",)),
    ("/mnt/dir/self/self/self/file", (b"dir", b"file")),
    ("/../../mnt/../mnt/dir", (b"dir",)),
    ("/mnt/" + "n" * 255, (b"n" * 255,)),
])
def test_where_a_path_ends(fs, path, names):
    assert look(path) == ino_of(fs, *names)


@pytest.mark.parametrize("path,error", [
    ("", "ENOENT"),
    ("/mnt/none", "ENOENT"),
    ("/mnt/none/file", "ENOENT"),
    ("/mnt/file/", "ENOTDIR"),
    ("/mnt/file/x", "ENOTDIR"),
    ("/mnt/file/.", "ENOTDIR"),
    ("/mnt/file/..", "ENOTDIR"),
    ("/mnt/abs/", "ENOTDIR"),
    ("/mnt/pipe/x", "ENOTDIR"),
    ("/mnt/dangling", "ENOENT"),
    ("/mnt/dangling/x", "ENOENT"),
    ("/mnt/loop", "ELOOP"),
    ("/mnt/loop/x", "ELOOP"),
    ("/mnt/ping", "ELOOP"),
    ("/mnt/" + "n" * 256, "ENAMETOOLONG"),
    ("/mnt/" + "x/" * 2046 + "yyyy", "ENAMETOOLONG"),
    ("/mnt/" + "./" * 2045 + "yyyyy", "ENAMETOOLONG"),
])
def test_why_a_path_does_not_end(fs, path, error):
    assert look(path) == error


def test_the_longest_path(fs):
    path = "/mnt/" + "./" * 2043 + "file"
    assert len(path) == 4095 and look(path) == ino_of(fs, b"file")
    assert look("/" + path) == "ENAMETOOLONG"


def test_a_link_itself(fs):
    assert look("/mnt/loop", 0) == ino_of(fs, b"loop")
    assert look("/mnt/dangling", 0) == ino_of(fs, b"dangling")
    assert look("/mnt/loop/", 0) == "ELOOP"                # the slash makes it follow
    assert look("/mnt/rel/", 0) == ino_of(fs, b"dir", b"sub")


def test_a_negative_dentry_saves_the_second_lookup(fs):
    fs.lookups.clear()
    for _ in range(3):
        assert look("/mnt/none") == "ENOENT"
    assert fs.lookups == [b"none"]


def test_a_cached_name_is_not_looked_up_again(fs):
    look("/mnt/dir/file")
    fs.lookups.clear()
    assert look("/mnt/dir/file") == ino_of(fs, b"dir", b"file") and not fs.lookups


def test_an_error_of_lookup_is_not_cached(fs):
    fs.hooks["lookup"] = lambda dir, dentry: -EIO if dentry.d_name.name == b"file" else 0
    assert look("/mnt/dir/file") == "EIO"
    del fs.hooks["lookup"]
    assert look("/mnt/dir/file") == ino_of(fs, b"dir", b"file")


def test_an_error_of_get_link(fs):
    fs.hooks["read_folio"] = lambda inode, folio: -EIO
    assert look("/mnt/paged/deep") == "EIO"
    assert name_of(sys.sys_readlink("/mnt/paged")) == "EIO"
    del fs.hooks["read_folio"]
    assert look("/mnt/paged/deep") == ino_of(fs, b"dir", b"sub", b"deep")


@pytest.mark.parametrize("links,error", [(40, None), (41, "ELOOP")])
def test_forty_links_and_no_more(machine, links, error):
    tree = {b"l0": b"end"} | {b"l%d" % i: Link(b"l%d" % (i - 1)) for i in range(1, 50)}
    fs = TreeFs(tree)
    ok(mount(fs))
    got = look(f"/mnt/l{links}")
    assert got == (error or ino_of(fs, b"l0"))


def test_forty_links_are_counted_over_the_whole_path(machine):
    tree = {b"d": {b"here": Link(b"."), b"f": b""}}
    fs = TreeFs(tree)
    ok(mount(fs))
    assert look("/mnt/d/" + "here/" * 40 + "f") == ino_of(fs, b"d", b"f")
    assert look("/mnt/d/" + "here/" * 41 + "f") == "ELOOP"


def test_nested_links_continue_where_they_were(machine):
    tree = {b"a": {b"b": {b"c": {b"f": b""}}}, b"x": Link(b"y/b"), b"y": Link(b"a"), b"z": Link(b"x/c")}
    fs = TreeFs(tree)
    ok(mount(fs))
    assert look("/mnt/z/f") == ino_of(fs, b"a", b"b", b"c", b"f")
    assert look("/mnt/x/../b/c/../c/f") == ino_of(fs, b"a", b"b", b"c", b"f")


def test_an_empty_link_is_followed_to_nothing(machine):
    fs = TreeFs({b"d": {b"empty": Link(b"")}})
    ok(mount(fs))
    assert look("/mnt/d/empty") == ino_of(fs, b"d")        # no text, nothing to walk: the directory that it is in


def test_mounts_are_crossed_both_ways(machine):
    outer, inner = TreeFs({b"in": {}, b"f": b""}), TreeFs({b"d": {b"g": b""}, b"up": Link(b"../f")}, name="inner")
    ok(mount(outer))
    ok(mount(inner, "/mnt/in"))
    assert look("/mnt/in/d/g") == ino_of(inner, b"d", b"g")
    assert look("/mnt/in/d/../../f") == ino_of(outer, b"f")
    assert look("/mnt/in/up") == ino_of(outer, b"f")
    assert look("/mnt/in/..") == 1 and look("/mnt/in") == 1


def test_two_mounts_on_one_place(machine):
    a, b = TreeFs({b"a": b""}, name="a"), TreeFs({b"b": b""}, name="b")
    ok(mount(a))
    ok(mount(b))
    assert look("/mnt/b") == 2 and look("/mnt/a") == "ENOENT"
    ok(sys.sys_umount("/mnt"))
    assert look("/mnt/a") == 2 and look("/mnt/b") == "ENOENT"


def test_scoped_walks(fs):
    root = Path()
    ok(kern_path("/mnt/dir", 1, root))

    def scoped(path, flags):
        f = ok(sys.sys_open("/mnt/dir", O_PATH | O_DIRECTORY))
        p = Path()
        err = filename_lookup(f, getname(path, 0), flags | 1, p)
        ino = name_of(err) if err else p.dentry.d_inode.i_ino
        path_put(p) if not err else None
        sys.sys_close(f)
        return ino

    assert scoped("sub/deep", LOOKUP_BENEATH) == ino_of(fs, b"dir", b"sub", b"deep")
    assert scoped("../file", LOOKUP_BENEATH) == "EXDEV"
    assert scoped("up", LOOKUP_BENEATH) == "EXDEV"
    assert scoped("/file", LOOKUP_BENEATH) == "EXDEV"
    assert scoped("/file", LOOKUP_IN_ROOT) == ino_of(fs, b"dir", b"file")
    assert scoped("../../file", LOOKUP_IN_ROOT) == ino_of(fs, b"dir", b"file")
    assert scoped("../..", LOOKUP_NO_XDEV) == "EXDEV"
    assert scoped("self/file", LOOKUP_NO_SYMLINKS) == "ELOOP"
    path_put(root)


def test_a_mount_without_links(fs):
    ok(sys.sys_mount(None, "/mnt", None, 32 | MS_NOSYMFOLLOW | 1, None))       # MS_REMOUNT | MS_RDONLY
    assert MS_REMOUNT == 32
    assert look("/mnt/rel") == "ELOOP" and look("/mnt/dir/file") == ino_of(fs, b"dir", b"file")
    assert sys.sys_readlink("/mnt/rel") == b"dir/sub"


def test_search_permission(fs):
    p = Path()
    ok(kern_path("/mnt/dir", 1, p))
    p.dentry.d_inode.i_mode = 0o040700
    this.task.cred = Cred(1000, 1000, caps=0)
    assert look("/mnt/dir/file") == "EACCES" and look("/mnt/dir") == ino_of(fs, b"dir")
    p.dentry.d_inode.i_gid = 1000
    p.dentry.d_inode.i_mode = 0o040710
    assert look("/mnt/dir/file") == ino_of(fs, b"dir", b"file")
    p.dentry.d_inode.i_mode = 0o040701                      # the group's bits decide for the group
    assert look("/mnt/dir/file") == "EACCES"
    this.task.cred = None
    path_put(p)


def test_opening_links(fs):
    assert name_of(sys.sys_open("/mnt/rel", O_RDONLY | O_NOFOLLOW)) == "ELOOP"
    f = ok(sys.sys_open("/mnt/rel", O_PATH | O_NOFOLLOW))
    assert f.f_inode.i_ino == ino_of(fs, b"rel")
    sys.sys_close(f)
    assert name_of(sys.sys_open("/mnt/rel", O_DIRECTORY | O_NOFOLLOW)) == "ENOTDIR"
    f = ok(sys.sys_open("/mnt/rel/deep", O_RDONLY))
    assert f.f_inode.i_ino == ino_of(fs, b"dir", b"sub", b"deep")
    sys.sys_close(f)
    assert name_of(sys.sys_open("/mnt/loop", O_RDONLY)) == "ELOOP"
    assert name_of(sys.sys_open("/mnt/abs", O_CREAT | O_EXCL)) == "EEXIST"


def test_relative_to_a_directory(fs):
    f = ok(sys.sys_open("/mnt/dir", O_RDONLY | O_DIRECTORY))
    p = Path()
    ok(user_path_at(f, "sub/deep", 1, p))
    assert p.dentry.d_inode.i_ino == ino_of(fs, b"dir", b"sub", b"deep")
    path_put(p)
    g = ok(sys.sys_open("/mnt/file", O_RDONLY))
    assert name_of(user_path_at(g, "x", 1, p)) == "ENOTDIR"
    sys.sys_close(f)
    sys.sys_close(g)


names = st.sampled_from([b"dir", b"sub", b"deep", b"file", b".", b"..", b"rel", b"paged", b"abs", b"up", b"self", b"root", b"mnt",
                         b"none", b"", b"loop"])


def reference(fs, parts, trailing_slash, follow):
    """What the walk must answer, from the tree alone: an inode number in the file system, "outside", or the errno's name."""
    links = 0
    todo = list(reversed(parts))
    stack = [1]                             # inode numbers from the root of the mount
    outside = False
    while todo:
        part = todo.pop()
        if part == b"":
            continue
        if outside:
            if part == b"mnt":
                outside, stack = False, [1]
            elif part not in (b".", b".."):
                return "ENOENT"
            continue
        if not isinstance(fs.nodes[stack[-1]], dict):
            return "ENOTDIR"
        if part == b".":
            continue
        if part == b"..":
            outside = len(stack) == 1
            stack = stack[:-1] or [1]
            continue
        ino = fs.numbers[stack[-1]].get(part)
        if ino is None:
            return "ENOENT"
        child = fs.nodes[ino]
        if isinstance(child, Link) and (todo or trailing_slash or follow):
            links += 1
            if links > 40:
                return "ELOOP"
            outside = child.target.startswith(b"/")
            todo += reversed([p for p in child.target.split(b"/") if p])
            continue
        stack.append(ino)
    if outside:
        return "outside"
    if trailing_slash and not isinstance(fs.nodes[stack[-1]], dict):
        return "ENOTDIR"
    return stack[-1]


@given(st.lists(names, min_size=1, max_size=8), st.booleans(), st.booleans())
def test_walks_against_the_tree(parts, trailing, follow):
    with Machine():
        fs = TreeFs(TREE)
        ok(mount(fs))
        text = b"/mnt/" + b"/".join(parts) + (b"/" if trailing else b"")
        ends_with_slash = text.endswith(b"/")
        want = reference(fs, parts, ends_with_slash, follow)
        got = look(text, 1 if follow else 0)
        if want == "outside":
            assert isinstance(got, int)
        else:
            assert got == want, text


def test_every_walk_gives_back_what_it_took():
    with balanced() as machine:
        fs = TreeFs(TREE)
        ok(mount(fs))
        for path in ("/mnt/dir/sub/deep", "/mnt/paged/deep", "/mnt/ping", "/mnt/file/x", "/mnt/rel/../../none",
                     "/mnt/" + "n" * 256, "/mnt/root", "/mnt/broken/y",
                     "/mnt/brokenpaged/y", "/mnt/up2/x", "/mnt/up2"):
            look(path)
            look(path, 0)
        ok(sys.sys_umount("/mnt"))
        machine.idle()
        assert 1 in fs.freed and len(fs.freed) == len(set(fs.freed))
        ok(unregister(fs))
