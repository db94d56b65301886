# SPDX-License-Identifier: GPL-2.0-only
"""The list of what searches of unchanged Linux may find is the document's, and takes nothing else."""
from __future__ import annotations

import re

import pytest

from tests.quality.base import BASE_SERIES, DOCUMENT, base_experiments, described_by, known


def _sections() -> dict[str, str]:
    parts = re.split(r"^#+ (.*)$", DOCUMENT.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.mark.parametrize("entry", known(), ids=lambda e: e["row"][:40])
def test_the_document_describes_it(entry):
    section = _sections()[entry["heading"]]
    cells = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("|")]
    assert any(c.startswith(entry["row"])
               for c in cells), f"{DOCUMENT.name}, {entry['heading']}: no row begins with {entry['row']!r}"
    names = base_experiments()
    for pattern in entry["experiments"]:
        assert any(n == pattern or (pattern.endswith("*") and n.startswith(pattern[:-1]))
                   for n in names), f"no experiment {pattern}"


def test_the_base_is_searched_as_a_whole():
    names = base_experiments()
    assert {"bdev.readers-and-umount", "file.same-bytes", "initramfs.damaged", "upstream.boots"} <= set(names)
    assert not any(n.endswith(".linux") for n in names) and len(BASE_SERIES) == 4


@pytest.mark.parametrize("experiment, title, report, is_known", [
    ("bdev.ends-early", "UBSAN: array-index-out-of-bounds in z_erofs_lz4_handle_overlap", "UBSAN", True),
    ("bdev.readers-and-umount", "WARNING: rw_semaphore (read) still held after the operation, taken in readers_and_umount.task",
     "held", False),
    ("initramfs.damaged", "BUG: KASAN: out-of-bounds in unpack_to_rootfs", "get (decompress/unlz4.py:25)\nunpack_to_rootfs",
     True),
    ("bdev.ground-truth", "BUG: KMSAN: uninit-value in erofs_onlinefolio_end: read of folio ends with bytes that nobody wrote",
     "z_erofs_decompress_pcluster", False),
    ("bdev.damaged", "BUG: KASAN: use-after-free in erofs_put_super", "erofs_put_super", False),
    ("initramfs.interleavings", "INFO: task init:1 blocked for more than 120 seconds", "wait_for_initramfs", False),
])
def test_what_is_not_described_is_not_known(experiment, title, report, is_known):
    assert (described_by({"experiment": experiment, "title": title, "report": report}) is not None) is is_known
