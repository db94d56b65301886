# SPDX-License-Identifier: GPL-2.0-only
"""blend.patch in Python: as it is, and with one difference of each kind."""
from __future__ import annotations

from kemu.linux.bits import BIT
from kemu.linux.errno import EINVAL, EIO
from kemu.linux.port.series import Series
from kemu.linux.types import s32, u16

from erofs_memback import dir, inode, super

_NAMES = {"BIT": BIT, "EINVAL": EINVAL, "EIO": EIO, "s32": s32, "u16": u16}
_HUNKS = {
    inode.erofs_read_inode: (("""\
            erofs_err(sb, "unsupported i_format %u of nid %llu", ifmt, vi.nid)
            return -EOPNOTSUPP
""", """\
            erofs_err(sb, "unsupported i_format %u of nid %llu", ifmt, vi.nid)
            return -EINVAL
"""), ("""\
                vi.dot_omitted = bool((ifmt >> EROFS_I_DOT_OMITTED_BIT) & 1)
""", """\
                vi.dot_omitted = bool(ifmt & BIT(EROFS_I_DOT_OMITTED_BIT))
"""), ("""\
            inode.i_blocks = u64(loff_t(round_up(inode.i_size, sb.s_blocksize)) >> 9)
""", """\
            inode.i_blocks = u64(loff_t(round_up(inode.i_size, sb.s_blocksize)) // 512)
"""), ("""\
            i_uid_write(inode, dic.i_uid)
            i_gid_write(inode, dic.i_gid)
""", """\
            i_gid_write(inode, dic.i_gid)
            i_uid_write(inode, dic.i_uid)
""")),
    inode.erofs_fill_symlink: (("""\
            link = kmemdup_nul(bptr + ofs, inode.i_size, GFP_KERNEL)
            if not link:
                return -ENOMEM
            if not inode.i_size or strlen(link) != inode.i_size:
""", """\
            if not inode.i_size:
                return -EFSCORRUPTED
            link = kmemdup_nul(bptr + ofs, inode.i_size, GFP_KERNEL)
            if not link:
                return -ENOMEM
            if strlen(link) != inode.i_size:
"""),),
    dir.erofs_fill_dentries: (("""\
 or u32(nameoff + de_namelen) > maxsize:
""", """\
 or nameoff >= maxsize or de_namelen > maxsize - nameoff:
"""),),
    super.erofs_put_super: (("""\
    erofs_free_dev_context(sbi.devs)
""", """\
    if sbi.devs:
        erofs_free_dev_context(sbi.devs)
"""),),
}


def _series(name: str, old: str = "", new: str = "", extra: tuple[object, str, str] | None = None) -> Series:
    """The right one, with ``old`` in its hunks replaced by ``new``, or with one hunk more."""
    out = Series(name, ("erofs_memback",), "a few changes in a row")
    hit = 0
    for of, hunks in _HUNKS.items():
        made = []
        for before, after in hunks:
            hit += bool(old) and after.count(old)
            made.append((before, after.replace(old, new) if old else after))
        if extra is not None and extra[0] is of:
            made.append((extra[1], extra[2]))
        out.edits(of, *made, names=_NAMES)
    assert hit == (1 if old else 0)
    return out


right = _series("right")
errno = _series("errno", "return -EINVAL", "return -EIO")
mask = _series("mask", "BIT(EROFS_I_DOT_OMITTED_BIT)", "BIT(EROFS_I_DOT_OMITTED_BIT - 1)")
rounding = _series("rounding", "loff_t(round_up(inode.i_size, sb.s_blocksize)) // 512", "loff_t(inode.i_size) // 512")
field = _series("field", "i_uid_write(inode, dic.i_uid)", "i_uid_write(inode, dic.i_gid)")
bound = _series("bound", "de_namelen > maxsize - nameoff", "de_namelen >= maxsize - nameoff")
release = _series("release", extra=(inode.erofs_fill_symlink, "                kfree(link)\n", ""))
sign = _series("sign", extra=(inode.erofs_read_inode, "s64(sbi.epoch + dic.i_mtime)", "s64(sbi.epoch + s32(dic.i_mtime))"))
order = _series("order", extra=(super.erofs_put_super, """\
    erofs_unregister_sysfs(sb)
    if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
        zutil.erofs_shrinker_unregister(sb)
""", """\
    if IS_ENABLED("CONFIG_EROFS_FS_ZIP"):
        zutil.erofs_shrinker_unregister(sb)
    erofs_drop_internal_inodes(sbi)
    erofs_unregister_sysfs(sb)
"""))
width = _series("width", extra=(inode.erofs_read_inode, "            inode.i_size = dic.i_size\n",
                                "            inode.i_size = u16(dic.i_size)\n"))
ignored = _series("ignored", extra=(inode.erofs_read_inode, """\
                err = erofs_fill_symlink(inode, ptr, ofs)
                if err:
                    return err
""", """\
                erofs_fill_symlink(inode, ptr, ofs)
"""))
off_by_one = _series("off-by-one", extra=(inode.erofs_read_inode, "vi.chunkbits = sb.s_blocksize_bits + (",
                                          "vi.chunkbits = sb.s_blocksize_bits + 1 + ("))
