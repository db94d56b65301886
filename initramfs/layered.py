# SPDX-License-Identifier: GPL-2.0-only
"""The layered initrd: any row of cpio archives and EROFS images becomes the root, the images mounted where the boot loader put them. Ours.

docs/explanation/layered.md has the rules and the reasons. In short: do_populate_rootfs() leaves an initrd that has an EROFS image alone; PID 1
makes one attempt when all initcalls have run; a stage, which is a tmpfs of its own, holds the layers; pivot_root puts the overlay in rootfs's
place; what fails before that is taken down and everything goes on as without this file.
"""
from __future__ import annotations

from kemu.linux.dcache import d_is_dir
from kemu.linux.err import ERR_PTR, IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, EIO, ENODEV, ENOMEM, ENOSPC
from kemu.linux.errno import EROFS as E_ROFS
from kemu.linux.fs import SB_RDONLY, Kstat, get_fs_type, put_filesystem, vfs_getattr
from kemu.linux.fs_context import fs_context_for_mount, put_fs_context, vfs_parse_fs_string
from kemu.linux.fs_struct import copy_fs_struct, current_fs, free_fs_struct
from kemu.linux.init import __setup
from kemu.linux.init_syscalls import (
    init_chdir,
    init_chmod,
    init_chown,
    init_chroot,
    init_mkdir,
    init_rmdir,
    init_umount,
    kern_path,
)
from kemu.linux.initrd import initrd
from kemu.linux.kconfig import IS_ENABLED
from kemu.linux.memblock import __va, free_reserved_area
from kemu.linux.mount import path_pivot_root
from kemu.linux.page import arch
from kemu.linux.path import Path, path_get, path_put
from kemu.linux.printk import KERN_EMERG, KERN_INFO, pr_err, pr_info, pr_warn, printk
from kemu.linux.sched import current
from kemu.linux.security import security_initramfs_populated
from kemu.linux.series import Series
from kemu.linux.sha256 import sha256
from kemu.linux.slab import kfree, kzalloc_obj
from kemu.linux.stat import STATX_BASIC_STATS
from kemu.linux.statics import statics
from kemu.linux.sysfs import firmware_kobj, sysfs_create_bin_file
from kemu.linux.vfs.namespace import MNT_DETACH, do_new_mount_fc, path_umount

from erofs_memback import memback
from initramfs import initramfs as base
from initramfs import main
from initramfs.do_mounts_h import init_flush_fput
from initramfs.segments import EROFS, segment, split

STAGE = "/.initrd-layers"
LOOKUP_FOLLOW = 1

series = Series("layered", ("initramfs",), "layered initrd")
config = {"CONFIG_INITRD_LAYERED": True}

# claimed: the segments of the initrd that waits for layered_initrd_setup(); digests: (size, sha256) of each, from the command line;
# attempting: the unpacker works on a layer, and what fails is no reason to panic
g = statics(claimed=None, digests=None, attempting=False)


def all_series():
    """The series that the design is made of."""
    return (memback.series, series)


# ------------------------------------------------------------------------- whose memory it is

class initrd_owner:
    """The initrd's memory: [start, end), of which ``kept`` (whole pages) is lent to mounts. Each page goes back once, when nobody reads it."""

    __slots__ = ("end", "kept", "regions", "start")

    def __init__(self):
        self.start = 0
        self.end = 0
        self.kept = []
        self.regions = []


def _pages(seg):
    """The whole pages that a segment touches."""
    mask = arch.PAGE_SIZE - 1
    return seg.start & ~mask, (seg.end + mask) & ~mask


def owner_release(region):
    """->release() of a region: the last mount is gone."""
    owner = region.owner
    owner.regions.remove(region)
    if owner.regions:
        return
    if not base.g.do_retain_initrd:
        for start, end in owner.kept:
            free_reserved_area(max(start, owner.start), min(end, owner.end), base.POISON_FREE_INITMEM, "initrd")
    kfree(owner)


