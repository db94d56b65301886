# SPDX-License-Identifier: GPL-2.0-only
"""Bugs that designs of a memory-backed root had, or could have, put into ours as a few changed lines each.

The labels with numbers are the museum's entries; the others are of the same kinds.
"""
from __future__ import annotations

from typing import Any

from kemu.linux.types import u64
from kemu.machine.series import Series
from tests.quality.hunt import SMALL, Mutant

from initramfs import segments

mutants: list[Mutant] = []
broken: dict[str, str] = {}


def mutant(name: str, experiments: str, *edits: tuple[Any, tuple[Any, ...]], names: dict[str, Any] | None = None, title: str = "", detector: str = "",
           small: int = SMALL) -> None:
    """``edits``: (function, (old, new)) each."""
    s = Series(name, ("initramfs", "erofs_memback"))
    by_function: dict[Any, list[tuple[Any, ...]]] = {}
    for original, hunk in edits:
        by_function.setdefault(original, []).append(hunk)
    try:
        for original, hunks in by_function.items():
            s.edits(original, *hunks, names=names)
    except ValueError as e:             # the code has changed: that one's test fails, not all of them
        broken[name] = str(e)
    mutants.append(Mutant(s, tuple(experiments.split()), title, detector, small))


# ------------------------------------------------------------------------- where segments begin and end

SPLITS = "layered.splits"
DAMAGED = "layered.splits-damaged"
_SIZES = "    if not 9 <= blkszbits <= 16 or not blocks or"

mutant("11-unpacker-eats-the-head", SPLITS, (segments.find_erofs, ("    low = max(p, q - EROFS_SUPER_OFFSET)\n", "    low = q\n")))
mutant("13-size-overflow", DAMAGED,
       (segments.erofs_image_size, (_SIZES, "    if not 9 <= blkszbits <= 30 or not blocks or")),
       (segments.erofs_image_size, ("    return blocks << blkszbits\n", "    return u64(blocks << blkszbits)\n")), names={"u64": u64})
mutant("13-shift-as-the-processor-does", DAMAGED,
       (segments.erofs_image_size, (_SIZES, "    if not 9 <= blkszbits or not blocks or")),
       (segments.erofs_image_size, ("    return blocks << blkszbits\n", "    return u64(blocks << (blkszbits & 63))\n")), names={"u64": u64})
mutant("13-bounds-by-addition", DAMAGED, (segments.segment_at, ("if 0 <= size <= end - image:", "if size >= 0 and u64(image + size) <= end:")), names={"u64": u64})

mutant("size-not-compared", DAMAGED, (segments.segment_at, ("if 0 <= size <= end - image:", "if 0 <= size:")))
mutant("size-compared-from-the-first-byte", f"{SPLITS} {DAMAGED}", (segments.segment_at, ("if 0 <= size <= end - image:", "if 0 <= size <= end - q:")))
mutant("no-blocks", DAMAGED, (segments.erofs_image_size, ("or not blocks or", "or")))
mutant("48-bit-never", DAMAGED, (segments.erofs_image_size, ("        blocks |= int.from_bytes(head[14:16], \"little\") << 32\n", "        pass\n")))
mutant("48-bit-always", f"{SPLITS} {DAMAGED}", (segments.erofs_image_size, ("    if incompat & EROFS_FEATURE_INCOMPAT_48BIT:\n", "    if True:\n")))
mutant("device-table-ignored", f"{SPLITS} {DAMAGED}", (segments.erofs_image_size, ("incompat & EROFS_FEATURE_INCOMPAT_DEVICE_TABLE and", "False and")))
mutant("superblock-behind-the-end", DAMAGED,
       (segments.find_erofs, ("min(q + 4, end - EROFS_SUPER_OFFSET) - low) if end - low >= EROFS_SUPER_OFFSET + 4 else b\"\"", "q + 4 - low)")), title="KASAN")
mutant("superblock-not-whole", DAMAGED, (segments.erofs_image_size, ("    if end - sb < 128:\n        return -EINVAL\n", "")), title="KASAN")
mutant("head-before-the-padding", f"{SPLITS} {DAMAGED}", (segments.find_erofs, ("low = max(p, q - EROFS_SUPER_OFFSET)", "low = q - EROFS_SUPER_OFFSET")))
mutant("magic-across-a-step", SPLITS, (segments.has_erofs, ("step + 3", "step")))
mutant("image-inside-an-archive", SPLITS, (segments.segment_at, ("    image = 0 if cpio else find_erofs(p, q, end)\n", "    image = find_erofs(p, q, end)\n")))
mutant("image-inside-a-stream", SPLITS,
       (segments.segment_at, ("    stop = -EINVAL if cpio else compressed_end(q, end, name)\n    if stop >= 0:\n",
                              "    stop = -EINVAL if cpio or find_erofs(p, q, end) else compressed_end(q, end, name)\n    if stop >= 0:\n")))
mutant("alignment-in-memory", SPLITS, (segments.segment_at, ("    aligned = not q - buf & 3\n", "    aligned = not q & 3\n")))
mutant("members-aligned-in-memory", SPLITS, (segments.cpio_end, ("buf + (name_at - buf + name_len + 3 & ~3)", "name_at + name_len + 3 & ~3")))
mutant("data-not-aligned", SPLITS, (segments.cpio_end, ("buf + (body - buf + body_len + 3 & ~3)", "body + body_len")))
mutant("trailer-by-its-begin", SPLITS, (segments.cpio_end, ("if name_len == 11 and mem_read(name_at, 11) == b\"TRAILER!!!\\0\":",
                                                              "if mem_read(name_at, 10) == b\"TRAILER!!!\":")))
mutant("member-behind-the-end", DAMAGED, (segments.cpio_end, ("        if body + body_len > end:\n            return -EINVAL\n", "")))
mutant("member-size-signed", DAMAGED,
       (segments.cpio_end, ("body_len = int.from_bytes(h[24:28], \"big\")", "body_len = int.from_bytes(h[24:28], \"big\", signed=True)")))
mutant("stream-not-judged", DAMAGED, (segments.compressed_end, ("-EINVAL if res or failed or not ptr.v or", "-EINVAL if not ptr.v or")))
mutant("stream-behind-the-end", DAMAGED, (segments.compressed_end, (" or ptr.v > end - buf else", " else")))
mutant("image-from-the-first-byte", SPLITS, (segments.segment_at, ("segment(EROFS, image, image + size)", "segment(EROFS, q, q + size)")))
mutant("end-by-whole-pages", SPLITS, (segments.segment_at, ("segment(EROFS, image, image + size)", "segment(EROFS, image, min(end, image + size + 4095 & ~4095))")))
