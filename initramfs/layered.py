# SPDX-License-Identifier: GPL-2.0-only
"""The layered initrd: any row of cpio archives and EROFS images becomes the root, the images mounted where the boot loader put
them. Ours.

docs/explanation/layered.md has the rules and the reasons. In short: do_populate_rootfs() leaves an initrd that has an EROFS image
alone; PID 1 makes one attempt when all initcalls have run; a stage, which is a tmpfs of its own, holds the layers; pivot_root
puts the overlay in rootfs's place; what fails before that is taken down and everything goes on as without this file.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kemu.linux.err import PTR_ERR
from kemu.linux.errno import EINVAL, EIO, ENOMEM, ENOSPC
from kemu.linux.initrd import initrd
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.memblock import __va
from kemu.linux.port.series import Series
from kemu.linux.port.statics import per_machine, statics
from kemu.linux.printk import KERN_EMERG, KERN_INFO, pr_err, pr_info, pr_warn, printk
from kemu.linux.sched import Task, current
from kemu.linux.security import security_initramfs_populated
from kemu.linux.sysfs import firmware_kobj, sysfs_create_bin_file
from kemu.linux.types import NULL
from kemu.linux.wait import WaitQueueHead, wait_event, wake_up

from erofs_memback import memback
from initramfs import initramfs as base
from initramfs import main, verify
from initramfs.do_mounts_h import init_flush_fput
from initramfs.initrd_owner import initrd_owner, owner_alloc, owner_commit, owner_lend, owner_withdraw
from initramfs.segments import CPIO, EROFS, segment, split
from initramfs.stage import build_layers, layers, stage_possible, switch_root, undo
from initramfs.stage import g as stage

series = Series("layered", ("initramfs",), "layered initrd")
config = {"CONFIG_INITRD_LAYERED": True, **verify.config}

# claimed: the segments of the initrd that waits for layered_initrd_setup(); trees: hash trees of those that are verified as they
# are read; builder: the task that makes the attempt, while it does; built: who waits for its end
@statics
class g:
    claimed: list[segment] = NULL
    trees: list[verify.hash_tree] = []
    builder: Task = NULL
    built = per_machine(lambda: WaitQueueHead("the layered initrd", lambda: g.builder))


def all_series() -> tuple[Series, ...]:
    """The series that the design is made of."""
    return (memback.series, verify.series, series)


# ------------------------------------------------------------------------- init/initramfs.c

def populate_initrd() -> None:
    """The second half of upstream's do_populate_rootfs(), unchanged."""
    unpack_initrd()
    release_initrd()


def unpack_initrd() -> None:
    if initrd.initrd_start and not IS_ENABLED("CONFIG_INITRAMFS_FORCE"):
        if IS_ENABLED("CONFIG_BLK_DEV_RAM"):
            printk(KERN_INFO + "Trying to unpack rootfs image as initramfs...\n")
        else:
            printk(KERN_INFO + "Unpacking initramfs...\n")

        err = base.unpack_to_rootfs(initrd.initrd_start, initrd.initrd_end - initrd.initrd_start)
        if err:
            if IS_ENABLED("CONFIG_BLK_DEV_RAM"):
                base.populate_initrd_image(err)
            else:
                printk(KERN_EMERG + "Initramfs unpacking failed: %s\n", err)


def unpack_instead() -> None:
    """Upstream's way; but it would parse what has not been verified yet."""
    if g.trees:
        pr_err("initrd: what is verified as it is read cannot be unpacked: refused\n")
        release_initrd()
    else:
        populate_initrd()


def release_initrd() -> None:
    """done: of do_populate_rootfs()"""
    security_initramfs_populated()

    # If the initrd region is overlapped with crashkernel reserved region, free only memory that is not part of crashkernel
    # region.
    if not base.g.do_retain_initrd and initrd.initrd_start and not base.kexec_free_initrd():
        base.free_initrd_mem(initrd.initrd_start, initrd.initrd_end)
    else:
        export_initrd()
    initrd.initrd_start = 0
    initrd.initrd_end = 0

    init_flush_fput()


def export_initrd() -> None:
    if base.g.do_retain_initrd and initrd.initrd_start:
        base.g.bin_attr_initrd.size = initrd.initrd_end - initrd.initrd_start
        base.g.bin_attr_initrd.private = initrd.initrd_start
        if sysfs_create_bin_file(firmware_kobj(), base.g.bin_attr_initrd):
            pr_err("Failed to create initrd sysfs file")


def overlaps_crashkernel() -> bool:
    if not IS_ENABLED("CONFIG_CRASH_RESERVE"):
        return False
    return initrd.initrd_start < __va(initrd.crashk_end) and initrd.initrd_end > __va(initrd.crashk_start)


