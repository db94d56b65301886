# SPDX-License-Identifier: GPL-2.0-only
"""Dentries: references, the LRU, parallel lookups, aliases of directories, moves, eviction."""
from __future__ import annotations

import pytest

from kemu.linux.dcache import (
    DCACHE_DISCONNECTED,
    DCACHE_LRU_LIST,
    DCACHE_PERSISTENT,
    QSTR,
    d_add,
    d_alloc,
    d_alloc_anon,
    d_alloc_name,
    d_alloc_parallel,
    d_ancestor,
    d_can_lookup,
    d_delete,
    d_drop,
    d_exchange,
    d_find_alias,
    d_find_any_alias,
    d_in_lookup,
    d_instantiate,
    d_instantiate_new,
    d_invalidate,
    d_is_dir,
    d_is_negative,
    d_is_reg,
    d_is_symlink,
    d_lookup,
    d_lookup_done,
    d_make_root,
    d_mark_dontcache,
    d_move,
    d_obtain_alias,
    d_obtain_root,
    d_parent_ino,
    d_prune_aliases,
    d_set_mounted,
    d_splice_alias,
    d_unhashed,
    dentry_operations,
    dget,
    dont_mount,
    dput,
    is_subdir,
    prune_dcache_sb,
    set_default_d_op,
    shrink_dcache_parent,
    shrink_dcache_sb,
)
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fs import I_NEW, iget_locked, ihold, iput, new_inode, unlock_new_inode, unregister_filesystem
from kemu.linux.mount import mntput, vfs_kern_mount
from kemu.linux.namei import kern_path
from kemu.linux.path import Path, path_put
from kemu.linux.port import user as sys
from kemu.linux.stat import S_IFDIR, S_IFREG
from kemu.linux.task_work import task_work_run
from kemu.machine.current import this
from tests.conftest import raises_splat
from tests.unit.linux.vfs_files import Link, TreeFs, balanced, mount, name_of, ok

HELD = 2                        # references of a root: the superblock's and the mount's
TREE = {b"a": {b"b": {b"c": {}}, b"f": b""}, b"x": {}, b"link": Link(b"a")}


@pytest.fixture
def fs(machine):
    return TreeFs(TREE)


@pytest.fixture
def root(machine, fs):
    mnt = vfs_kern_mount(fs.type, 0, "none", None)
    yield mnt.mnt_root
    mntput(mnt)
    task_work_run()
    machine.idle()
    assert not [t for _, _, t in machine.log.entries if "BUG: Dentry" in t]


def look(fs, parent, name):
    """->lookup of one name; the child, referenced."""
    dentry = d_lookup(parent, QSTR(name))
    if dentry is None:
        dentry = d_alloc_parallel(parent, QSTR(name))
        if d_in_lookup(dentry):
            old = fs.lookup(parent.d_inode, dentry, 0)
            d_lookup_done(dentry)
            if old is not None:
                dput(dentry)
                dentry = old
    return dentry


def walk(fs, root, path):
    d = dget(root)
    for name in path.split("/"):
        child = look(fs, d, name)
        dput(d)
        d = child
    return d


# ------------------------------------------------------------------------- references and the LRU

def test_an_unused_name_stays_until_it_is_pruned(machine, fs, root):
    sb = root.d_sb
    d = look(fs, root, "a")
    assert (d.d_lockref, root.d_lockref) == (1, HELD + 1) and d.d_parent is root and not sb.s_dentry_lru
    dput(d)
    assert d.d_lockref == 0 and list(sb.s_dentry_lru) == [d] and d.d_flags & DCACHE_LRU_LIST and not d_unhashed(d)
    again = look(fs, root, "a")
    assert again is d and d.d_lockref == 1
    dput(d)
    assert prune_dcache_sb(sb, 10) == 0                     # it was used since: one more round
    assert prune_dcache_sb(sb, 10) == 1 and not sb.s_dentry_lru and root.d_lockref == HELD
    assert d_lookup(root, QSTR("a")) is None


