# SPDX-License-Identifier: GPL-2.0-only
"""Races put into copies of the C: what the search for schedules has to find. Each is a line or two of a patch."""
from __future__ import annotations

from dataclasses import dataclass

from kemu.rung.uml.cache import default_tree
from kemu.rung.uml.patches import BLOCKS, Patch
from tests.c.planted import Plant


@dataclass(frozen=True)
class Race:
    """Edits of the C that make a race, and the experiment that shows it."""

    name: str
    experiment: str
    edits: tuple[tuple[str, str, str], ...]
    flavour: str = "sched"
    fewest: int = 1                    # switches; 0: it shows when nobody is preempted, too

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
    Race("pending-after-unlock", "sched.plain", (
        ("fs/iomap/buffered-io.c", "\t\tend_read = !ifs->read_bytes_pending;\n\t\tif (end_read)\n"
         "\t\t\tuptodate = ifs_is_fully_uptodate(folio, ifs);\n\t\tspin_unlock_irq(&ifs->state_lock);\n",
         "\t\tspin_unlock_irq(&ifs->state_lock);\n\t\tend_read = !ifs->read_bytes_pending;\n\t\tif (end_read)\n"
         "\t\t\tuptodate = ifs_is_fully_uptodate(folio, ifs);\n"),)),
    # mm: a folio that was freed and used again before the reference was taken is taken for the one that was looked up
    Race("folio-not-looked-up-again", "sched.plain", (
        ("mm/filemap.c", "\t\tif (xa_is_sibling(folio))\n\t\t\tbreak;\n\t\tif (!folio_try_get(folio))\n\t\t\tgoto retry;\n\n"
         "\t\tif (unlikely(folio != xas_reload(&xas)))\n\t\t\tgoto put_folio;\n",
         "\t\tif (xa_is_sibling(folio))\n\t\t\tbreak;\n\t\tif (!folio_try_get(folio))\n\t\t\tgoto retry;\n"),
        ("mm/filemap.c", "\t\tcontinue;\nput_folio:\n\t\tfolio_put(folio);\nretry:\n\t\txas_reset(&xas);\n\t}\n"
         "\trcu_read_unlock();\n}\n\nstatic int filemap_read_folio",
         "\t\tcontinue;\nretry:\n\t\txas_reset(&xas);\n\t}\n\trcu_read_unlock();\n}\n\nstatic int filemap_read_folio"))),
    # workqueues: the count of bios is changed, and looked at afterwards; two find that it is zero, and both queue the work
    Race("queued-twice", "sched.cache", (
        ("fs/erofs/zdata.c", "\tif (atomic_add_return(bios, &io->pending_bios))\n\t\treturn;\n\tif (z_erofs_in_atomic",
         "\tif (bios)\n\t\tatomic_add(bios, &io->pending_bios);\n\tif (atomic_read(&io->pending_bios))\n\t\treturn;\n"
         "\tif (z_erofs_in_atomic"),), "sched-kasan"),
    # ishare: the list's lock is dropped before the inode that was found is held
    Race("found-not-held", "sched.ishare", (
        ("fs/erofs/ishare.c", "\tlist_for_each_entry(vi, &vi_share->ishare_list, ishare_list) {\n"
         "\t\trealinode = igrab(&vi->vfs_inode);\n\t\tif (realinode) {\n\t\t\t*need_iput = true;\n\t\t\tbreak;\n\t\t}\n"
         "\t}\n\tspin_unlock(&vi_share->ishare_lock);\n\n\tDBG_BUGON(!realinode);",
         "\tvi = list_first_entry(&vi_share->ishare_list, struct erofs_inode, ishare_list);\n"
         "\tspin_unlock(&vi_share->ishare_lock);\n\n\trealinode = igrab(&vi->vfs_inode);\n\t*need_iput = true;"),)),
    # overlayfs: whether somebody else has copied the file up is asked before the lock is taken
    Race("copied-up-twice", "sched.copyup", (
        ("fs/overlayfs/util.c", "\terr = ovl_inode_lock_interruptible(inode);\n\tif (err)\n\t\treturn err;\n\n"
         "\tif (ovl_already_copied_up_locked(dentry, flags))\n\t\terr = 1; /* Already copied up */\n\telse\n\t\terr =",
         "\tif (ovl_already_copied_up_locked(dentry, flags))\n\t\treturn 1; /* Already copied up */\n"
         "\terr = ovl_inode_lock_interruptible(inode);\n\tif (!err)\n\t\terr ="),
        ("fs/overlayfs/copy_up.c", "\t\tif (!ovl_dentry_upper(dentry))\n\t\t\terr = ovl_do_copy_up(&ctx);",
         "\t\terr = ovl_do_copy_up(&ctx);"))),
    # umount: it does not wait for a shrinker that is at work on the mount
    Race("umount-does-not-wait", "sched.remounts", (
        ("fs/erofs/zutil.c", "\tmutex_lock(&sbi->umount_mutex);\n\twhile (!xa_empty", "\twhile (!xa_empty"),
        ("fs/erofs/zutil.c", "\tlist_del(&sbi->list);\n\tspin_unlock(&erofs_sb_list_lock);\n\tmutex_unlock(&sbi->umount_mutex);",
         "\tlist_del(&sbi->list);\n\tspin_unlock(&erofs_sb_list_lock);"))),
    # who waits for the initramfs: helpers, the firmware loader
    Race("helper-does-not-wait", "sched.callers", (
        ("kernel/umh.c", "\twait_for_initramfs();\n\tretval = kernel_execve(", "\tretval = kernel_execve("),)),
    Race("firmware-does-not-wait", "sched.callers", (
        ("drivers/base/firmware_loader/main.c", "\twait_for_initramfs();\n\tfor (i = 0;", "\tfor (i = 0;"),)),
    # the unpacking itself is not among what is waited for
    Race("cookie-not-counted", "sched.callers", (
        ("init/initramfs.c", "async_synchronize_cookie_domain(initramfs_cookie + 1, &initramfs_domain);",
         "async_synchronize_cookie_domain(initramfs_cookie, &initramfs_domain);"),)),
    # helpers are let in before there is anything to wait for
    Race("helpers-enabled-too-early", "sched.callers", (
        ("init/initramfs.c", "\tinitramfs_cookie = async_schedule_domain(do_populate_rootfs, NULL,\n"
         "\t\t\t\t\t\t &initramfs_domain);\n\tusermodehelper_enable();",
         "\tusermodehelper_enable();\n\tinitramfs_cookie = async_schedule_domain(do_populate_rootfs, NULL,\n"
         "\t\t\t\t\t\t &initramfs_domain);"),)),
    # what has been written is still open when the next one executes it
    Race("closed-later", "sched.callers", (
        ("init/initramfs.c", "\tinitrd_end = 0;\n\n\tinit_flush_fput();", "\tinitrd_end = 0;"),), fewest=0),
    # an initcall frees the initrd, and does not wait for who unpacks it
    Race("initrd-freed-by-an-initcall", "sched.callers", (
        ("init/initramfs.c", "\tif (!do_retain_initrd && initrd_start && !kexec_free_initrd()) {\n"
         "\t\tfree_initrd_mem(initrd_start, initrd_end);\n\t} else if", "\tif"),
        ("init/initramfs.c", "\tinitrd_start = 0;\n\tinitrd_end = 0;\n\n\tinit_flush_fput();\n}",
         "\tinit_flush_fput();\n}\n\nstatic int __init free_initrd(void)\n{\n\tif (!do_retain_initrd && initrd_start)\n"
         "\t\tfree_initrd_mem(initrd_start, initrd_end);\n\treturn 0;\n}\nlate_initcall(free_initrd);"))),
    # an initcall wants the initrd to be kept, and may come too late
    Race("initrd-kept-too-late", "sched.callers", (
        ("init/initramfs.c", "\tinit_flush_fput();\n}", "\tinit_flush_fput();\n}\n\nstatic int __init keep_initrd(void)\n{\n"
         "\tdo_retain_initrd = 1;\n\treturn 0;\n}\nlate_initcall(keep_initrd);"),)),
    # files that a work is closing are taken for closed (as before flush_delayed_fput() waited for it)
    Race("closing-is-closed", "sched.callers", (
        ("fs/file_table.c", "\tdelayed_fput(NULL);\n\tflush_delayed_work(&delayed_fput_work);", "\tdelayed_fput(NULL);"),
        ("fs/Makefile", "obj-$(CONFIG_BUFFER_HEAD)", f"CFLAGS_file_table.o += {BLOCKS}\nobj-$(CONFIG_BUFFER_HEAD)"))),
)
