# SPDX-License-Identifier: GPL-2.0-only
"""What the search by coverage found in Linux: a packed inode, or a metabox, that cannot be read (findings-about-linux.md)."""
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


def with_metabox(mode: int) -> bytes:
    """An image whose root is in the metabox, which is a compact inode of this mode behind the end of the image."""
    data = bytearray((DATA / "erofs" / "tiny-plain.erofs").read_bytes())
    at = len(data)
    data += bytes(4096)
    struct.pack_into("<HHHHI", data, at, 0, 0, mode, 1, 4096)
    data[1024 + 13] = 1                                                            # sb_extslots: 16 bytes more of superblock
    struct.pack_into("<I", data, 1024 + 80, struct.unpack_from("<I", data, 1024 + 80)[0] | 0x180)      # 48BIT, METABOX
    struct.pack_into("<Q", data, 1024 + 112, 1 << 63)                              # rootnid_8b: nid 0 of the metabox
    struct.pack_into("<QQ", data, 1024 + 128, (at - (struct.unpack_from("<I", data, 1024 + 40)[0] << data[1024 + 12])) // 32, 0)
    fix_checksum(data)
    return bytes(data)


def test_a_metabox_that_is_no_file_has_no_read_folio_and_a_mount_is_enough(kernel: Kernel) -> None:
    for mode in (0o010644, 0o060644):
        answer = kernel.erofs(with_metabox(mode))
        assert answer.crash == "splat" and str(answer.message).startswith("SIGSEGV at 0")
        assert "erofs_bread at fs/erofs/data.c" in answer.console and "erofs_fc_fill_super" in answer.console
    answer = kernel.erofs(with_metabox(0o100644))
    assert answer.crash is None and answer.mount_error is not None, answer
