# SPDX-License-Identifier: GPL-2.0-only
"""Makes the images of this folder: ``python tests/data/known-differences/make.py``. Each is as small as its point allows."""
from __future__ import annotations

from pathlib import Path

from kemu.forge import tree as t
from kemu.forge.erofs.plan import ImagePlan, InodePlan
from kemu.forge.erofs.shared import FINGERPRINT, share_by
from kemu.forge.erofs.streams import FILE, ROOT, Extent, compress, stream_image
from kemu.forge.erofs.writer import build, fix_checksum

HERE = Path(__file__).parent
LITERALS = b"sixteen literals"


def deflate_short() -> bytes:
    """A file of 2000 bytes whose stream is complete after 16."""
    return stream_image("deflate", [Extent(2000, compress("deflate", b"A" * 16))])


def lz4_offset_0() -> bytes:
    """16 literals, a match of 16 bytes at offset 0, 16 literals."""
    return stream_image("lz4", [Extent(48, b"\xfc\x01" + LITERALS + b"\0\0" + b"\xf0\x01" + LITERALS)])


def nid_beyond_loff_t() -> bytes:
    """The root names an inode whose position is 2^63."""
    image = bytearray(stream_image("lz4", [Extent(5, compress("lz4", b"hello"))]))
    at = image.index(FILE.to_bytes(8, "little"), ROOT * 32)
    image[at:at + 8] = (1 << 58).to_bytes(8, "little")
    fix_checksum(image)
    return bytes(image)


def lz4_pclusters_of_1m() -> bytes:
    """A sound image with blocks of 4096 bytes that announces LZ4 pclusters of up to 256 of them."""
    return stream_image("lz4", [Extent(5, compress("lz4", b"hello"))], max_pclusterblks=256)


def lz4_pclusters_of_128k() -> bytes:
    """A sound image with blocks of 512 bytes and LZ4 pclusters of up to 257 of them: an eighth of what the format allows."""
    return stream_image("lz4", [Extent(5, compress("lz4", b"hello"))], blkszbits=9, max_pclusterblks=257)


def shared_small_blocks() -> bytes:
    """A file with a fingerprint in chunks of one block of 1024 bytes, the last one first: four extents in a page."""
    node = t.File(data=b"".join(letter * 1024 for letter in (b"A", b"B", b"C", b"D", b"E", b"F", b"G", b"H")))
    node.xattrs[FINGERPRINT] = b"a" * 32
    plan = ImagePlan(blkszbits=10, order="data-reverse")
    plan.inodes[id(node)] = InodePlan(data="chunk", chunk_indexes=True, scatter=True)
    return share_by(build(t.Dir(entries={b"f": node}), plan).data, FINGERPRINT)


IMAGES = {"deflate-short": deflate_short, "lz4-offset-0": lz4_offset_0, "nid-beyond-loff_t": nid_beyond_loff_t,
          "lz4-pclusters-of-1m": lz4_pclusters_of_1m, "lz4-pclusters-of-128k": lz4_pclusters_of_128k,
          "shared-small-blocks": shared_small_blocks}

if __name__ == "__main__":
    for name, make in IMAGES.items():
        (HERE / f"{name}.erofs").write_bytes(make())