def claimed_segments(start: int, end: int) -> list[segment] | int:
    """What split() says; what is verified only as it is read is an image because the command line says so, and is not looked at.
    """
    if not g.trees:
        return split(start, end)
    out: list[segment] = []
    at = start
    for tree in g.trees:
        if at < tree.start:
            run = split(at, tree.start)
            if run == -EINVAL:
                return run
            out += [segment(CPIO, at, tree.start)] if isinstance(run, int) else run
        at = verify.tree_end(tree)
        out.append(segment(EROFS, tree.start, at))
    if at < end:
        run = split(at, end)
        if run == -EINVAL:
            return run
        out += [segment(CPIO, at, end)] if isinstance(run, int) else run
    return out


def region_verify(region: memback.erofs_memback_region, pos: int, length: int) -> int:
    """->verify() of a region that has a tree."""
    return verify.tree_verify(next(t for t in g.trees if t.start == region.data), pos, length)


def layered_claim() -> bool:
    """Whether the initrd is to wait for layered_initrd_setup(). Context: the initrd is untouched."""
    if not initrd.initrd_start or IS_ENABLED("CONFIG_INITRAMFS_FORCE") or not IS_ENABLED("CONFIG_INITRD_LAYERED"):
        return False
    if not (IS_ENABLED("CONFIG_EROFS_FS") and IS_ENABLED("CONFIG_OVERLAY_FS") and IS_ENABLED("CONFIG_TMPFS")
            and IS_ENABLED("CONFIG_TMPFS_XATTR")):
        return False
    segments = claimed_segments(initrd.initrd_start, initrd.initrd_end)
    if isinstance(segments, int):
        return False
    if overlaps_crashkernel():
        pr_info("initrd: overlaps the crash kernel's memory, which cannot be lent: not layered\n")
        return False
    g.claimed = segments
    return True


@series.replaces(base.do_populate_rootfs)
def do_populate_rootfs(unused: Any, cookie: int) -> None:
    # Load the built in initramfs
    err = base.unpack_to_rootfs(initrd.initramfs_start, initrd.initramfs_size)
    if err:
        base.panic_show_mem("%s", err)       # Failed to decompress INTERNAL initramfs

    if initrd.initrd_start and not IS_ENABLED("CONFIG_INITRAMFS_FORCE") and verify.initrd_refused(g.trees):
        release_initrd()                     # nothing of it is parsed
        return
    if layered_claim():
        init_flush_fput()
        return
    unpack_instead()


# ------------------------------------------------------------------------- the attempt

def layered_wait() -> None:
    """The rest of wait_for_initramfs(): nobody sees a root of which a part is missing.

    Before the attempt nobody waits for it: an initcall may wait for a helper, and the attempt comes after all initcalls.
    """
    wait_event(g.built, lambda: g.builder is None or g.builder is current())


def lend(owner: initrd_owner, seg: segment) -> memback.erofs_memback_region:
    """A region for the mount of a segment. None: -ENOMEM."""
    tree = next((t for t in g.trees if t.start == seg.start), None)
    region = owner_lend(owner, seg, tree.data_blocks << verify.BLOCK_BITS if tree is not None else seg.end - seg.start)
    if region and tree is not None:
        region.verify = region_verify
    return region


def layered_initrd_setup() -> None:
    """The one attempt. Context: PID 1, all initcalls have run, do_populate_rootfs() is through."""
    segments, g.claimed = g.claimed, NULL
    if segments is None:
        return
    # before anybody waits for this task: a file system may come as a module, by a helper who does
    err = stage_possible()
    g.builder = current()
    st = layers()
    owner: initrd_owner = NULL if err else owner_alloc(initrd.initrd_start, initrd.initrd_end, base.g.do_retain_initrd)
    if owner is not None:
        err, merged = build_layers(st, (initrd.initramfs_start, initrd.initramfs_size), segments, lambda seg: lend(owner, seg))
        if not err:
            err = switch_root(merged)
        layered_done(segments, owner) if not err else layered_failed(st, owner, err)
    else:
        layered_failed(st, NULL, err or -ENOMEM)
    g.builder = NULL
    wake_up(g.built)


def layered_done(segments: list[segment], owner: initrd_owner) -> None:
    """The root stands."""
    pr_info("initrd: %d segments, %d of them mounted from memory\n", len(segments), sum(s.kind == EROFS for s in segments))
    export_initrd()
    owner_commit(owner)
    initrd.initrd_start = 0
    initrd.initrd_end = 0
    security_initramfs_populated()
    init_flush_fput()


