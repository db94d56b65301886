# SPDX-License-Identifier: GPL-2.0-only
"""What the port has found that rests on a schedule, put into the C: each of these the booted kernel has to show, too."""
from __future__ import annotations

from dataclasses import dataclass

from tests.sched import on_ext4
from tests.sched.planted import Race


@dataclass(frozen=True)
class Found(Race):
    """The finding's name in the port, the experiment of chosen schedules that shows it, the C; ``extra``: configuration."""

    extra: tuple[str, ...] = ()


_KICKOFF = "\t\tqueue_work(z_erofs_workqueue, &io->u.work);\n\t\treturn;\n"
_AUTO = """\
		/* See `sync_decompress` in sysfs-fs-erofs for more details */
		if (sbi->sync_decompress == EROFS_SYNC_DECOMPRESS_AUTO)
			sbi->sync_decompress = EROFS_SYNC_DECOMPRESS_FORCE_ON;
"""
_DO_PUT = "\tif (refcount_dec_and_test(&rq->ref))\n\t\tkfree(rq);\n"
_END_COMPLETE = "\tbio_uninit(&rq->bio);\n" + _DO_PUT
_END_SUBMIT = "\t\terofs_fileio_ki_complete(&rq->iocb, ret);\n" + _DO_PUT
_PARSE = "static int erofs_fc_parse_param(struct fs_context *fc,\n\t\t\t\tstruct fs_parameter *param)\n{\n"
_OPT = "\topt = fs_parse(fc, erofs_fs_parameters, param, &result);\n"
_GIVEN = (("fs/erofs/super.c", _PARSE, "static char *erofs_pending;\n\n" + _PARSE),
          ("fs/erofs/super.c", _OPT, "\tif (!strcmp(param->key, \"source\"))\n"
           "\t\tkfree(xchg(&erofs_pending, kstrdup(param->string, GFP_KERNEL)));\n" + _OPT))
_GET_TREE = "\tret = get_tree_bdev_flags(fc, erofs_fc_fill_super,\n"
_FLUSH = "\tinitrd_start = 0;\n\tinitrd_end = 0;\n\n\tinit_flush_fput();\n}\n"

FINDINGS = (
    Found("queue-after-the-work", "sched.umount", (
        ("fs/erofs/zdata.c", _KICKOFF,
         _KICKOFF.replace("\t\treturn", "\t\tWRITE_ONCE(io->eio, READ_ONCE(io->eio));\n\t\treturn")),), "sched-kasan"),
    Found("57-superblock-after-the-work", "sched.umount", (
        ("fs/erofs/zdata.c", _AUTO, ""),
        ("fs/erofs/zdata.c", _KICKOFF, _KICKOFF.replace("\t\treturn", _AUTO.partition("\n")[2] + "\t\treturn"))), "sched-kasan"),
    Found("decompressed-in-the-interrupt", "sched.cache", (
        ("fs/erofs/zdata.c", "\tif (z_erofs_in_atomic()) {\n", "\tif (0 && z_erofs_in_atomic()) {\n"),)),
    Found("bio-counted-twice", "sched.cache", (
        ("fs/erofs/zdata.c", "\tz_erofs_decompress_kickoff(q, -1);\n\tif (bio->bi_bdev)",
         "\tz_erofs_decompress_kickoff(q, -2);\n\tif (bio->bi_bdev)"),)),
    Found("completed-twice", "sched.nested", (
        ("fs/erofs/fileio.c", "\tif (ret != -EIOCBQUEUED)\n", "\tif (1)\n"),), "sched-kasan"),
    # one slot for everybody between who gives an image, here by its name, and who mounts it
    Found("3-pending-slot-overwrite", "sched.mounts", (*_GIVEN, ("fs/erofs/super.c", _GET_TREE, """\
	kfree(fc->source);
	fc->source = xchg(&erofs_pending, NULL);
	if (!fc->source)
		return -ENODEV;
""" + _GET_TREE))),
    Found("3-pending-slot-as-posted", "sched.mounts", (*_GIVEN, ("fs/erofs/super.c", _GET_TREE, """\
	kfree(fc->source);
	fc->source = xchg(&erofs_pending, NULL) ?: kstrdup("none", GFP_KERNEL);
""" + _GET_TREE))),
    Found("nobody-waits", "sched.boot", (
        ("init/main.c", "\twait_for_initramfs();\n\tconsole_on_rootfs();", "\tconsole_on_rootfs();"),)),
    Found("delayed-files-not-flushed", "sched.boot", (
        ("init/initramfs.c", _FLUSH, _FLUSH.replace("\n\tinit_flush_fput();\n", "")),)),
    Found("21-mount-before-register", "sched.boot", (
        ("init/initramfs.c", "done:\n\tsecurity_initramfs_populated();\n",
         "done:\n\tif (init_mount(\"none\", \"/\", \"erofs\", 1, NULL) == -ENODEV)\n"
         "\t\tprintk(KERN_EMERG \"Initramfs unpacking failed: %s\\n\", \"no EROFS\");\n\tsecurity_initramfs_populated();\n"),)),
    Found("29-direct-request-freed-by-the-completion", on_ext4.NAME, (
        ("fs/erofs/fileio.c", _END_COMPLETE, _END_COMPLETE.replace(_DO_PUT, "\tkfree(rq);\n")),
        ("fs/erofs/fileio.c", _END_SUBMIT, _END_SUBMIT.replace(_DO_PUT, ""))), "sched-kasan", extra=on_ext4.EXT4),
)
