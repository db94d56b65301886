# SPDX-License-Identifier: GPL-2.0-only
"""Bugs that init/ had, or could have, put back into the port as a few changed lines each: the museum's entries by number, and
their kin.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.init_syscalls import init_mount
from kemu.machine.series import Series
from tests.quality.hunt import Mutant

from initramfs import initramfs as unpacker
from initramfs import main

mutants: list[Mutant] = []
fixes: list[Series] = []


def _series(name: str, edits: tuple[Any, ...], names: dict[str, Any] | None) -> Series:
    s = Series(name, ("initramfs",))
    by_function: dict[Any, list[tuple[str, str]]] = {}
    for original, hunk in edits:
        by_function.setdefault(original, []).append(hunk)
    for original, hunks in by_function.items():
        s.edits(original, *hunks, names=names)
    return s


def mutant(name: str, experiments: str, *edits: tuple[Any, tuple[str, str]], names: dict[str, Any] | None = None,
           title: str = "") -> None:
    """``edits``: (function, (old, new)) each; ``experiments``: names without ``initramfs.``."""
    mutants.append(Mutant(_series(name, edits, names), tuple(f"initramfs.{e}" for e in experiments.split()), title))


_NUL = """\
    if get_char(g.collected + g.name_len - 1) != 0:
"""

# the museum

mutant("9-initrd-leak-on-open-failure", "failing-calls",
       (unpacker.populate_initrd_image, ("    if IS_ERR(file):\n        return\n",
                                         "    if IS_ERR(file):\n        return True\n")),
       (unpacker.do_populate_rootfs, ("                populate_initrd_image(err)\n",
                                      "                if populate_initrd_image(err):\n                    return\n")),
       title="initrd")

mutant("21-mount-before-register", "order",
       (unpacker.do_populate_rootfs, ("        err = unpack_to_rootfs(initrd.initrd_start,",
                                      "        init_mount('none', '/', 'erofs', 0, None)\n        err = "
                                      "unpack_to_rootfs(initrd.initrd_start,")),
       names={"init_mount": init_mount}, title="before its initcall")

mutant("23-name-no-nul", "archives", (unpacker.do_name, (_NUL, "    if False:\n")))
mutant("23-symlink-no-nul", "archives", (unpacker.do_symlink, (_NUL, "    if False:\n")))
mutant("27-clean-path-inverted", "two-archives",
       (unpacker.clean_path, ("if not init_stat(", "if init_stat(")), title="tree")

# 25 is there in 7.2: what is a mutant elsewhere is the mending here
fixes.append(_series("25-truncated-file-put", ((unpacker.unpack_to_rootfs, ("    dir_utime()\n", """\
    if g.state == CopyFile:
        fput(g.wfile)
    dir_utime()
