# SPDX-License-Identifier: GPL-2.0-only
"""Bugs put into copies of the C, one of each kind that the C rung has to find."""
from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from kemu.rung.uml.patches import Patch


@dataclass(frozen=True)
class Plant:
    """A bug: in ``file``, ``old`` becomes ``new``. ``flavour``: the one that shows it. ``said``: what the report begins with;
    ``place``: the function that it names (or one that calls it).
    """

    name: str
    file: str
    old: str
    new: str
    flavour: str
    said: str
    place: str = ""

    def patch(self, tree: Path) -> Patch:
        """The plant as a diff of this tree."""
        text = (tree / self.file).read_text()
        assert text.count(self.old) == 1, f"{self.name}: {self.file} has that text {text.count(self.old)} times"
        diff = difflib.unified_diff(text.splitlines(keepends=True), text.replace(self.old, self.new).splitlines(keepends=True),
                                    f"a/{self.file}", f"b/{self.file}")
        return Patch(self.name, self.name, "".join(diff).encode())


PLANTS = (
    Plant("out-of-bounds-read", "fs/erofs/xattr.c",
          "	while (i < vi->xattr_shared_count) {",
          "	while (i <= vi->xattr_shared_count) {",
          "asan", "KASAN: slab-out-of-bounds: read of 4", "erofs_xattr_iter_shared"),
    Plant("use-after-free", "fs/erofs/inode.c",
          "		inode_set_cached_link(inode, link, inode->i_size);",
          "		inode_set_cached_link(inode, link, inode->i_size);\n		kfree(link);",
          "asan", "KASAN: slab-use-after-free", "vfs_readlink"),
    Plant("shift-overflow", "fs/erofs/super.c",
          "	if (sbi->blkszbits < 9 || sbi->blkszbits > PAGE_SHIFT) {",
          "	if (sbi->blkszbits < 9) {",
          "ubsan", "UBSAN: shift-out-of-bounds"),
    Plant("null-call", "fs/erofs/decompressor.c",
          "		.decompress = z_erofs_lz4_decompress,",
          "		.decompress = NULL,",
          "plain", "SIGSEGV at 0", "z_erofs_decompress_pcluster"),
    Plant("leak", "fs/erofs/super.c",
          "	kfree(vi->xattr_shared_xattrs);\n	kmem_cache_free",
          "	kmem_cache_free",
          "asan", "LEAK kmalloc", "erofs_init_inode_xattrs"),
    Plant("missing-unlock", "fs/erofs/zdata.c",
          "	WRITE_ONCE(pcl->next, NULL);\n	mutex_unlock(&pcl->lock);",
          "	WRITE_ONCE(pcl->next, NULL);\n	if (!err)\n		mutex_unlock(&pcl->lock);",
          "plain", "deadlock", "mutex_lock"),
    Plant("unchecked-length", "fs/erofs/inode.c",
          "	if (unlikely(inode->i_size < 0)) {",
          "	if (0) {",
          "plain", "differs"),
    Plant("early-put", "fs/erofs/xattr.c",
          "			  vi->xattr_shared_count, vi->nid);\n",
          "			  vi->xattr_shared_count, vi->nid);\n		put_page(buf.page);\n",
          # who drops the last reference is told, and that is whoever comes after
          "plain", "a page is freed that is in the page cache"),
    Plant("uninitialised", "fs/erofs/zdata.c",
          "		memcpy_to_folio(folio, cur, src, cnt);",
          "		memcpy_to_folio(folio, cur, src, cnt - 1);",
          "plain", "uninitialised"),
)

# what no little-endian machine shows: sparse says it of the types
ENDIAN = (
    Plant("a field of 32 bits", "fs/erofs/inode.c",
          "		inode->i_size = le32_to_cpu(dic->i_size);",
          "		inode->i_size = dic->i_size;",
          "plain", "restricted __le32"),
    Plant("an array's element", "fs/erofs/xattr.c",
          "		vi->xattr_shared_xattrs[i] = le32_to_cpu(*xattr_id);",
          "		vi->xattr_shared_xattrs[i] = *xattr_id;",
          "plain", "restricted __le32"),
    Plant("a comparison", "fs/erofs/super.c",
          "	if (le32_to_cpu(dsb->magic) != EROFS_SUPER_MAGIC_V1) {",
          "	if (dsb->magic != EROFS_SUPER_MAGIC_V1) {",
          "plain", "restricted __le32"),
)