def owner_free_rest(owner):
    """Give back what no image lies in."""
    at = owner.start
    for start, end in [*owner.kept, (owner.end, owner.end)]:
        if at < min(start, owner.end):
            free_reserved_area(at, min(start, owner.end), base.POISON_FREE_INITMEM, "initrd")
        at = max(at, end)


# ------------------------------------------------------------------------- digests

@__setup("initrd_segments=")
def initrd_segments_setup(str):
    """``initrd_segments=SIZE:sha256:HEX[,SIZE:sha256:HEX]...``: what the initrd consists of, padding included, byte for byte."""
    if not IS_ENABLED("CONFIG_INITRD_LAYERED"):
        return 0
    out = []
    for word in str.split(","):
        size, _, rest = word.partition(":")
        alg, _, text = rest.partition(":")
        if not size.isdigit() or alg != "sha256" or len(text) != 64 or text.strip("0123456789abcdef"):
            pr_warn("initrd_segments: '%s' is not SIZE:sha256:HEX\n", word)
            g.digests = []                      # what was asked for cannot be checked: nothing passes
            return 1
        out.append((int(size), bytes.fromhex(text)))
    g.digests = out
    return 1


def verify_segments(start, end):
    """Compare the digests before anything is parsed. Return: 0, or -EINVAL with a message."""
    at = start
    for i, (size, want) in enumerate(g.digests):
        if size > end - at:
            pr_err("initrd: segment %d: %lu bytes are said, %lu are there: refused\n", i, size, end - at)
            return -EINVAL
        if sha256(at, size) != want:
            pr_err("initrd: segment %d (%lu bytes at offset %lu): sha256 mismatch: refused\n", i, size, at - start)
            return -EINVAL
        at += size
    if at != end or not g.digests:
        pr_err("initrd: %lu bytes without a digest: refused\n", end - at)
        return -EINVAL
    return 0


# ------------------------------------------------------------------------- init/initramfs.c

def populate_initrd():
    """The second half of upstream's do_populate_rootfs(), unchanged."""
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

    release_initrd()


def release_initrd():
    """done: of do_populate_rootfs()"""
    security_initramfs_populated()

    # If the initrd region is overlapped with crashkernel reserved region, free only memory that is not part of crashkernel region.
    if not base.g.do_retain_initrd and initrd.initrd_start and not base.kexec_free_initrd():
        base.free_initrd_mem(initrd.initrd_start, initrd.initrd_end)
    else:
        export_initrd()
    initrd.initrd_start = 0
    initrd.initrd_end = 0

    init_flush_fput()


def export_initrd():
    if base.g.do_retain_initrd and initrd.initrd_start:
        base.g.bin_attr_initrd.size = initrd.initrd_end - initrd.initrd_start
        base.g.bin_attr_initrd.private = initrd.initrd_start
        if sysfs_create_bin_file(firmware_kobj(), base.g.bin_attr_initrd):
            pr_err("Failed to create initrd sysfs file")


def overlaps_crashkernel():
    if not IS_ENABLED("CONFIG_CRASH_RESERVE"):
        return False
    return initrd.initrd_start < __va(initrd.crashk_end) and initrd.initrd_end > __va(initrd.crashk_start)


def layered_claim():
    """Whether the initrd is to wait for layered_initrd_setup(). Context: the initrd is untouched."""
    if not initrd.initrd_start or IS_ENABLED("CONFIG_INITRAMFS_FORCE") or not IS_ENABLED("CONFIG_INITRD_LAYERED"):
        return False
    if not (IS_ENABLED("CONFIG_EROFS_FS") and IS_ENABLED("CONFIG_OVERLAY_FS") and IS_ENABLED("CONFIG_TMPFS") and IS_ENABLED("CONFIG_TMPFS_XATTR")):
        return False
    segments = split(initrd.initrd_start, initrd.initrd_end)
    if isinstance(segments, int):
        return False
    if overlaps_crashkernel():
        pr_info("initrd: overlaps the crash kernel's memory, which cannot be lent: not layered\n")
        return False
    g.claimed = segments
    return True


