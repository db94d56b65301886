# SPDX-License-Identifier: GPL-2.0-only
"""xattr.c: names and values as root sees them, filters, prefixes, ACLs, options; and what Linux gets wrong."""
from __future__ import annotations

import errno

import pytest

from kemu.forge import tree as t
from kemu.forge.erofs.plan import ImagePlan
from kemu.linux.err import IS_ERR
from kemu.linux.port.series import Series
from kemu.linux.posix_acl import ACL_TYPE_ACCESS
from kemu.linux.slab import kfree, kmalloc
from kemu.linux.string import mem_read
from kemu.linux.xattr import do_getxattr, listxattr, vfs_listxattr
from kemu.report import manifest
from kemu.report.walk import walk
from tests.conftest import DATA
from tests.unit.erofs_memback.images import forge, looked_up, mounted, with_bytes

from erofs_memback import xattr

XATTRS = {b"user.a": b"1", b"user.empty": b"", b"user." + b"n" * 200: b"v" * 3000, b"trusted.t": b"T" * 5,
          b"security.selinux": b"label\0",
          b"user.zz": b"last"}


def image_with(shared: bool = False, xattrs=XATTRS, **plan):
    root = t.Dir(entries={b"f": t.File(data=b"x", xattrs=dict(xattrs)), b"g": t.File(data=b"y", xattrs=dict(xattrs)),
                          b"none": t.Fifo()})
    return forge(root, ImagePlan(**plan), f={"xattr_shared": shared}, g={"xattr_shared": shared})


@pytest.mark.parametrize("shared", (False, True))
@pytest.mark.parametrize("filter_", (False, True))
@pytest.mark.parametrize("blkszbits", (9, 12))
def test_every_name_and_value(shared, filter_, blkszbits):
    image = image_with(shared, xattr_filter=filter_, blkszbits=blkszbits)
    with mounted(image) as m:
        assert manifest.diff(image.manifest(), walk(m.path)) == ""
        with looked_up(m, b"f") as de:
            get = lambda name, size=65536: do_getxattr(m.path.mnt.mnt_idmap, de, name, size)
            assert get(b"user.absent") == -errno.ENODATA
            assert get(b"user.a", 0) == b""
            assert get(b"user." + b"n" * 200, 100) == -errno.ERANGE
            assert get(b"user.") == -errno.EINVAL
            assert get(b"nothing.a") == -errno.EOPNOTSUPP
            size = vfs_listxattr(de, 0, 0)
            assert size == sum(len(n) + 1 for n in XATTRS)
            assert listxattr(de, size - 1) == -errno.ERANGE
            assert sorted(listxattr(de, size).split(b"\0")[:-1]) == sorted(XATTRS)
        with looked_up(m, b"none") as de:
            assert listxattr(de) == b"" and do_getxattr(m.path.mnt.mnt_idmap, de, b"user.a") == -errno.ENODATA


def test_without_user_xattr():
    with mounted(image_with(), options="nouser_xattr") as m, looked_up(m, b"f") as de:
        assert sorted(listxattr(de).split(b"\0")[:-1]) == [b"security.selinux", b"trusted.t"]
        assert do_getxattr(m.path.mnt.mnt_idmap, de, b"user.a") == -errno.EOPNOTSUPP
        assert do_getxattr(m.path.mnt.mnt_idmap, de, b"trusted.t") == b"TTTTT"


@pytest.mark.parametrize("option, hidden", [("CONFIG_EROFS_FS_XATTR", sorted(XATTRS)),
                                            ("CONFIG_EROFS_FS_SECURITY", [b"security.selinux"])])
def test_built_without(option, hidden):
    with mounted(image_with(), config={option: False, "CONFIG_EROFS_FS_POSIX_ACL": False}) as m, looked_up(m, b"f") as de:
        assert sorted(listxattr(de).split(b"\0")[:-1]) == sorted(set(XATTRS) - set(hidden))
        for name in hidden:
            assert do_getxattr(m.path.mnt.mnt_idmap, de, name) == -errno.EOPNOTSUPP