def test_a_child_holds_its_parent(machine, fs, root):
    c = walk(fs, root, "a/b/c")
    b, a = c.d_parent, c.d_parent.d_parent
    assert (c.d_lockref, b.d_lockref, a.d_lockref) == (1, 1, 1)
    d_drop(c)
    dput(c)                                                 # unhashed: gone at once, its parents stay cached
    assert (b.d_lockref, a.d_lockref) == (0, 1) and b.d_flags & DCACHE_LRU_LIST
    shrink_dcache_sb(root.d_sb)
    assert root.d_lockref == HELD and not root.d_children and not root.d_subdirs


def test_a_chain_of_unhashed_parents_goes_together(machine, fs, root):
    c = walk(fs, root, "a/b/c")
    for d in (c.d_parent, c.d_parent.d_parent):
        d_drop(d)
    d_drop(c)
    dput(c)
    assert root.d_lockref == HELD and not root.d_children


def test_one_dput_too_many(machine, fs, root):
    d = look(fs, root, "a")
    dput(d)
    with raises_splat("dput() of a dentry without references"):
        dput(d)


def test_d_delete_op_says_what_is_not_kept(machine, fs, root):
    set_default_d_op(root.d_sb, dentry_operations(d_delete=lambda dentry: dentry.d_name.name == b"x"))
    for name, kept in (("x", False), ("a", True)):
        dput(look(fs, root, name))
        assert (d_lookup_and_put(root, name)) == kept


def d_lookup_and_put(parent, name):
    d = d_lookup(parent, QSTR(name))
    dput(d)
    return d is not None


def test_d_ops_are_told_about_birth_and_death(machine, fs, root):
    told = []
    note = lambda what: lambda dentry, *a: told.append((what, dentry.d_name.name)) or 0
    set_default_d_op(root.d_sb, dentry_operations(d_init=note("init"), d_prune=note("prune"), d_release=note("release"),
                                                  d_iput=lambda d, inode: (told.append(("iput", d.d_name.name)), iput(inode))[0]))
    d = look(fs, root, "a")
    d_drop(d)
    dput(d)
    assert told == [("init", b"a"), ("prune", b"a"), ("iput", b"a"), ("release", b"a")]
    root.d_sb.s_d_op, root.d_sb.s_d_flags = None, 0
    root.d_op = None


def test_dontcache(machine, fs, root):
    d = look(fs, root, "a")
    d_mark_dontcache(d.d_inode)
    dput(d)
    machine.idle()
    assert d_lookup(root, QSTR("a")) is None and 2 in fs.freed


# ------------------------------------------------------------------------- kinds

def test_kinds(machine, fs, root):
    a, f, link, none = (look(fs, root, n) for n in ("a", "a", "link", "none"))
    f = look(fs, a, "f")
    assert d_is_dir(a) and d_can_lookup(a) and not d_is_reg(a)
    assert d_is_reg(f) and not d_is_dir(f) and not d_can_lookup(f) and d_is_symlink(link)
    assert d_is_negative(none) and not d_is_negative(f) and d_parent_ino(f) == 2
    for d in (a, a, f, link, none):
        dput(d)


def test_relations(machine, fs, root):
    c = walk(fs, root, "a/b/c")
    b, a = c.d_parent, c.d_parent.d_parent
    x = look(fs, root, "x")
    assert d_ancestor(root, c) is a and d_ancestor(a, c) is b and d_ancestor(x, c) is None and d_ancestor(c, c) is None
    assert is_subdir(c, a) and is_subdir(c, c) and not is_subdir(a, c) and not is_subdir(x, a)
    dput(c)
    dput(x)


# ------------------------------------------------------------------------- making

def test_roots(machine, fs, root):
    sb = root.d_sb
    assert root.d_parent is root and root.d_name.name == b"/"
    assert d_make_root(None) is None
    inode = new_inode(sb)
    inode.i_mode = S_IFDIR
    other = d_make_root(inode)
    assert other.d_inode is inode and inode.i_dentry == [other]
    dput(other)
    assert inode.i_state & 0x200 or not inode.i_dentry


def test_instantiating(machine, fs, root):
    sb = root.d_sb
    d = d_alloc_name(root, "new")
    assert d.d_lockref == 1 and d.d_parent is root and d_unhashed(d) and d.d_inode is None and root.d_lockref == HELD + 1
    inode = iget_locked(sb, 100)
    inode.i_mode = S_IFREG
    d_instantiate_new(d, inode)
    assert not inode.i_state & I_NEW and d.d_inode is inode and d_is_reg(d)
    ihold(inode)
    e = d_alloc(root, QSTR("alias"))
    d_add(e, inode)
    assert inode.i_dentry == [e, d] and d_find_alias(inode) is e and d_lookup(root, QSTR("alias")) is e
    for _ in range(3):
        dput(e)
    dput(d)
    assert inode.i_dentry == [e]                            # the other one was never hashed