@series.replaces(base.do_populate_rootfs)
def do_populate_rootfs(unused, cookie):
    # Load the built in initramfs
    err = base.unpack_to_rootfs(initrd.initramfs_start, initrd.initramfs_size)
    if err:
        base.panic_show_mem("%s", err)       # Failed to decompress INTERNAL initramfs

    if g.digests is not None and initrd.initrd_start and verify_segments(initrd.initrd_start, initrd.initrd_end):
        release_initrd()                     # nothing of it is parsed
        return
    if layered_claim():
        init_flush_fput()
        return
    populate_initrd()


# ------------------------------------------------------------------------- building the root

def mount_fc(fc, at):
    """Put a context's mount at the path ``at`` and let the context go."""
    path = Path()
    err = kern_path(at, LOOKUP_FOLLOW, path)
    if not err:
        err = do_new_mount_fc(fc, path, 0)
        path_put(path)
    put_fs_context(fc)
    return err


def new_context(name, flags, *options):
    """A context with options; or ERR_PTR()."""
    fs_type = get_fs_type(name)
    if fs_type is None:
        return ERR_PTR(-ENODEV)
    fc = fs_context_for_mount(fs_type, flags)
    put_filesystem(fs_type)
    if IS_ERR(fc):
        return fc
    for key, value in options:
        err = vfs_parse_fs_string(fc, key, value)
        if err:
            put_fs_context(fc)
            return ERR_PTR(err)
    return fc


def mount_options(name, at, flags, *options):
    fc = new_context(name, flags, *options)
    return PTR_ERR(fc) if IS_ERR(fc) else mount_fc(fc, at)


def copy_attrs(from_, to):
    """A layer's root looks like that of the layer below, until somebody says otherwise."""
    path, stat = Path(), Kstat()
    err = kern_path(from_, LOOKUP_FOLLOW, path)
    if err:
        return err
    err = vfs_getattr(path, stat, STATX_BASIC_STATS, 0)
    path_put(path)
    return err or init_chown(to, stat.uid, stat.gid, 0) or init_chmod(to, stat.mode & 0o7777)


class layers:
    """What stands on the stage: the lower layers' paths, topmost last, and what has to be unmounted, in order."""

    def __init__(self):
        self.lower = []
        self.mounts = []
        self.made_stage = False


def mount_overlay(st, upper, work, merged):
    options = [("lowerdir+", p) for p in reversed(st.lower)] + [("upperdir", upper), ("workdir", work)]
    err = mount_options("overlay", merged, 0, *options)
    if err:
        return err
    st.mounts.append(merged)
    # without room for its work directory overlayfs mounts read-only and says so only in the log
    path = Path()
    err = kern_path(merged, LOOKUP_FOLLOW, path)
    if err:
        return err
    err = -E_ROFS if path.mnt.mnt_sb.s_flags & SB_RDONLY else 0
    path_put(path)
    return err


def add_erofs(st, n, seg, owner):
    """An image: mounted where it lies."""
    at = f"{STAGE}/{n}"
    err = init_mkdir(at, 0o755)
    if err:
        return err
    fc = new_context("erofs", SB_RDONLY, ("source", "initrd"))
    if IS_ERR(fc):
        return PTR_ERR(fc)
    region = memback.erofs_memback_region_alloc(seg.start, seg.end - seg.start, owner_release, owner)
    if not region:
        put_fs_context(fc)
        return -ENOMEM
    owner.regions.append(region)
    err = memback.erofs_fc_set_memback(fc, region)
    if err:
        put_fs_context(fc)
    else:
        err = mount_fc(fc, at)
    if err:
        return err
    st.mounts.append(at)
    path = Path()
    err = kern_path(at, LOOKUP_FOLLOW, path)
    if err:
        return err
    err = 0 if d_is_dir(path.dentry) else -EINVAL
    path_put(path)
    st.lower.append(at)
    return err


