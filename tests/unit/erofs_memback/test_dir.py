# SPDX-License-Identifier: GPL-2.0-only
"""dir.c and namei.c: listing from any position, and the search for a name."""
from __future__ import annotations

import errno

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kemu.forge import tree as t
from kemu.linux.cred import current_cred
from kemu.linux.fcntl import O_DIRECTORY, O_RDONLY
from kemu.linux.fs import DirContext, fput, iterate_dir
from kemu.linux.fs.open import dentry_open
from kemu.linux.include.dcache import Qstr
from kemu.linux.types import Ref
from tests.unit.erofs_memback.images import forge, looked_up, mounted, with_bytes

from erofs_memback.harness.mount import settle
from erofs_memback.namei import erofs_dirnamecmp, erofs_namei, erofs_qstr

names_sets = st.lists(st.one_of(st.binary(min_size=1, max_size=12), st.binary(min_size=200, max_size=255)), min_size=1,
                      max_size=60, unique=True)


def usable(names):
    return sorted({n for n in (n.replace(b"\0", b"\1").replace(b"/", b"0") for n in names) if n not in (b".", b"..")})


def directory(names) -> t.Dir:
    return t.Dir(entries={n: t.Fifo() for n in names})


def listing(m, pos: int = 0, most: int = 1 << 30) -> tuple[int, list[tuple[bytes, int, int, int]]]:
    """(result of iterate_dir, (name, position, ino, type) of the root's entries from ``pos``)."""
    out = []

    def actor(ctx, name, namelen, offset, ino, d_type):
        assert len(name) == namelen
        if len(out) >= most:
            return False
        out.append((name, offset, ino, d_type))
        return True

    f = dentry_open(m.path, O_RDONLY | O_DIRECTORY, current_cred())
    f.f_pos = pos
    res = iterate_dir(f, DirContext(actor))
    fput(f)
    settle()
    return res, out


@settings(max_examples=25)
@given(names_sets, st.integers(1, 40), st.sampled_from((9, 12)))
def test_listed_and_found(names, dirents, blkszbits):
    """Every name is listed once, in order, and found; names that are not there are not."""
    from kemu.forge.erofs.plan import ImagePlan

    names = usable(names)
    root = directory(names)
    with mounted(forge(root, ImagePlan(blkszbits=blkszbits), root={"dirents": dirents + 1})) as m:
        res, got = listing(m)
        assert res == 0
        assert [n for n, *_ in got if n not in (b".", b"..")] == names
        dir_ = m.path.dentry.d_inode
        inos = {n: ino for n, _, ino, _ in got}
        nid, d_type = Ref(0), Ref(0)
        for n in [*names, b".", b".."]:
            assert erofs_namei(dir_, Qstr(n), nid, d_type) == 0 and nid.v == inos[n]
        for n in names:
            for other in (n[:-1], n + b"!", b"\1" + n, n[:-1] + bytes((n[-1] ^ 1 or 3,))):
                if other and other not in inos and len(other) <= 255 and b"\0" not in other:
                    assert erofs_namei(dir_, Qstr(other), nid, d_type) == -errno.ENOENT


def test_listing_goes_on_where_it_stopped():
    names = [b"n%03d" % i for i in range(300)]
    with mounted(forge(directory(names), root={"dirents": 40})) as m:
        _, whole = listing(m)
        for k in (0, 1, 5, 41, 150, 299):
            _, rest = listing(m, whole[k][1])
            assert rest == whole[k:]
        # a position inside a dirent means the next one
        assert listing(m, whole[5][1] - 3)[1] == whole[5:]
        assert listing(m, m.path.dentry.d_inode.i_size)[1] == []
        res, some = listing(m, 0, 7)
        assert res == 0 and some == whole[:7]


def test_a_directory_without_a_dot():
    root = t.Dir(entries={b"x": t.Fifo(), b"y": t.Fifo()})
    with mounted(forge(root, root={"dot_omitted": True})) as m:
        _, got = listing(m)
        assert [n for n, *_ in got] == [b"..", b"x", b"y", b"."]
        assert got[-1][2] == m.path.dentry.d_inode.i_ino and got[-1][1] == m.path.dentry.d_inode.i_size
        assert listing(m, got[-1][1] + 1)[1] == []


def test_directories_over_several_blocks_are_searched_out_of_order():
    """The candidate block is unmapped while a later one is mapped: directories take no highmem, where that is allowed."""
    names = [b"%04d" % i for i in range(900)]
    with mounted(forge(directory(names))) as m:
        assert m.path.dentry.d_inode.i_size > 3 * 4096
        for n in (b"0000", b"0899", b"0450", b"0123"):
            with looked_up(m, n) as de:
                assert de.d_inode is not None
        with looked_up(m, b"0123x") as de:
            assert de == -errno.ENOENT


@pytest.mark.parametrize("at, data, listed, message", [
    (8, b"\0\0", 0, "invalid de[0].nameoff 0 @ nid"),
    (8, b"\x0d\0", 0, "invalid de[0].nameoff 13 @ nid"),
    (8, b"\xff\xff", 0, "invalid de[0].nameoff 65535 @ nid"),
    (12 + 8, b"\0\0", 0, "bogus dirent @ nid"),
    (24 + 8, b"\xff\x0f", 1, "bogus dirent @ nid"),
    (36 + 8, b"\xff\x0f", 2, "bogus dirent @ nid"),
])
def test_damaged_dirents(at, data, listed, message):
    root = directory([b"x", b"yy"])
    image = forge(root, root={"data": "plain"})
    start = image.inodes[id(root)].extents[0].pa
    with mounted(with_bytes(image.data, start + at, data)) as m:
        res, got = listing(m)
        assert res == -errno.EUCLEAN and len(got) == listed
        assert message in m.machine.log.lines()[-1]


def test_a_block_without_dirents_is_corrupted():
    root = directory([b"x", b"yy"])
    image = forge(root, root={"data": "plain"})
    start = image.inodes[id(root)].extents[0].pa
    with mounted(with_bytes(image.data, start + 8, b"\0\0")) as m:
        with looked_up(m, b"x") as de:
            assert de == -errno.EUCLEAN
        assert m.machine.log.lines()[-1].startswith("erofs (device ram0): corrupted dir block 0 @ nid")


def test_names_that_are_too_long():
    with mounted(forge(directory([b"x"]))) as m, looked_up(m, b"y" * 256) as de:
        assert de == -errno.ENAMETOOLONG


def c_dirnamecmp(qn: bytes, qd: bytes, matched: int) -> tuple[int, int]:
    """erofs_dirnamecmp() of C, a byte at a time."""
    i = matched
    while i < len(qd) and qd[i]:
        if qn[i] != qd[i]:
            return (1 if qn[i] > qd[i] else -1), i
        i += 1
    return (0 if qn[i] == 0 else 1), i


@given(st.binary(min_size=1, max_size=6), st.binary(max_size=8), st.integers(0, 8))
def test_dirnamecmp_is_the_byte_loop(name, disk, same):
    from kemu.linux.slab import kmalloc
    from kemu.linux.string import mem_write
    from kemu.machine.machine import Machine

    name = name.replace(b"\0", b"a")
    common = 0
    while common < min(len(name), len(disk)) and name[common] == disk[common]:
        common += 1
    start = min(same, common)
    with Machine() as m:
        p = kmalloc(max(len(disk), 1))
        mem_write(p, disk)
        matched = Ref(start)
        got = erofs_dirnamecmp(name + b"\0", erofs_qstr(p, p + len(disk)), matched)
        assert (got, matched.v) == c_dirnamecmp(name + b"\0", disk, start)
        assert m is not None
