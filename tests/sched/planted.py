# SPDX-License-Identifier: GPL-2.0-only
"""Races put into copies of the C: what the search for schedules has to find. Each is a line or two of a patch."""
from __future__ import annotations

from dataclasses import dataclass

from kemu.rung.uml.cache import default_tree
from kemu.rung.uml.patches import Patch
from tests.c.planted import Plant


@dataclass(frozen=True)
class Race:
    """Edits of the C that make a race, and the experiment that shows it."""

    name: str
    experiment: str
    edits: tuple[tuple[str, str, str], ...]
    flavour: str = "sched"

    def patches(self) -> list[Patch]:
        """The edits as diffs, each on top of those before."""
        by_file: dict[str, list[tuple[str, str]]] = {}
        for file, old, new in self.edits:
            by_file.setdefault(file, []).append((old, new))
        out = []
        for file, edits in by_file.items():
            text = (default_tree() / file).read_text()
            for old, new in edits:
                assert text.count(old) == 1, f"{self.name}: {file} has that text {text.count(old)} times"
                text = text.replace(old, new)
            out.append(Plant(self.name, file, (default_tree() / file).read_text(), text, "", "").patch(default_tree()))
        return out


RACES = (
    Race("inited-too-early", "sched.readers", (
        ("fs/erofs/zmap.c", "\tpos = ALIGN(erofs_iloc(inode) + vi->inode_isize + vi->xattr_isize, 8);\n\th = erofs",
         "\tset_bit(EROFS_I_Z_INITED_BIT, &vi->flags);\n"
         "\tpos = ALIGN(erofs_iloc(inode) + vi->inode_isize + vi->xattr_isize, 8);\n\th = erofs"),)),
    Race("pcluster-without-rcu", "sched.pressure", (
        ("fs/erofs/zdata.c", "\tif (free) {\n\t\tatomic_long_dec(&erofs_global_shrink_cnt);\n"
         "\t\tcall_rcu(&pcl->rcu, z_erofs_rcu_callback);",
         "\tif (free) {\n\t\tatomic_long_dec(&erofs_global_shrink_cnt);\n\t\tz_erofs_rcu_callback(&pcl->rcu);"),
        ("fs/erofs/zdata.c", "\tif (free)\n\t\tcall_rcu(&pcl->rcu, z_erofs_rcu_callback);",
         "\tif (free)\n\t\tz_erofs_rcu_callback(&pcl->rcu);")), "sched-kasan"),
    Race("buffer-after-unlock", "sched.readers", (
        ("fs/erofs/zutil.c", "\treturn gbuf->ptr;\n}", "\tspin_unlock(&gbuf->lock);\n\treturn gbuf->ptr;\n}"),
        ("fs/erofs/zutil.c", "\tDBG_BUGON(gbuf->ptr != ptr);\n\tspin_unlock(&gbuf->lock);", "\tDBG_BUGON(gbuf->ptr != ptr);"))),
    Race("no-recheck", "sched.pressure", (
        ("fs/erofs/zdata.c", "\tif (__lockref_is_dead(&pcl->lockref)) {\n"
         "\t\tspin_unlock(&pcl->lockref.lock);\n\t\treturn false;\n\t}\n", ""),), "sched-kasan"),
    Race("init-does-not-wait", "sched.boot", (
        ("init/main.c", "\twait_for_initramfs();\n\tconsole_on_rootfs();", "\tconsole_on_rootfs();"),)),
    Race("touched-after-queue", "sched.umount", (
        ("fs/erofs/zdata.c", "\t\tif (sbi->sync_decompress == EROFS_SYNC_DECOMPRESS_AUTO)\n"
         "\t\t\tsbi->sync_decompress = EROFS_SYNC_DECOMPRESS_FORCE_ON;\n", ""),
        ("fs/erofs/zdata.c", "\t\tqueue_work(z_erofs_workqueue, &io->u.work);\n\t\treturn;",
         "\t\tqueue_work(z_erofs_workqueue, &io->u.work);\n\t\tif (sbi->sync_decompress == EROFS_SYNC_DECOMPRESS_AUTO)\n"
         "\t\t\tsbi->sync_decompress = EROFS_SYNC_DECOMPRESS_FORCE_ON;\n\t\treturn;")), "sched-kasan"),
)