def test_two_positive_instantiations_are_a_bug(machine, fs, root):
    d = look(fs, root, "a")
    with pytest.raises(Exception, match="BUG"):
        d_instantiate(d, d.d_inode)
    dput(d)


def test_deleting(machine, fs, root):
    d = look(fs, root, "a")
    inode = d.d_inode
    ihold(inode)
    dget(d)
    d_delete(d)                                             # in use by another: unhashed, still positive
    assert d_unhashed(d) and d.d_inode is inode
    dput(d)
    dput(d)
    e = look(fs, root, "a")
    d_delete(e)                                             # the only user: negative now
    assert not d_unhashed(e) and d_is_negative(e) and inode.i_dentry == []
    dput(e)
    iput(inode)


# ------------------------------------------------------------------------- parallel lookups

def test_two_lookups_of_one_name_are_one(machine, fs):
    ok(mount(fs))
    got = []
    fs.hooks["lookup"] = lambda dir, dentry: this.sched.run_others()

    def task():
        p = Path()
        ok(kern_path("/mnt/a", 1, p))
        got.append(p)

    for i in range(3):
        machine.sched.spawn(f"t{i}", task)
    machine.sched.run_others()
    assert len(got) == 3 and len({id(p.dentry) for p in got}) == 1 and fs.lookups == [b"a"]
    assert got[0].dentry.d_lockref == 3
    for p in got:
        path_put(p)
    ok(sys.sys_umount("/mnt"))


def test_who_waits_for_a_failed_lookup_looks_itself():
    with balanced() as m:
        failed_lookup(m, TreeFs(TREE))


def failed_lookup(machine, fs):
    ok(mount(fs))
    got = []

    def slow(dir, dentry):
        this.sched.run_others()
        return -5 if len(fs.lookups) == 1 else 0

    fs.hooks["lookup"] = slow

    def task():
        p = Path()
        err = kern_path("/mnt/a", 1, p)
        got.append(name_of(err) if err else p)

    for i in range(2):
        machine.sched.spawn(f"t{i}", task)
    machine.sched.run_others()
    assert got[0] == "EIO" and isinstance(got[1], Path) and fs.lookups == [b"a", b"a"]
    path_put(got[1])
    ok(sys.sys_umount("/mnt"))
    unregister_filesystem(fs.type)


def test_different_names_do_not_wait(machine, fs):
    ok(mount(fs))
    order = []
    fs.hooks["lookup"] = (lambda dir, dentry: order.append(dentry.d_name.name)
                          or (this.sched.run_others() if dentry.d_name.name == b"a" else None))

    def task(path):
        p = Path()
        ok(kern_path(path, 1, p))
        order.append(path)
        path_put(p)

    machine.sched.spawn("1", lambda: task("/mnt/a"))
    machine.sched.spawn("2", lambda: task("/mnt/x"))
    machine.sched.run_others()
    assert order == [b"a", b"x", "/mnt/x", "/mnt/a"]
    ok(sys.sys_umount("/mnt"))


# ------------------------------------------------------------------------- directories have one dentry

def test_a_directory_that_is_found_elsewhere_moves_there(machine, fs, root):
    b = walk(fs, root, "a/b")
    a, x = b.d_parent, look(fs, root, "x")
    fs.numbers[x.d_inode.i_ino][b"moved"] = b.d_inode.i_ino         # the directory on disk changed: it is in x now
    got = look(fs, x, "moved")
    assert got is b and b.d_parent is x and b.d_name.name == b"moved" and b.d_lockref == 2
    assert d_lookup(a, QSTR("b")) is None and x.d_lockref == 2 and a.d_lockref == 0
    dput(got)
    dput(b)
    dput(x)