def layered_failed(st: layers, owner: initrd_owner, err: int) -> None:
    """Everything is taken down; then upstream's code does what it always does."""
    undo(st)
    pr_warn("initrd: layers cannot be mounted (%d), unpacking instead\n", err)
    if owner is None or owner_withdraw(owner):
        unpack_instead()
        return
    # somebody has been looking into a layer, and still does: its memory is given back when he leaves
    if g.trees:
        pr_err("initrd: what is verified as it is read cannot be unpacked: refused\n")
    else:
        unpack_initrd()
    security_initramfs_populated()
    export_initrd()
    owner_commit(owner)
    initrd.initrd_start = 0
    initrd.initrd_end = 0
    init_flush_fput()


series.edits(base.wait_for_initramfs, ("""\
    async_synchronize_cookie_domain(g.initramfs_cookie + 1, g.initramfs_domain)
""", """\
    async_synchronize_cookie_domain(g.initramfs_cookie + 1, g.initramfs_domain)
    layered_wait()
"""), names={"layered_wait": layered_wait})

series.edits(main.kernel_init_freeable, ("""\
    wait_for_initramfs()
""", """\
    wait_for_initramfs()
    layered_initrd_setup()
"""), names={"layered_initrd_setup": layered_initrd_setup})

# upstream panics where the unpacker has no memory; an attempt has something to fall back to

_names: dict[str, Callable[..., Any]] = {"layered_attempting": lambda: stage.attempting}

series.edits(base.unpack_to_rootfs, ("""\
    if not bufs:
""", """\
    if not bufs and layered_attempting():
        return "can't allocate buffers"
    if not bufs:
"""), names=_names)

series.edits(base.find_link, ("""\
    if q is None:
""", """\
    if q is None and layered_attempting():
        error("can't allocate link hash entry")
        return None
    if q is None:
"""), names=_names)

series.edits(base.dir_add, ("""\
    if de is None:
""", """\
    if de is None and layered_attempting():
        error("can't allocate dir_entry buffer")
        return
    if de is None:
"""), names=_names)


# upstream passes over what it cannot make; a layer that misses something for want of memory is no layer

def layered_checked(err: int) -> int:
    """``err`` of making a name while unpacking: what an archive cannot help ends the attempt."""
    if err in (-ENOMEM, -ENOSPC, -EIO) and stage.attempting:
        base.error("no memory for a layer")
    return err


_names["layered_checked"] = layered_checked

series.edits(base.do_utime, ("    init_utimes(", "    layered_checked(init_utimes("), ("filename, t)", "filename, t))"),
             names=_names)
series.edits(base.do_utime_path, ("    vfs_utimes(path, t)", "    layered_checked(vfs_utimes(path, t))"), names=_names)

series.edits(base.clean_path, ("""\
    if not init_stat(path, st, AT_SYMLINK_NOFOLLOW) and""", """\
    if not layered_checked(init_stat(path, st, AT_SYMLINK_NOFOLLOW)) and"""),
             ("init_rmdir(path)", "layered_checked(init_rmdir(path))"),
             ("init_unlink(path)", "layered_checked(init_unlink(path))"), names=_names)

series.edits(base.maybe_link, ("init_link(old, collected) < 0", "layered_checked(init_link(old, collected)) < 0"), names=_names)

series.edits(base.do_name, ("""\
            if IS_ERR(wfile):
                return 0
""", """\
            if IS_ERR(wfile):
                layered_checked(PTR_ERR(wfile))
                return 0
"""), ("vfs_fchown(wfile, g.uid, g.gid)", "layered_checked(vfs_fchown(wfile, g.uid, g.gid))"),
             ("vfs_fchmod(wfile, mode)", "layered_checked(vfs_fchmod(wfile, mode))"),
             ("vfs_truncate(wfile.f_path, g.body_len)", "layered_checked(vfs_truncate(wfile.f_path, g.body_len))"),
             ("init_mkdir(collected, mode)", "layered_checked(init_mkdir(collected, mode))"),
             ("init_mknod(collected, mode, g.rdev)", "layered_checked(init_mknod(collected, mode, g.rdev))"),
             ("init_chown(collected, g.uid, g.gid, 0)", "layered_checked(init_chown(collected, g.uid, g.gid, 0))", 2),
             ("init_chmod(collected, mode)", "layered_checked(init_chmod(collected, mode))", 2),
             names={**_names, "PTR_ERR": PTR_ERR})

series.edits(base.do_symlink, ("    init_symlink(c_path(g.collected + N_ALIGN(g.name_len)), collected)", """\
    layered_checked(init_symlink(c_path(g.collected + N_ALIGN(g.name_len)), collected))"""),
             ("init_chown(collected, g.uid, g.gid, AT_SYMLINK_NOFOLLOW)",
              "layered_checked(init_chown(collected, g.uid, g.gid, AT_SYMLINK_NOFOLLOW))"),
             names=_names)