def owner_put_all(owner):
    """The owner's references go: what no mount holds is released now."""
    for region in list(owner.regions):
        memback.erofs_memback_region_put(region)


def unpack_in(root, start, size):
    """unpack_to_rootfs() with ``root`` as root and working directory of this task alone."""
    shared = current().fs
    private = copy_fs_struct(current_fs())
    current().fs = private
    err = init_chdir(root) or init_chroot(".")
    g.attempting = True
    message = None if err else base.unpack_to_rootfs(start, size)
    g.attempting = False
    current().fs = shared
    free_fs_struct(private)
    init_flush_fput()
    return err, message


def add_cpio(st, n, runs, last):
    """Archives in a row: unpacked over everything below, into a directory of the stage that then is a layer. ``last``: of the whole initrd."""
    upper, work, merged = f"{STAGE}/{n}", f"{STAGE}/{n}w", f"{STAGE}/{n}m"
    err = init_mkdir(upper, 0o755)
    if err:
        return err
    where = upper
    if st.lower:
        err = copy_attrs(st.lower[-1], upper) or init_mkdir(work, 0o755) or init_mkdir(merged, 0o755) or mount_overlay(st, upper, work, merged)
        if err:
            return err
        where = merged
    for start, end in runs:
        err, message = unpack_in(where, start, end - start)
        if err:
            return err
        if message:
            pr_err("initrd: unpacking failed: %s\n", message)
            return -EINVAL
    if st.lower and not last:
        err = init_umount(merged, 0)
        if err:
            return err
        st.mounts.remove(merged)
        init_flush_fput()
    st.lower.append(upper)
    return 0


def build_layers(st, segments, owner):
    """Return: (0, path of the finished root) or (error, None)."""
    err = init_mkdir(STAGE, 0o700)
    if err:
        return err, None
    st.made_stage = True
    err = mount_options("tmpfs", STAGE, 0, ("source", "tmpfs"), ("mode", "0755"))
    if err:
        return err, None
    st.mounts.append(STAGE)

    # the built-in archive is the lowest layer; adjacent archives are one layer
    rows = []
    if initrd.initramfs_size:
        rows.append([(initrd.initramfs_start, initrd.initramfs_start + initrd.initramfs_size)])
    for seg in segments:
        if seg.kind == EROFS:
            rows.append(seg)
        elif rows and isinstance(rows[-1], list):
            rows[-1].append((seg.start, seg.end))
        else:
            rows.append([(seg.start, seg.end)])
    for n, row in enumerate(rows):
        last = n == len(rows) - 1
        err = add_erofs(st, n, row, owner) if isinstance(row, segment) else add_cpio(st, n, row, last)
        if err:
            return err, None
    if not isinstance(rows[-1], segment):
        return 0, f"{STAGE}/{len(rows) - 1}m"
    upper, work, merged = f"{STAGE}/u", f"{STAGE}/w", f"{STAGE}/m"
    err = (init_mkdir(upper, 0o755) or copy_attrs(st.lower[-1], upper) or init_mkdir(work, 0o755) or init_mkdir(merged, 0o755)
           or mount_overlay(st, upper, work, merged))
    return (err, None) if err else (0, merged)


def switch_root(merged):
    """The overlay takes rootfs's place, for every task; rootfs and the stage are not seen any more."""
    new = Path()
    err = kern_path(merged, LOOKUP_FOLLOW, new)
    if err:
        return err
    old = current_fs().root.copy()
    path_get(old)
    err = path_pivot_root(new, new)
    path_put(new)
    if err:
        path_put(old)
        return err
    path_umount(old, MNT_DETACH)                # takes the path; it cannot fail: the mount is ours, unlocked, and has a parent
    return 0


