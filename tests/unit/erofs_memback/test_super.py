# SPDX-License-Identifier: GPL-2.0-only
"""super.c: what is refused and with which words, options, devices, and that nothing is left behind."""
from __future__ import annotations

import errno

import pytest

from kemu.check.suite import all_detectors
from kemu.forge import tree as t
from kemu.forge.erofs.plan import ImagePlan
from kemu.linux.err import IS_ERR
from kemu.linux.exportfs import FILEID_INO64_GEN, FILEID_INO64_GEN_PARENT
from kemu.linux.fcntl import O_RDONLY
from kemu.linux.fs import fput
from kemu.linux.fs.open import file_open_root
from kemu.linux.path import Path
from kemu.linux.seq_file import SeqFile
from kemu.linux.statfs import kstatfs
from kemu.linux.types import Ref
from kemu.machine.machine import Machine
from tests.conftest import raises_splat
from tests.unit.erofs_memback.images import forge, looked_up, mounted, tree_of, with_bytes, with_super

from erofs_memback import super as es
from erofs_memback.harness.mount import MountError, load_module, machine_for, mount_in, settle, unload_module
from erofs_memback.inode import FS_IOC_GETFSLABEL


def plain():
    return forge(tree_of(a=b"hello", b=b"y" * 5000))


def refusal(image: bytes, **kw) -> tuple[str, str]:
    """errno name and last message of a refused mount, with every detector attached."""
    watch = all_detectors()
    with machine_for(image, watch=watch, **{k: kw.pop(k) for k in ("config",) if k in kw}) as machine:
        watch.attach(machine)
        load_module(machine)
        watch.mark()
        with pytest.raises(MountError) as info:
            mount_in(machine, image, **kw)
        watch.finish()
    return errno.errorcode[info.value.errno], info.value.message.removeprefix("erofs (device ram0): ")


@pytest.mark.parametrize("fields, name, message", [
    ({"magic": 0}, "EINVAL", "cannot find valid erofs superblock"),
    ({"blkszbits": 8}, "EINVAL", "blkszbits 8 isn't supported"),
    ({"blkszbits": 13}, "EINVAL", "blkszbits 13 isn't supported"),
    ({"dirblkbits": 1}, "EINVAL", "dirblkbits 1 isn't supported"),
    ({"feature_incompat": 0x200}, "EINVAL", "unidentified incompatible feature 200, please upgrade kernel"),
    ({"sb_extslots": 185}, "EINVAL", "invalid sb_extslots 3088 (more than a fs block)"),
    ({"feature_incompat": 0x100, "sb_extslots": 0}, "EUCLEAN", ""),
    ({"feature_incompat": 0x100, "sb_extslots": 1, "metabox_nid": 1 << 63}, "EUCLEAN", ""),
    ({"feature_compat": 0x21, "xattr_prefix_count": 1, "ishare_xattr_prefix_id": 1}, "EUCLEAN",
     "invalid ishare xattr prefix id 1"),
])
def test_superblocks_that_are_refused(fields, name, message):
    assert refusal(with_super(plain().data, **fields)) == (name, message)


def test_a_wrong_checksum_is_named():
    name, message = refusal(with_super(plain().data, checksum=False, inos=7))
    assert name == "EBADMSG" and message.startswith("invalid checksum 0x") and message.endswith(" expected")


@pytest.mark.parametrize("size", (0, 1, 1023, 1024, 1100))
def test_images_that_end_before_the_superblock_does(size):
    assert refusal(plain().data[:size])[0] in ("EINVAL", "EIO", "EBADMSG")


