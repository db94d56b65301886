# SPDX-License-Identifier: GPL-2.0-only
"""What the search by coverage found in Linux: a packed inode that cannot hold fragments (findings-about-linux.md)."""
from __future__ import annotations

import struct

from kemu.forge.erofs.writer import fix_checksum
from kemu.rung.c.kernel import Kernel
from tests.conftest import DATA

PACKED_NID = 1024 + 96
FILE, LINK = 66, 63                    # /d0/f0.txt, which is a fragment itself, and /ln


def image(nid: int, fifo: bool = False) -> bytes:
    """An image of which all files are fragments, in the file of that nid."""
    data = bytearray((DATA / "erofs" / "tiny-lz4hc-allfrag.erofs").read_bytes())
    struct.pack_into("<Q", data, PACKED_NID, nid)
    if fifo:
        at = (struct.unpack_from("<I", data, 1024 + 40)[0] << data[1024 + 12]) + 32 * nid + 4
        struct.pack_into("<H", data, at, 0o010644)
    fix_checksum(data)
    return bytes(data)


def test_a_packed_inode_that_is_a_fragment_waits_for_itself(kernel: Kernel) -> None:
    answer = kernel.erofs(image(FILE))
    assert answer.message == "deadlock: every task sleeps" and "z_erofs_read_fragment at fs/erofs/zdata.c" in answer.console


def test_a_packed_inode_that_is_a_fifo_has_no_read_folio(kernel: Kernel) -> None:
    answer = kernel.erofs(image(LINK, fifo=True))
    assert answer.crash == "splat" and str(answer.message).startswith("SIGSEGV at 0")
    assert "filemap_read_folio at mm/filemap.c" in answer.console and "erofs_bread at fs/erofs/data.c" in answer.console


def test_the_image_as_it_was_is_fine(kernel: Kernel) -> None:
    answer = kernel.erofs(image(96))
    assert answer.crash is None and answer.mount_error is None and all(e["error"] is None for e in answer.entries)