def test_a_directory_cannot_become_its_own_ancestor(machine, fs, root):
    c = walk(fs, root, "a/b/c")
    fs.numbers[c.d_inode.i_ino][b"again"] = c.d_parent.d_inode.i_ino
    got = look(fs, c, "again")
    assert IS_ERR(got) and name_of(PTR_ERR(got)) == "ELOOP"
    assert machine.log.entries[-1][2] == "VFS: Lookup of 'again' in treefs treefs would have caused loop"
    fs.numbers[c.d_inode.i_ino][b"itself"] = c.d_inode.i_ino
    assert name_of(PTR_ERR(look(fs, c, "itself"))) == "ELOOP"
    fs.numbers[c.d_inode.i_ino][b"top"] = 1
    assert name_of(PTR_ERR(look(fs, c, "top"))) == "ELOOP"
    assert (c.d_lockref, c.d_parent.d_lockref, root.d_inode.i_count) == (1, 1, 1)
    dput(c)


def test_a_directory_whose_parent_is_locked_stays(machine, fs, root):
    from kemu.linux.fs import inode_lock, inode_unlock

    b, x = walk(fs, root, "a/b"), look(fs, root, "x")
    fs.numbers[x.d_inode.i_ino][b"moved"] = b.d_inode.i_ino
    inode_lock(b.d_parent.d_inode)
    got = look(fs, x, "moved")
    assert name_of(PTR_ERR(got)) == "ESTALE" and b.d_name.name == b"b"
    inode_unlock(b.d_parent.d_inode)
    got = look(fs, x, "moved")
    assert got is b
    for d in (b, b, x):
        dput(d)


def test_files_may_have_many_dentries(machine, fs, root):
    f, x = walk(fs, root, "a/f"), look(fs, root, "x")
    fs.numbers[x.d_inode.i_ino][b"hard"] = f.d_inode.i_ino
    g = look(fs, x, "hard")
    assert g is not f and g.d_inode is f.d_inode and f.d_inode.i_dentry == [g, f] and f.d_inode.i_count == 2
    for d in (f, g, x):
        dput(d)


def test_splicing_errors_and_nothing(machine, fs, root):
    from kemu.linux.err import ERR_PTR

    d = d_alloc(root, QSTR("e"))
    assert d_splice_alias(ERR_PTR(-5), d) == ERR_PTR(-5) and d_unhashed(d)
    assert d_splice_alias(None, d) is None and not d_unhashed(d) and d_is_negative(d)
    dput(d)


# ------------------------------------------------------------------------- without a name

def test_a_dentry_of_an_inode(machine, fs, root):
    sb = root.d_sb
    inode = fs.iget(sb, 2)
    d = d_obtain_alias(inode)
    assert d.d_flags & DCACHE_DISCONNECTED and d.d_parent is d and inode.i_dentry == [d]
    ihold(inode)
    assert d_obtain_alias(inode) is d and d.d_lockref == 2 and inode.i_count == 1
    ihold(inode)
    assert d_obtain_root(inode) is d
    dput(d)
    dput(d)
    got = look(fs, root, "a")                               # a lookup gives it its name
    assert got is d and d.d_parent is root and d.d_name.name == b"a"
    dput(got)
    dput(d)
    assert inode.i_dentry == []                             # still marked as disconnected: not kept
    assert name_of(PTR_ERR(d_obtain_alias(None))) == "ESTALE" and d_find_any_alias(inode) is None


def test_a_disconnected_dentry_is_not_kept(machine, fs, root):
    inode = fs.iget(root.d_sb, 2)
    d = d_obtain_alias(inode)
    ihold(inode)
    dput(d)
    assert inode.i_dentry == [] and inode.i_count == 1
    iput(inode)


def test_roots_of_mounts_without_a_name_are_shut_down_too(machine, fs):
    mnt = vfs_kern_mount(fs.type, 0, "none", None)
    sb = mnt.mnt_sb
    d = d_obtain_root(fs.iget(sb, 2))
    assert list(sb.s_roots) == [d]
    dput(d)
    mntput(mnt)
    task_work_run()
    machine.idle()
    assert not sb.s_roots and sorted(fs.freed) == [1, 2] and not any("BUG" in t for _, _, t in machine.log.entries)


# ------------------------------------------------------------------------- moving