@pytest.mark.parametrize("options, name, message", [
    ("nonsense", "EINVAL", "erofs: Unknown parameter 'nonsense'"),
    ("cache_strategy=always", "EINVAL", "erofs: Bad value for 'cache_strategy'"),
    ("fsoffset=x", "EINVAL", "erofs: Bad value for 'fsoffset'"),
    ("dax=sometimes", "EINVAL", "erofs: Bad value for 'dax'"),
    ("dax", "EINVAL", "erofs: dax options not supported"),
    ("device=/dev/nothing", "EINVAL", "extra devices don't match (ondisk 0, given 1)"),
    ("fsoffset=512", "EINVAL", "cannot find valid erofs superblock"),
])
def test_options_that_are_refused(options, name, message):
    got = refusal(plain().data, options=options, config={"CONFIG_FS_DAX": False})
    assert got == (name, message)


def test_an_offset_inside_a_block():
    image = bytes(512) + forge(tree_of(a=b"hello"), ImagePlan(checksum=False)).data
    assert refusal(image, options="fsoffset=512") == ("EINVAL", "erofs: fsoffset 512 is not aligned to block size 4096")


@pytest.mark.parametrize("offset, function", [(512, "erofs_superblock_csum_verify"), (3584, "erofs_read_superblock")])
def test_finding_unaligned_offsets_read_behind_the_page(offset, function):
    """Linux 7.2 looks at fsoffset's alignment only after it has read the superblock through a mapping of one page: with an offset
    inside
    a block the superblock, or what its checksum covers, ends behind that page."""
    image = bytes(offset) + plain().data
    with machine_for(image) as machine, raises_splat(f"BUG: KASAN: out-of-bounds in {function}"):
        mount_in(machine, image, options=f"fsoffset={offset}")


def test_a_root_that_is_no_directory():
    image = plain()
    nid = image.inodes[id(image.root.entries[b"a"])].nid
    name, message = refusal(with_bytes(image.data, 1024 + 14, nid.to_bytes(2, "little")))
    assert name == "EINVAL" and message == f"rootino(nid {nid}) is not a directory(i_mode 100644)"


@pytest.mark.parametrize("options, shown", [
    ("", ",user_xattr,acl"),
    ("nouser_xattr,noacl", ",nouser_xattr,noacl"),
    ("fsoffset=0", ",user_xattr,acl"),
])
def test_options_are_shown(options, shown):
    with mounted(plain(), options=options) as m:
        seq = SeqFile()
        assert m.sb.s_op.show_options(seq, m.path.dentry) == 0
        assert "".join(seq.parts) == shown


def test_statfs():
    image = forge(tree_of(a=b"q" * 9000), ImagePlan(uuid=bytes(range(16)), volume_name=b"volume"))
    with mounted(image) as m:
        buf = kstatfs()
        assert m.sb.s_op.statfs(m.path.dentry, buf) == 0
        assert (buf.f_type, buf.f_bsize, buf.f_namelen) == (0xE0F5E1E2, 4096, 255)
        assert buf.f_blocks == image.features["blocks"]
        assert buf.f_files - buf.f_ffree == 2
        assert buf.f_fsid == (0x03020100 ^ 0x0B0A0908, 0x07060504 ^ 0x0F0E0D0C)


def test_the_volume_label():
    image = forge(tree_of(a=b"1"), ImagePlan(volume_name=b"0123456789abcdef"))
    with mounted(image) as m:
        f = file_open_root(m.path, "a", O_RDONLY, 0)
        label = bytearray(32)
        assert f.f_op.unlocked_ioctl(f, FS_IOC_GETFSLABEL, label) == 0
        assert bytes(label).split(b"\0")[0] == b"0123456789abcdef"
        assert f.f_op.unlocked_ioctl(f, 1, label) == -errno.ENOTTY
        assert f.f_op.unlocked_ioctl(f, FS_IOC_GETFSLABEL, bytearray(4)) == -errno.EFAULT
        fput(f)
        settle()


def test_one_device_is_one_superblock():
    from kemu.linux.fs import SB_RDONLY
    from kemu.linux.fs.namespace import vfs_kern_mount
    from kemu.linux.mount import mntput

    with mounted(plain()) as m:
        again = vfs_kern_mount(es.erofs_fs_type, SB_RDONLY, "/dev/ram0", None)
        assert not IS_ERR(again) and again.mnt_sb is m.sb
        mntput(again)
        settle()
        assert m.sb.s_root is not None