def undo(st):
    """Take down what stands, last things first."""
    for at in reversed(st.mounts):
        err = init_umount(at, 0)
        if err:
            init_umount(at, MNT_DETACH)
        init_flush_fput()
    if st.made_stage:
        init_rmdir(STAGE)
    init_flush_fput()


def layered_initrd_setup():
    """The one attempt. Context: PID 1, all initcalls have run, do_populate_rootfs() is through."""
    segments, g.claimed = g.claimed, None
    if segments is None:
        return
    st = layers()
    err, merged = -ENOMEM, None
    owner = kzalloc_obj(initrd_owner)
    if owner is not None:
        owner.start, owner.end = initrd.initrd_start, initrd.initrd_end
        for seg in segments:
            if seg.kind == EROFS:
                lo, hi = _pages(seg)
                if owner.kept and lo < owner.kept[-1][1]:
                    lo = owner.kept.pop()[0]
                owner.kept.append((lo, hi))
        err, merged = build_layers(st, segments, owner)
        if not err:
            err = switch_root(merged)
    if err:
        undo(st)
        if owner is not None:
            regions, owner.regions = owner.regions, [None]      # nothing is released: upstream's path frees the memory
            for region in regions:
                owner.regions.append(region)
                memback.erofs_memback_region_put(region)
            kfree(owner)
        pr_warn("initrd: layers cannot be mounted (%d), unpacking instead\n", err)
        populate_initrd()
        return

    pr_info("initrd: %d segments, %d of them mounted from memory\n", len(segments), sum(s.kind == EROFS for s in segments))
    if base.g.do_retain_initrd:
        export_initrd()
    else:
        owner_free_rest(owner)
    initrd.initrd_start = 0
    initrd.initrd_end = 0
    owner_put_all(owner)
    security_initramfs_populated()
    init_flush_fput()


series.edits(main.kernel_init_freeable, ("""\
    wait_for_initramfs()
""", """\
    wait_for_initramfs()
    layered_initrd_setup()
"""), names={"layered_initrd_setup": layered_initrd_setup})

# upstream panics where the unpacker has no memory; an attempt has something to fall back to

_names = {"layered_attempting": lambda: g.attempting}

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

def layered_checked(err):
    """``err`` of making a name while unpacking: what an archive cannot help ends the attempt."""
    if err in (-ENOMEM, -ENOSPC, -EIO) and g.attempting:
        base.error("no memory for a layer")
    return err


_names["layered_checked"] = layered_checked

series.edits(base.do_utime, ("    init_utimes(", "    layered_checked(init_utimes("), ("filename, t)", "filename, t))"), names=_names)
series.edits(base.do_utime_path, ("    vfs_utimes(path, t)", "    layered_checked(vfs_utimes(path, t))"), names=_names)

series.edits(base.clean_path, ("""\
    if not init_stat(path, st, AT_SYMLINK_NOFOLLOW) and""", """\
    if not layered_checked(init_stat(path, st, AT_SYMLINK_NOFOLLOW)) and"""),
             ("init_rmdir(path)", "layered_checked(init_rmdir(path))"), ("init_unlink(path)", "layered_checked(init_unlink(path))"), names=_names)

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
             ("init_chmod(collected, mode)", "layered_checked(init_chmod(collected, mode))", 2), names={**_names, "PTR_ERR": PTR_ERR})

series.edits(base.do_symlink, ("    init_symlink(c_path(g.collected + N_ALIGN(g.name_len)), collected)", """\
    layered_checked(init_symlink(c_path(g.collected + N_ALIGN(g.name_len)), collected))"""),
             ("init_chown(collected, g.uid, g.gid, AT_SYMLINK_NOFOLLOW)", "layered_checked(init_chown(collected, g.uid, g.gid, AT_SYMLINK_NOFOLLOW))"),
             names=_names)
