# SPDX-License-Identifier: GPL-2.0-only
"""Where the parts of an initrd begin and end: cpio archives, compressed ones, EROFS images, NULs between them. Ours;
docs/explanation/layered.md.

Nothing is changed, nothing is unpacked: what follows from the answer follows later. The only memory touched is [start, end).
"""
from __future__ import annotations

from binascii import Error, unhexlify

from kemu.linux.decompress import decompress_method
from kemu.linux.errno import EINVAL, ENOENT
from kemu.linux.printk import pr_info
from kemu.linux.string import get_char, leading_nuls, mem_read
from kemu.linux.types import Ref

from erofs_memback.erofs_fs import EROFS_FEATURE_INCOMPAT_48BIT, EROFS_FEATURE_INCOMPAT_DEVICE_TABLE, EROFS_SUPER_OFFSET
from initramfs.unpack import CPIO_HDRLEN

CPIO, EROFS = "cpio", "erofs"
EROFS_SUPER_MAGIC = b"\xe2\xe1\xf5\xe0"
MAX_SEGMENTS = 64


class segment:
    """One part: its kind ("cpio", or "erofs") and its bytes; ``compressed``: by what."""

    __slots__ = ("compressed", "end", "kind", "start")

    def __init__(self, kind: str, start: int, end: int, compressed: str = ""):
        self.kind = kind
        self.start = start
        self.end = end
        self.compressed = compressed

    def __repr__(self) -> str:
        return f"<{self.compressed or self.kind} {self.end - self.start} bytes>"


def cpio_end(buf: int, end: int) -> int:
    """The address behind the archive at ``buf``: behind its trailer, or where no further header is. -EINVAL: it is cut off or
    damaged.
    """
    p = buf
    while end - p >= CPIO_HDRLEN:
        magic = mem_read(p, 6)
        if magic not in (b"070701", b"070702"):
            break
        try:
            h = unhexlify(mem_read(p + 6, 104))
        except Error:
            return -EINVAL
        name_len = int.from_bytes(h[44:48], "big")
        body_len = int.from_bytes(h[24:28], "big")
        name_at = p + CPIO_HDRLEN
        body = buf + (name_at - buf + name_len + 3 & ~3)
        after = buf + (body - buf + body_len + 3 & ~3)
        if body + body_len > end:
            return -EINVAL
        p = min(after, end)
        if name_len == 11 and mem_read(name_at, 11) == b"TRAILER!!!\0":
            break
    return p


def erofs_image_size(sb: int, end: int) -> int:
    """The size that the superblock at ``sb`` says; -EINVAL if it cannot be one that is mounted from memory."""
    if end - sb < 128:
        return -EINVAL
    head = mem_read(sb, 128)
    blkszbits = head[12]
    blocks = int.from_bytes(head[36:40], "little")
    incompat = int.from_bytes(head[80:84], "little")
    # without rootnid_8b the two bytes of blocks_hi are rootnid_2b (erofs_read_superblock())
    if incompat & EROFS_FEATURE_INCOMPAT_48BIT and any(head[112:120]):
        blocks |= int.from_bytes(head[14:16], "little") << 32
    if not 9 <= blkszbits <= 16 or not blocks or (incompat & EROFS_FEATURE_INCOMPAT_DEVICE_TABLE
                                                  and int.from_bytes(head[86:88], "little")):
        return -EINVAL
    return blocks << blkszbits


def find_erofs(p: int, q: int, end: int) -> int:
    """An image between ``p`` and ``q``, the first byte that is not NUL: its magic is 1 KiB behind its start. Its address, or 0.
    """
    low = max(p, q - EROFS_SUPER_OFFSET)
    window = mem_read(low + EROFS_SUPER_OFFSET,
                      min(q + 4, end - EROFS_SUPER_OFFSET) - low) if end - low >= EROFS_SUPER_OFFSET + 4 else b""
    at = window.find(EROFS_SUPER_MAGIC)
    return low + at if at >= 0 and low + at <= q else 0


def compressed_end(buf: int, end: int, name: Ref) -> int:
    """The address behind the compressed archive at ``buf``, as its decompressor says; -EINVAL if it is none, or damaged, or cut
    off.

    gunzip() counts the eight bytes of a trailer that it does not read: its answer may lie beyond the end.
    """
    decompress = decompress_method(buf, end - buf, name)
    if decompress is None:
        return -EINVAL
    failed: list[str] = []
    ptr = Ref(0)
    res = decompress(buf, end - buf, None, lambda b, n: n, 0, ptr, failed.append)
    return -EINVAL if res or failed or not ptr.v or ptr.v > end - buf else buf + ptr.v


def has_erofs(buf: int, end: int) -> bool:
    """Whether the magic occurs at all: what has none is left alone."""
    step = 1 << 20
    at = buf
    while at < end:
        n = min(step + 3, end - at)
        if EROFS_SUPER_MAGIC in mem_read(at, n):
            return True
        at += step
    return False


def segment_at(buf: int, p: int, q: int, end: int) -> segment | None:
    """The segment whose first byte that is not NUL is at ``q``; the one before ended at ``p``. None, and a message: what is there
    is not understood.

    A compressed archive comes before an image: the bytes of one may hold the other's magic, but not by chance its decompressor's
    consent.
    """
    aligned = not q - buf & 3
    cpio = aligned and end - q >= 6 and mem_read(q, 6) in (b"070701", b"070702")
    name = Ref(None)
    stop = -EINVAL if cpio else compressed_end(q, end, name)
    if stop >= 0:
        return segment(CPIO, q, stop, name.v or "compressed")
    image = 0 if cpio else find_erofs(p, q, end)
    if image:
        size = erofs_image_size(image + EROFS_SUPER_OFFSET, end)
        if 0 <= size <= end - image:
            return segment(EROFS, image, image + size)
        pr_info("initrd: offset %lu: an EROFS image of more bytes than there are, or of several devices\n", image - buf)
    elif aligned and get_char(q) == 0x30:
        stop = cpio_end(q, end)
        if stop > q:
            return segment(CPIO, q, stop)
        pr_info("initrd: offset %lu: a cpio archive that is cut off or damaged\n", q - buf)
    else:
        pr_info("initrd: offset %lu: neither a cpio archive nor an EROFS image\n", q - buf)
    return None


def split(buf: int, end: int) -> list[segment] | int:
    """The segments of [buf, end) in order.

    Return: -ENOENT if none is an EROFS image; -EINVAL for what is not understood (a message says where).
    """
    if not has_erofs(buf, end):
        return -ENOENT
    out: list[segment] = []
    p = buf
    while p < end:
        q = p
        while q < end:
            n = leading_nuls(q, min(end - q, 1 << 20))
            q += n
            if not n or (q < end and get_char(q)):
                break
        if q >= end:
            break
        if len(out) == MAX_SEGMENTS:
            pr_info("initrd: more than %d segments\n", MAX_SEGMENTS)
            return -EINVAL
        found = segment_at(buf, p, q, end)
        if found is None:
            return -EINVAL
        out.append(found)
        p = found.end
    return out if any(s.kind == EROFS for s in out) else -ENOENT