def test_file_handles_lead_back():
    root = t.Dir(entries={b"d": t.Dir(entries={b"f": t.File(data=b"z")})})
    with mounted(forge(root)) as m, looked_up(m, b"d/f") as de:
        ops = m.sb.s_export_op
        fh, n = [0] * 8, Ref(2)
        assert ops.encode_fh(de.d_inode, fh, n, None) == 0xFF and n.v == 3
        assert ops.encode_fh(de.d_inode, fh, n, de.d_parent.d_inode) == 0xFF and n.v == 6
        n.v = 8
        assert ops.encode_fh(de.d_inode, fh, n, de.d_parent.d_inode) == FILEID_INO64_GEN_PARENT and n.v == 6

        class fid:
            raw = fh

        from kemu.linux.dcache import dput

        back = ops.fh_to_dentry(m.sb, fid, 6, FILEID_INO64_GEN_PARENT)
        assert back.d_inode is de.d_inode
        parent = ops.fh_to_parent(m.sb, fid, 6, FILEID_INO64_GEN_PARENT)
        assert parent.d_inode is de.d_parent.d_inode
        up = ops.get_parent(de.d_parent)
        assert up.d_inode is m.path.dentry.d_inode
        assert ops.fh_to_dentry(m.sb, fid, 2, FILEID_INO64_GEN) is None
        assert ops.fh_to_parent(m.sb, fid, 6, FILEID_INO64_GEN) is None
        for d in (back, parent, up):
            dput(d)


def test_without_compression_support():
    image = forge(tree_of(a=b"w" * 9000))
    with mounted(image, config={"CONFIG_EROFS_FS_ZIP": False}) as m, looked_up(m, b"a") as de:
        assert de.d_inode.i_size == 9000


def test_the_module_comes_and_goes():
    image = plain().data
    watch = all_detectors()
    with Machine(watch=watch) as machine:
        watch.attach(machine)
        watch.mark()
        for _ in range(3):
            assert load_module(machine) == 0
            mount_in(machine, image).umount()
            unload_module(machine)
            settle()
        watch.finish()


class EveryNth:
    """A Chooser that lets the n-th call that can fail, fail; everything else goes the plain way."""

    def __init__(self, n: int):
        self.left = n
        self.failed = ""

    def task(self, runnable, current, where):
        return runnable.index(current) if current in runnable else 0

    def fault(self, kind, what):
        self.left -= 1
        if self.left == 0:
            self.failed = f"{kind} in {what}"
            return True
        return False

    def value(self, name, low, high):
        return low


@pytest.mark.parametrize("config", ({}, {"CONFIG_EROFS_FS_ZIP": False}), ids=("zip", "plain"))
def test_every_call_that_can_fail_fails_once(config):
    """Mount with the n-th allocation or transfer failing, for every n: an errno, or a mount; and nothing is left."""
    image = forge(tree_of(a=b"hello"), ImagePlan(volume_name=b"label")).data
    seen = set()
    n = 0
    while True:
        n += 1
        watch = all_detectors()
        with machine_for(image, watch=watch, config=config) as machine:
            watch.attach(machine)
            load_module(machine)
            watch.mark()
            chooser = machine.chooser = EveryNth(n)
            with machine:
                try:
                    m = mount_in(machine, image)
                except MountError as e:
                    seen.add(errno.errorcode[e.errno])
                    assert chooser.failed
                else:
                    chooser.left = -1
                    m.umount()
            machine.chooser = None
            watch.finish()
        if not chooser.failed:
            break
        assert n < 500
    assert n > 20 and "ENOMEM" in seen


def test_path_of_the_root():
    with mounted(plain()) as m:
        assert isinstance(m.path, Path) and m.path.dentry is m.sb.s_root
