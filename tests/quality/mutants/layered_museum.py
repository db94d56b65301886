# SPDX-License-Identifier: GPL-2.0-only
"""Bugs that designs of a memory-backed root had, or could have, put into ours as a few changed lines each.

The labels with numbers are the museum's entries; the others are of the same kinds.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.types import u64
from kemu.machine.series import Series
from tests.quality.hunt import SMALL, Mutant

import initramfs.harness.experiments_layered  # noqa: F401 - registers
from initramfs import initerofs_blkdev_rfc, initrd_owner, layered, segments, stage

mutants: list[Mutant] = []
broken: dict[str, str] = {}


def mutant(name: str, experiments: str, *edits: tuple[Any, tuple[Any, ...]], names: dict[str, Any] | None = None, title: str = "",
           detector: str = "",
           small: int = SMALL, shrink: float = 12.0) -> None:
    """``edits``: (function, (old, new)) each."""
    s = Series(name, ("initramfs", "erofs_memback"))
    by_function: dict[Any, list[tuple[Any, ...]]] = {}
    for original, hunk in edits:
        by_function.setdefault(original, []).append(hunk)
    try:
        for original, hunks in by_function.items():
            s.edits(original, *hunks, names=names)
        s.check()
    except ValueError as e:             # the code has changed: that one's test fails, not all of them
        broken[name] = str(e)
    mutants.append(Mutant(s, tuple(experiments.split()), title, detector,
                          max(small, 40) if "layered.merge" in experiments else small, shrink=shrink))


# ------------------------------------------------------------------------- where segments begin and end

SPLITS = "layered.splits"
DAMAGED = "layered.splits-damaged"
_SIZES = "    if not 9 <= blkszbits <= 16 or not blocks or"

mutant("11-unpacker-eats-the-head", SPLITS, (segments.find_erofs,
                                             ("    low = max(p, q - EROFS_SUPER_OFFSET)\n", "    low = q\n")))
mutant("13-size-overflow", DAMAGED,
       (segments.erofs_image_size, (_SIZES, "    if not 9 <= blkszbits <= 30 or not blocks or")),
       (segments.erofs_image_size, ("    return blocks << blkszbits\n", "    return u64(blocks << blkszbits)\n")),
       names={"u64": u64})
mutant("13-shift-as-the-processor-does", DAMAGED,
       (segments.erofs_image_size, (_SIZES, "    if not 9 <= blkszbits or not blocks or")),
       (segments.erofs_image_size, ("    return blocks << blkszbits\n", "    return u64(blocks << (blkszbits & 63))\n")),
       names={"u64": u64})
mutant("13-bounds-by-addition", DAMAGED, (segments.segment_at,
                                          ("if 0 <= size <= end - image:", "if size >= 0 and u64(image + size) <= end:")),
       names={"u64": u64})

mutant("size-not-compared", DAMAGED, (segments.segment_at, ("if 0 <= size <= end - image:", "if 0 <= size:")))
mutant("size-compared-from-the-first-byte", f"{SPLITS} {DAMAGED}",
       (segments.segment_at, ("if 0 <= size <= end - image:", "if 0 <= size <= end - q:")))
mutant("no-blocks", DAMAGED, (segments.erofs_image_size, ("or not blocks or", "or")))
mutant("48-bit-never", DAMAGED, (segments.erofs_image_size,
                                 ("        blocks |= int.from_bytes(head[14:16], \"little\") << 32\n", "        pass\n")))
mutant("48-bit-always", f"{SPLITS} {DAMAGED}", (segments.erofs_image_size,
                                                ("    if incompat & EROFS_FEATURE_INCOMPAT_48BIT and any(head[112:120]):\n",
                                                 "    if True:\n")))
mutant("device-table-ignored", f"{SPLITS} {DAMAGED}", (segments.erofs_image_size,
                                                       ("incompat & EROFS_FEATURE_INCOMPAT_DEVICE_TABLE\n", "False\n")))
mutant("superblock-behind-the-end", DAMAGED,
       (segments.find_erofs, ("min(q + 4, end - EROFS_SUPER_OFFSET) - low) if end - low >= EROFS_SUPER_OFFSET + 4 else b\"\"",
                              "q + 4 - low)")), title="KASAN")
mutant("superblock-not-whole", DAMAGED, (segments.erofs_image_size, ("    if end - sb < 128:\n        return -EINVAL\n", "")),
       title="KASAN")
mutant("head-before-the-padding", f"{SPLITS} {DAMAGED}", (segments.find_erofs,
                                                          ("low = max(p, q - EROFS_SUPER_OFFSET)",
                                                           "low = q - EROFS_SUPER_OFFSET")))
mutant("magic-across-a-step", SPLITS, (segments.has_erofs, ("step + 3", "step")))
mutant("image-inside-an-archive", SPLITS, (segments.segment_at,
                                           ("    image = 0 if cpio else find_erofs(p, q, end)\n",
                                            "    image = find_erofs(p, q, end)\n")))
mutant("image-inside-a-stream", SPLITS,
       (segments.segment_at, ("    stop = -EINVAL if cpio else compressed_end(q, end, name)\n    if stop >= 0:\n",
                              "    stop = -EINVAL if cpio or find_erofs(p, q, end) else compressed_end(q, end, name)\n    if "
                              "stop >= 0:\n")))
mutant("alignment-in-memory", SPLITS, (segments.segment_at, ("    aligned = not q - buf & 3\n", "    aligned = not q & 3\n")))
mutant("members-aligned-in-memory", SPLITS, (segments.cpio_end,
                                             ("buf + (name_at - buf + name_len + 3 & ~3)", "name_at + name_len + 3 & ~3")))
mutant("data-not-aligned", SPLITS, (segments.cpio_end, ("buf + (body - buf + body_len + 3 & ~3)", "body + body_len")))
mutant("trailer-by-its-begin", SPLITS, (segments.cpio_end, ("if name_len == 11 and mem_read(name_at, 11) == b\"TRAILER!!!\\0\":",
                                                              "if mem_read(name_at, 10) == b\"TRAILER!!!\":")))
mutant("member-behind-the-end", DAMAGED, (segments.cpio_end,
                                          ("        if body + body_len > end:\n            return -EINVAL\n", "")))
mutant("member-size-signed", DAMAGED,
       (segments.cpio_end, ("body_len = int.from_bytes(h[24:28], \"big\")",
                            "body_len = int.from_bytes(h[24:28], \"big\", signed=True)")))
mutant("stream-not-judged", DAMAGED, (segments.compressed_end,
                                      ("-EINVAL if res or failed or not ptr.v or", "-EINVAL if not ptr.v or")))
mutant("stream-behind-the-end", DAMAGED, (segments.compressed_end, (" or ptr.v > end - buf else", " else")))
mutant("image-from-the-first-byte", SPLITS, (segments.segment_at,
                                             ("segment(EROFS, image, image + size)", "segment(EROFS, q, q + size)")))
mutant("end-by-whole-pages", SPLITS, (segments.segment_at,
                                      ("segment(EROFS, image, image + size)",
                                       "segment(EROFS, image, min(end, image + size + 4095 & ~4095))")))

# ------------------------------------------------------------------------- whose memory it is

MEMORY = "layered.pages"
LENDS = "    for start, end in [*owner.kept, (owner.end, owner.end)]:\n"

mutant("7-initrd-freed-under-the-mount", f"{MEMORY} layered.merge",
       (initrd_owner.owner_commit, (LENDS, "    for start, end in [(owner.end, owner.end)]:\n")),
       detector="KASAN")
mutant("7-pages-at-the-ends-freed", MEMORY,
       (initrd_owner.owner_lend, ("lo, hi = seg.start & ~mask, (seg.end + mask) & ~mask",
                                  "lo, hi = (seg.start + mask) & ~mask, seg.end & ~mask")))
mutant("7-freed-with-the-first-mount", MEMORY,
       (initrd_owner.owner_release, ("    if owner.committed and not owner.regions:\n        owner_end(owner)\n",
                                     "    if owner.committed:\n        for start, end in owner.kept:\n            "
                                     "owner_free(owner, start, end)\n")))
mutant("7-freed-with-the-owner", MEMORY, (initrd_owner.owner_commit,
                                          ("    regions = list(owner.regions)\n",
                                           "    regions = list(owner.regions)\n    for r in owner.kept:\n"
                                                                    "        owner_free(owner, *r)\n")), detector="KASAN")
mutant("7-tail-frees-too", MEMORY, (layered.layered_done, ("    owner_commit(owner)\n",
                                                           "    owner_commit(owner)\n    release_initrd()\n")))
mutant("5-two-images-in-a-page", MEMORY, (initrd_owner.owner_lend,
                                          ("    if owner.kept and lo < owner.kept[-1][1]:\n", "    if False:\n")),
       title="freed twice")
mutant("9-leak-without-an-owner", "layered.failing-calls",
       (layered.layered_failed, ("    if owner is None or owner_withdraw(owner):\n",
                                 "    if owner is None:\n        return\n    if owner_withdraw(owner):\n")))
mutant("9-never-given-back", MEMORY, (initrd_owner.owner_commit,
                                      ("        memback.erofs_memback_region_put(region)        # the last one of all may end "
                                       "the owner\n",
                                                                 "        pass\n")))
mutant("9-rest-never-freed", MEMORY, (initrd_owner.owner_commit, ("        owner_free(owner, at, start)\n", "        pass\n")))
mutant("freed-before-it-is-sure", "layered.failing-calls layered.reads-after-failure",
       (initrd_owner.owner_alloc, ("owner.start, owner.end, owner.retain = start, end, retain",
                                   "owner.start, owner.end, owner.retain, owner.committed = start, end, retain, True")))
mutant("freed-beyond-the-initrd", MEMORY, (initrd_owner.owner_free,
                                           ("    start, end = max(start, owner.start), min(end, owner.end)\n", "")))
mutant("retain-forgotten", MEMORY, (initrd_owner.owner_free, ("start < end and not owner.retain", "start < end")))
mutant("retained-but-not-shown", MEMORY, (layered.layered_done, ("    export_initrd()\n", "")))
mutant("pointers-stay", MEMORY, (layered.layered_done, ("    initrd.initrd_start = 0\n", "")), title="initrd_start")
mutant("crash-kernel-lent", "layered.crash-kernel", (layered.overlaps_crashkernel,
                                                     ("    return initrd.initrd_start < __va",
                                                      "    return False and initrd.initrd_start < __va")))
mutant("crash-kernel-by-its-begin", "layered.crash-kernel",
       (layered.overlaps_crashkernel,
        ("initrd.initrd_start < __va(initrd.crashk_end) and initrd.initrd_end > __va(initrd.crashk_start)",
                                       "initrd.initrd_start <= __va(initrd.crashk_start) < initrd.initrd_end")))

# ------------------------------------------------------------------------- layers

MERGE = "layered.merge"

mutant("17-lowerdir-not-mounted", "layered.rows",
       (stage.mount_overlay, ("for p in reversed(st.lower)]",
                              "for p in [*reversed(st.lower), f\"{STAGE}/{len(st.lower) + 1}\"]]")))
mutant("17-lowerdir-empty", MERGE, (stage.add_erofs, ("        err = mount_fc(fc, at)\n",
                                                      "        err = put_fs_context(fc) or 0\n")))
mutant("17-lowerdir-of-the-next", MERGE, (stage.add_erofs,
                                          ("    st.lower.append(at)\n", "    st.lower.append(STAGE if n else at)\n")))
mutant("19-files-not-flushed", MERGE, (stage.unpack_in, ("    init_flush_fput()\n", "")))
mutant("19-program-still-open", "layered.merge",
       (stage.unpack_in, ("    init_flush_fput()\n", "")), (layered.layered_done, ("    init_flush_fput()\n", "")))
mutant("19-files-of-an-archive-wait", "layered.schedules", (stage.unpack_in, ("    init_flush_fput()\n", "")))
mutant("root-of-everybody", "layered.interleavings",
       (stage.unpack_in, ("    current().fs = private\n    err = init_chdir(root) or init_chroot(\".\")\n",
                          "    err = init_chdir(root) or init_chroot(\".\")\n    current().fs = private\n")))
mutant("21-attempt-before-the-initcalls", "layered.pages",
       (layered.do_populate_rootfs, ("        init_flush_fput()\n        return\n",
                                     "        init_flush_fput()\n        layered_initrd_setup()\n        return\n")))
mutant("layers-upside-down", MERGE, (stage.mount_overlay, ("reversed(st.lower)", "st.lower")), shrink=12)
mutant("root-without-attributes", MERGE, (stage.copy_attrs,
                                          ("    return err or init_chown(to, stat.uid, stat.gid, 0) or init_chmod(to, stat.mode "
                                           "& 0o7777)\n", "    return err\n")))
mutant("root-without-xattrs", MERGE, (stage.copy_attrs, (" or copy_xattrs(below, above)", "")))
mutant("mode-bits-lost", MERGE, (stage.copy_attrs, ("stat.mode & 0o7777", "stat.mode & 0o777")))
mutant("archive-seen-alone", MERGE, (stage.add_cpio, ("        where = merged\n", "        where = upper\n")))
mutant("archives-of-a-row-lost", MERGE, (stage.build_layers,
                                         ("            rows[-1].append((seg.start, seg.end))\n",
                                          "            rows[-1] = [(seg.start, seg.end)]\n")))
mutant("built-in-archive-lost", "layered.keeps-the-built-in", (stage.build_layers, ("    if size:\n", "    if False:\n")))
mutant("unpacked-into-the-root", "layered.root-is-alone layered.merge",
       (stage.unpack_in, ("    err = init_chdir(root) or init_chroot(\".\")\n", "    err = init_chdir(root)\n")))
mutant("message-ignored", "layered.broken-archive", (stage.add_cpio,
                                                     ("        if message:\n", "        if message and not st.lower:\n")))
mutant("old-root-stays", MERGE, (stage.switch_root, ("    path_umount(old, MNT_DETACH) ", "    path_put(old) ")))
mutant("nothing-proved-of-the-overlay", "layered.failing-calls",
       (stage.mount_overlay, ("    return init_mkdir(probe, 0o700) or init_rmdir(probe)\n", "    return 0\n")))
mutant("no-memory-passed-over", "layered.failing-calls", (layered.layered_checked,
                                                          ("if err in (-ENOMEM, -ENOSPC, -EIO) and",
                                                           "if err in (-ENOSPC, -EIO) and")))
mutant("stage-left", "layered.undoes", (stage.undo, ("    if st.made_stage:\n        init_rmdir(STAGE)\n", "")))
mutant("stage-not-its-own", "layered.takes-only-its-own", (stage.undo, ("    if st.made_stage:\n", "    if True:\n")))
mutant("mounts-left", "layered.undoes", (stage.undo, ("    for at in reversed(st.mounts):\n",
                                                      "    for at in reversed(st.mounts[1:]):\n")))
mutant("path-not-put", "layered.undoes layered.pages layered.gives-memory-back",
       (stage.mount_fc, ("        err = do_new_mount_fc(fc, path, 0)\n        path_put(path)\n",
                         "        err = do_new_mount_fc(fc, path, 0)\n")))
mutant("claimed-although-forced", "layered.as-ever", (layered.layered_claim, (" or IS_ENABLED(\"CONFIG_INITRAMFS_FORCE\")", "")))

# ------------------------------------------------------------------------- the block device of the posted patch

mutants.append(Mutant(Series("15-capacity-truncated-as-posted", ("initramfs",)), ("initerofs-rfc.disk-has-every-byte",)))

# the mending: with it there is nothing to find
capacity = Series("15-capacity-rounded-up", ("initramfs",))
capacity.edits(initerofs_blkdev_rfc.initerofs_blkdev_create,
               ("size // INITEROFS_SECTOR_SIZE)", "-(-size // INITEROFS_SECTOR_SIZE))"))
