# SPDX-License-Identifier: GPL-2.0-only
"""inode.c: every form of an on-disk inode, and the refusals."""
from __future__ import annotations

import errno

import pytest

from kemu.forge import tree as t
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fs import Kstat, iput, vfs_getattr
from kemu.linux.fs.namei import vfs_readlink
from kemu.linux.path import Path
from kemu.linux.stat import STATX_ATTR_IMMUTABLE, STATX_BASIC_STATS, STATX_DIOALIGN
from kemu.report.walk import walk
from tests.unit.erofs_memback.images import forge, looked_up, mounted, tree_of, with_inode

from erofs_memback.inode import erofs_iget
from erofs_memback.internal import erofs_nid_to_ino64, erofs_sb_info


def error_of(m, name: bytes) -> str | None:
    with looked_up(m, name) as de:
        return errno.errorcode[-de] if isinstance(de, int) else None


@pytest.mark.parametrize("extended", (False, True))
def test_every_type(extended):
    root = t.Dir(mtime=7, entries={
        b"file": t.File(mode=0o4755, uid=3, gid=4, mtime=9, data=b"f"), b"dir": t.Dir(mode=0o1777, mtime=7),
        b"ln": t.Symlink(mtime=7, target=b"file"),
        b"chr": t.Device(mode=0o600, mtime=7, major=5, minor=300),
        b"blk": t.Device(mtime=7, block=True, major=4095, minor=1048575),
        b"fifo": t.Fifo(mtime=7), b"sock": t.Socket(mtime=7)})
    image = forge(root, **{n.decode(): {"extended": extended} for n in root.entries})
    with mounted(image) as m:
        got = {e["path"]: e for e in walk(m.path)}
    assert got == {e["path"]: e for e in image.manifest()}
    assert got["/blk"]["rdev"] == [4095, 1048575] and got["/chr"]["rdev"] == [5, 300]


def test_an_extended_inode_across_two_blocks():
    root = tree_of(a=b"1" * 10, b=b"2" * 6000)
    image = forge(root, b={"extended": True, "at": "cross"})
    truth = image.inodes[id(root.entries[b"b"])]
    assert truth.pos % 4096 == 4096 - 32
    with mounted(image) as m, looked_up(m, b"b") as de:
        assert (de.d_inode.i_size, de.d_inode.inode_isize) == (6000, 64)
        assert {e["path"]: e["sha256"] for e in walk(m.path)} == {e["path"]: e["sha256"] for e in image.manifest()}


@pytest.mark.parametrize("extended, fields, name, message", [
    (False, {"i_format": 0x20}, "ENOTSUP", "unsupported i_format 32 of nid"),
    (False, {"i_format": 0x0A}, "ENOTSUP", "unsupported datalayout 5 of nid"),
    (False, {"i_mode": 0}, "EUCLEAN", "bogus i_mode (0) @ nid"),
    (False, {"i_mode": 0o170644}, "EUCLEAN", "bogus i_mode (170644) @ nid"),
    (False, {"i_format": 0x06}, "EUCLEAN", "is invalid in a plain filesystem"),
    (True, {"i_size": 1 << 63}, "EUCLEAN", "negative i_size @ nid"),
])
def test_inodes_that_are_refused(extended, fields, name, message):
    root = tree_of(a=b"hello", b=b"world")
    image = forge(root, a={"extended": extended})
    with mounted(with_inode(image, root.entries[b"a"], **fields)) as m:
        assert error_of(m, b"a") == name
        assert message in m.machine.log.lines()[-1]
        assert error_of(m, b"b") is None


def test_a_chunk_format_that_is_unknown():
    root = tree_of(a=b"hello" * 3000)
    image = forge(root, a={"data": "chunk"})
    with mounted(with_inode(image, root.entries[b"a"], i_u=0x80)) as m:
        assert error_of(m, b"a") == "ENOTSUP"
        assert "unsupported chunk format 80 of nid" in m.machine.log.lines()[-1]


@pytest.mark.parametrize("target", (b"x", b"a/b" * 300, b"/" + b"q" * 4000))
def test_symlinks_inline_and_not(target):
    root = t.Dir(entries={b"ln": t.Symlink(target=target)})
    for layout in ("plain", "inline"):
        if layout == "inline" and len(target) > 3900:
            continue
        with mounted(forge(root, ln={"data": layout})) as m, looked_up(m, b"ln") as de:
            assert bool(de.d_inode.i_link) == (layout == "inline")
            buf = bytearray(5000)
            assert vfs_readlink(de, buf, 5000) == len(target) and bytes(buf[:len(target)]) == target


def test_a_fast_symlink_with_a_nul_inside():
    root = t.Dir(entries={b"ln": t.Symlink(target=b"abc\1def")})
    image = forge(root, ln={"data": "inline"})
    data = bytearray(image.data)
    data[data.index(b"abc\1def") + 3] = 0
    from kemu.forge.erofs.writer import fix_checksum

    fix_checksum(data)
    with mounted(bytes(data)) as m:
        assert error_of(m, b"ln") == "EUCLEAN"
        assert "invalid fast symlink size 7 @ nid" in m.machine.log.lines()[-1]


def test_one_nid_is_one_inode():
    with mounted(forge(tree_of(a=b"1"))) as m, looked_up(m, b"a") as de:
        again = erofs_iget(m.sb, de.d_inode.nid)
        assert again is de.d_inode
        iput(again)


def test_a_nid_behind_the_end():
    with mounted(forge(tree_of(a=b"1"))) as m:
        got = erofs_iget(m.sb, 1 << 40)
        assert IS_ERR(got) and PTR_ERR(got) == -errno.EIO
        assert m.machine.log.lines()[-1] == f"erofs (device ram0): failed to read inode meta block (nid: {1 << 40}): -5"


def test_getattr_says_what_the_inode_cannot_say():
    with mounted(forge(tree_of(a=b"1" * 9000))) as m, looked_up(m, b"a") as de:
        st = Kstat()
        assert vfs_getattr(Path(m.path.mnt, de), st, STATX_BASIC_STATS | STATX_DIOALIGN, 0) == 0
        assert st.attributes & STATX_ATTR_IMMUTABLE
        assert (st.dio_mem_align, st.dio_offset_align) == (512, 512)
        assert (st.size, st.blocks, st.blksize) == (9000, 24, 4096)


def test_inode_numbers_of_metadata_that_is_compressed():
    sbi = erofs_sb_info()
    assert erofs_nid_to_ino64(sbi, 1 << 63 | 5) == 1 << 63 | 5
    sbi.feature_incompat = 0x100
    assert erofs_nid_to_ino64(sbi, 1 << 63 | 5) == 1 << 31 | 5
    assert erofs_nid_to_ino64(sbi, 5) == 5
    assert erofs_nid_to_ino64(sbi, 1 << 31) == 1 << 32
    assert erofs_nid_to_ino64(sbi, (1 << 62) | 0x7FFF_FFFF) == 1 << 63 | 0x7FFF_FFFF


@pytest.mark.parametrize("bits", (32, 64))
def test_inode_numbers_fit_an_unsigned_long(bits):
    with mounted(forge(tree_of(a=b"1")), bits=bits) as m:
        from erofs_memback.inode import erofs_squash_ino

        assert erofs_squash_ino(m.sb, 0x1_0000_0002) == (0x1_0000_0002 if bits == 64 else 3)