def test_moving_onto_a_name(machine, fs, root):
    f, x = walk(fs, root, "a/f"), look(fs, root, "x")
    target = look(fs, x, "to")
    d_move(f, target)
    assert f.d_parent is x and f.d_name.name == b"to" and d_lookup(x, QSTR("to")) is f and d_unhashed(target)
    a = look(fs, root, "a")
    assert d_lookup(a, QSTR("f")) is None and a.d_lockref == 1
    for d in (f, f, x, target, a):
        dput(d)


def test_exchanging(machine, fs, root):
    f, x = walk(fs, root, "a/f"), look(fs, root, "x")
    a = f.d_parent
    d_exchange(f, x)
    assert (f.d_parent, f.d_name.name, x.d_parent, x.d_name.name) == (root, b"x", a, b"f")
    assert d_lookup(root, QSTR("x")) is f and d_lookup(a, QSTR("f")) is x
    for d in (f, f, x, x):
        dput(d)


# ------------------------------------------------------------------------- eviction

def test_shrinking_a_tree(machine, fs, root):
    c, x = walk(fs, root, "a/b/c"), look(fs, root, "x")
    dput(x)
    f = walk(fs, root, "a/f")
    dput(f)
    shrink_dcache_parent(root)
    assert d_lookup(root, QSTR("x")) is None and d_lookup(c.d_parent.d_parent, QSTR("f")) is None
    assert c.d_parent.d_name.name == b"b"                   # what is in use keeps its ancestors
    dput(c)
    shrink_dcache_parent(root)
    assert root.d_lockref == HELD


def test_aliases_can_be_pruned(machine, fs, root):
    f = walk(fs, root, "a/f")
    inode = f.d_inode
    ihold(inode)
    d_prune_aliases(inode)
    assert inode.i_dentry == [f]
    dput(f)
    d_prune_aliases(inode)
    assert not inode.i_dentry
    iput(inode)


def test_invalidation_takes_the_tree_and_its_mounts(machine, fs):
    ok(mount(fs))
    inner = TreeFs({b"i": b""}, name="inner")
    ok(mount(inner, "/mnt/a/b"))
    p = Path()
    ok(kern_path("/mnt/a", 1, p))
    d_invalidate(p.dentry)
    assert d_unhashed(p.dentry)
    machine.idle()
    task_work_run()
    machine.idle()
    assert inner.put_supers == 1
    path_put(p)
    ok(sys.sys_umount("/mnt"))


def test_mountpoints(machine, fs, root):
    a = look(fs, root, "a")
    assert d_set_mounted(a) == 0 and name_of(d_set_mounted(a)) == "EBUSY"
    x = look(fs, root, "x")
    dont_mount(x)
    assert name_of(d_set_mounted(x)) == "ENOENT"
    b = look(fs, a, "b")
    d_drop(a)
    assert name_of(d_set_mounted(b)) == "ENOENT"
    for d in (a, x, b):
        dput(d)


def test_pinned_names_go_at_umount():
    with balanced() as m:
        from kemu.linux.ramfs import ramfs_fs_type

        mnt = vfs_kern_mount(ramfs_fs_type, 0, "none", None)
        root = mnt.mnt_root
        d = d_alloc_name(root, "f")
        d_add(d, None)
        root.d_inode.i_op.create(None, root.d_inode, d, 0o644, True)
        dput(d)
        assert d.d_flags & DCACHE_PERSISTENT and d.d_lockref == 1
        mntput(mnt)
        task_work_run()
        m.idle()


def test_memory_for_a_dentry_that_is_not_there(fs):
    from kemu.machine.machine import Machine
    from tests.unit.linux.block_files import Planned

    with Machine() as m:
        mnt = vfs_kern_mount(fs.type, 0, "none", None)
        root = mnt.mnt_root
        this.chooser = m.chooser = Planned("failslab", 1)
        assert d_alloc_name(root, "x") is None
        m.chooser.seen = 0
        assert name_of(PTR_ERR(d_alloc_parallel(root, QSTR("x")))) == "ENOMEM"
        m.chooser.seen = 0
        assert d_alloc_anon(root.d_sb) is None
        inode = iget_locked(root.d_sb, 300)
        unlock_new_inode(inode)
        m.chooser.seen = 0
        assert name_of(PTR_ERR(d_obtain_alias(inode))) == "ENOMEM" and inode.i_count == 0
        this.chooser = m.chooser = None
        assert root.d_lockref == HELD