ACL = b"\2\0\0\0" + b"".join(tag.to_bytes(2, "little") + perm.to_bytes(2, "little") + id_.to_bytes(4, "little")
                             for tag, perm, id_ in ((1, 6, 0xFFFFFFFF), (2, 4, 1000), (4, 4, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF),
                                                    (0x20, 0, 0xFFFFFFFF)))


def test_access_control_lists():
    image = image_with(xattrs={b"system.posix_acl_access": ACL})
    with mounted(image) as m, looked_up(m, b"f") as de:
        assert listxattr(de) == b"system.posix_acl_access\0"
        assert do_getxattr(m.path.mnt.mnt_idmap, de, b"system.posix_acl_access") == ACL
    with mounted(image, options="noacl") as m, looked_up(m, b"f") as de:
        assert do_getxattr(m.path.mnt.mnt_idmap, de, b"system.posix_acl_access") == -errno.EOPNOTSUPP


def test_an_inode_without_xattrs_has_no_acl_and_is_not_asked():
    with mounted(image_with()) as m, looked_up(m, b"none") as de:
        assert de.d_inode.i_acl is None and de.d_inode.i_default_acl is None
        assert IS_ERR(xattr.erofs_get_acl(de.d_inode, ACL_TYPE_ACCESS, True))
        assert xattr.erofs_get_acl(de.d_inode, ACL_TYPE_ACCESS, False) is None


@pytest.mark.parametrize("at, data, error, message", [
    (4, b"\xff", "EUCLEAN", "invalid h_shared_count 255 @ nid"),
    (12, b"\xff\1\xff\xff", "EUCLEAN", None),
])
def test_damaged_bodies(at, data, error, message):
    image = image_with(xattrs={b"user.a": b"1"})
    truth = image.inodes[id(image.root.entries[b"f"])]
    with mounted(with_bytes(image.data, truth.pos + (64 if truth.extended else 32) + at, data)) as m, looked_up(m, b"f") as de:
        assert errno.errorcode[-listxattr(de)] == error
        if message:
            assert message in m.machine.log.lines()[-1]


@pytest.mark.parametrize("name", ("xattr-prefix", "xattr-m4k"))
def test_a_name_on_the_heap_stays_in_its_buffer(name):
    """Values and names of real images through a buffer that fits exactly, with redzones around it."""
    with mounted((DATA / "erofs" / f"{name}.erofs").read_bytes()) as m:
        for i in range(5):
            with looked_up(m, b"f%02d" % i) as de:
                n = vfs_listxattr(de, 0, 0)
                if n > 0:
                    p = kmalloc(n)
                    assert vfs_listxattr(de, p, n) == n and mem_read(p, n).count(b"\0") >= 1
                    kfree(p)


def test_finding_shared_xattrs_are_read_through_the_page_of_the_inline_ones():
    """Linux 7.2: where inodes are in the metabox and shared xattrs are not (or the other way round), erofs_xattr_iter_shared()
    changes the
    buffer's mapping but keeps its page; if the page's index is the wanted one, names and values come from the wrong place."""
    image = (DATA / "erofs" / "xattr-m4k.erofs").read_bytes()
    fixed = Series("put-before-the-mapping-changes", ("erofs_memback",))
    fixed.edits(xattr.erofs_xattr_iter_shared, ("    ret = erofs_init_metabuf(it.buf,",
                                                "    erofs_put_metabuf(it.buf)\n    ret = erofs_init_metabuf(it.buf,"))

    def seen(**kw):
        with mounted(image, **kw) as m:
            return {e["path"]: e["xattrs"] for e in walk(m.path, contents=False)}

    assert seen(page_size=16384) != seen(page_size=4096)                # no image means two things
    right = seen(series=[fixed])
    assert right == seen(series=[fixed], page_size=16384) == seen(series=[fixed], page_size=65536)
    assert right != seen()
    assert None not in [v for x in right.values() for v in x.values()]