""")),), None))

# of the same kinds

mutant("hash-leak-without-trailer", "links",
       (unpacker.unpack_to_rootfs, ("    free_hash()\n    kfree(bufs)\n", "    kfree(bufs)\n")))
mutant("links-across-trailer", "links", (unpacker.do_name, ("        free_hash()\n        return 0\n", "        return 0\n")))
mutant("buffers-leak", "archives", (unpacker.unpack_to_rootfs, ("    kfree(bufs)\n", "")), title="kmalloc objects")
mutant("file-not-put", "archives", (unpacker.do_copy, ("        fput(g.wfile)\n", "")),
       title="Failed to execute /kemu-init (error -26)")
mutant("put-twice", "archives", (unpacker.do_copy, ("        fput(g.wfile)\n", "        fput(g.wfile)\n        fput(g.wfile)\n")))
mutant("no-truncate", "archives two-archives", (unpacker.do_name,
                                                ("                openflags |= O_TRUNC\n", "                pass\n")))
mutant("checksum-carried-on", "archives", (unpacker.do_name, ("            g.io_csum = 0\n", "")), title="message")
mutant("checksum-not-compared", "archives",
       (unpacker.do_copy, ("if g.csum_present and g.io_csum != g.hdr_csum:", "if False:")), title="message")
mutant("hexadecimal-by-strtoul", "archives",
       (unpacker.parse_header, ("unhexlify(mem_read(s + 6, 104))", "lenient(mem_read(s + 6, 104))")),
       names={"lenient": lambda b: b"".join((int(b[i:i + 8].strip(b"+- \0xgG") or b"0", 16) & 0xFFFFFFFF).to_bytes(4, "big")
                                            for i in range(0, 104, 8))})
mutant("symlink-over-symlink", "archives two-archives", (unpacker.do_symlink, ("    clean_path(collected, 0)\n", "")),
       title="tree")
mutant("symlink-too-long", "archives", (unpacker.do_header, ("if g.body_len > PATH_MAX:", "if False:")))
mutant("name-too-long", "sizes", (unpacker.do_header, ("if g.name_len <= 0 or g.name_len > PATH_MAX:", "if g.name_len <= 0:")),
       title="KASAN")
mutant("symlink-end-not-marked", "archives",
       (unpacker.do_symlink, ("    put_char(g.collected + N_ALIGN(g.name_len) + g.body_len, 0)\n", "")))
mutant("links-by-inode-only", "links",
       (unpacker.find_link, ("if p.v.minor != minor:", "if False:")),
       (unpacker.find_link, ("if p.v.major != major:", "if False:")),
       (unpacker.find_link, ("if (p.v.mode ^ mode) & S_IFMT:", "if False:")), title="tree")
mutant("link-over-old-name", "archives two-archives", (unpacker.maybe_link,
                                                       ("            clean_path(collected, 0)\n", "            pass\n")),
       title="tree")
mutant("times-of-directories-at-once", "archives",
       (unpacker.do_name, ("        dir_add(collected, g.name_len, g.mtime)\n", "        do_utime(collected, g.mtime)\n")),
       title="mtime")
mutant("times-of-files-forgotten", "archives", (unpacker.do_copy, ("        do_utime_path(g.wfile.f_path, g.mtime)\n", "")),
       title="tree")
mutant("mode-by-umask", "archives", (unpacker.do_name, ("            vfs_fchmod(wfile, mode)\n", "")), title="tree")
mutant("owner-after-mode", "archives",
       (unpacker.do_name, ("            vfs_fchown(wfile, g.uid, g.gid)\n            vfs_fchmod(wfile, mode)\n",
                           "            vfs_fchmod(wfile, mode)\n            vfs_fchown(wfile, g.uid, g.gid)\n")), title="tree")
mutant("next-member-not-aligned", "links", (unpacker.do_header, ("    g.next_header = (g.next_header + 3) & ~3\n", "")))
mutant("first-message-lost", "links", (unpacker.error, ("    if not g.message:\n        g.message = x\n", "    g.message = x\n")))
mutant("image-file-not-put", "memory", (unpacker.populate_initrd_image, ("    fput(file)\n", "")), title="open file")
mutant("retained-and-freed", "memory",
       (unpacker.do_populate_rootfs, ("    if not g.do_retain_initrd and initrd.initrd_start and not kexec_free_initrd():\n",
                                      "    if initrd.initrd_start and not kexec_free_initrd():\n")))
mutant("pointers-not-cleared", "memory", (unpacker.do_populate_rootfs, ("    initrd.initrd_start = 0\n", "")),
       title="initrd_start")
mutant("never-freed", "memory",
       (unpacker.do_populate_rootfs, ("        free_initrd_mem(initrd.initrd_start, initrd.initrd_end)\n", "        pass\n")),
       title="belong to no one")
mutant("freed-twice", "memory",
       (unpacker.do_populate_rootfs, ("        free_initrd_mem(initrd.initrd_start, initrd.initrd_end)\n",
                                      "        free_initrd_mem(initrd.initrd_start, initrd.initrd_end)\n" * 2)))
mutant("crash-kernel-freed", "memory",
       (unpacker.kexec_free_initrd, ("        free_initrd_mem(initrd.initrd_start, crashk_start)\n",
                                     "        free_initrd_mem(initrd.initrd_start, crashk_end)\n")))
mutant("crash-kernel-test-inverted", "memory",
       (unpacker.kexec_free_initrd, ("initrd.initrd_start >= crashk_end or initrd.initrd_end <= crashk_start",
                                     "initrd.initrd_start >= crashk_start or initrd.initrd_end <= crashk_end")))
mutant("nobody-waits", "schedules", (main.kernel_init_freeable, ("    wait_for_initramfs()\n", "")))
mutant("delayed-files-not-flushed", "archives schedules", (unpacker.do_populate_rootfs, ("    init_flush_fput()\n", "")),
       title="ETXTBSY")
mutant("link-hash-unchecked", "failing-calls", (unpacker.find_link,
                                                ('    if q is None:\n        panic_show_mem("can\'t allocate link hash entry")\n',
                                                 "")))
mutant("open-unchecked", "archives failing-calls", (unpacker.do_name,
                                                    ("            if IS_ERR(wfile):\n                return 0\n", "")))

# whose shrunk input still is an image or an archive with several odd things
mutants[:] = [m._replace(small=60) if m.series.name in ("hash-leak-without-trailer", "checksum-carried-on") else m
              for m in mutants]
