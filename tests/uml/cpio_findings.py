# SPDX-License-Identifier: GPL-2.0-only
"""Archives that show something about Linux 7.2, each as small as that allows. They are in tests/data: a test compares them with
what is made here.
"""
from __future__ import annotations

from collections.abc import Callable

from kemu.forge.compressors import bzip2_stream, gzip_member, lz4_legacy
from kemu.forge.cpio import Member, Segment, encode, trailer

REG, DIR, FIFO = 0o100644, 0o040755, 0o010644


def hang_fifo() -> bytes:
    """A file with two names, of which the first becomes a FIFO before the second one comes."""
    return encode([Segment(members=[Member(b"a", REG, b"x", ino=1, nlink=2), Member(b"a", FIFO, ino=2),
                                    Member(b"b", REG, ino=1, nlink=2), trailer()])])


def skipped_after_collect(shift: int = 50) -> bytes:
    """The header of a directory with a body (which is skipped) begins ``shift`` bytes before the decompressor's buffer of 4096
    ends.
    """
    first = Member(b"a", REG, b"x" * (4096 - 112 - shift))
    return bzip2_stream(encode([Segment(members=[first, Member(b"d", DIR, b"12345678", nlink=2), Member(b"f", REG, b"hello\n"),
                                                 trailer()])]))


def skipped_first() -> bytes:
    """A member that is skipped and not a multiple of four long, before any that is not; then zeros and an archive."""
    return encode([Segment(members=[Member(b"d", DIR, b"123", nlink=2)]), Segment("zeros", count=512),
                   Segment(members=[Member(b"f", REG, b"hello\n"), trailer()])])


def cut_in_a_file() -> bytes:
    """Five of ten bytes of a file."""
    return Member(b"a", REG, b"x" * 10).encode()[:-7]


def name_at_the_end() -> bytes:
    """A file with two names and no data whose name ends the archive, which ends at a multiple of 4096 (from a multiple of 64 on).
    """
    last = Member(b"n" * 17, REG, ino=1, nlink=2).encode()
    return bytes(4096 - len(last)) + last


def bzip2_run() -> bytes:
    """One bzip2 block: a run of 2**30 - 1 - 2**31 bytes, as int has it."""
    bits = ""

    def put(value: int, width: int) -> None:
        nonlocal bits
        bits += format(value, f"0{width}b")

    put(int.from_bytes(b"BZh1", "big"), 32)
    put(0x314159265359, 48)
    put(0, 32)                                  # CRC
    put(0, 1)
    put(0, 24)                                  # origPtr
    put(0x8000, 16)
    put(0x8000, 16)                             # one byte value in use: 0
    put(2, 3)                                   # groups
    put(1, 15)                                  # selectors
    put(0, 1)                                   # of 50 symbols by group 0
    for _ in range(2):
        put(1, 5)                               # RUNA: 1 bit
        put(0, 1)
        put(0b10, 2)                            # RUNB: 2 bits
        put(0, 1)
        put(0, 1)                               # end of block: 2 bits
    put(0, 30)                                  # 30 times RUNA: 2**30 - 1
    put(0b10, 2)                                # RUNB: 2 * 2**30 more
    put(0b11, 2)
    bits += "0" * (-len(bits) % 8 + 64)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def lzma_empty() -> bytes:
    """An .lzma header that says that there are 0 bytes."""
    return b"\x5d" + (1 << 23).to_bytes(4, "little") + bytes(8)


def lzma_window() -> bytes:
    """An .lzma header that asks for a window of 504 MiB, and some bytes."""
    return b"\x5d" + (504 << 20).to_bytes(4, "little") + b"\xff" * 8 + bytes(6) + b"not lzma"


def lz4_cut() -> bytes:
    """An lz4 chunk whose second half is missing, and no word about the end."""
    data = lz4_legacy(encode([Segment(members=[Member(b"a", REG, b"hello\n"), trailer()])]))
    return data[:len(data) - 20]


def gzip_trailer() -> bytes:
    """A gzip archive without the last of its bytes, which nobody reads."""
    return gzip_member(encode([Segment(members=[Member(b"a", REG, b"hello\n"), trailer()])]))[:-1]


FINDINGS: dict[str, Callable[[], bytes]] = {
    "hang-fifo.cpio": hang_fifo, "skipped-after-collect.bz2": skipped_after_collect, "skipped-first.cpio": skipped_first,
    "cut-in-a-file.cpio": cut_in_a_file, "bzip2-run.bz2": bzip2_run, "lzma-empty.lzma": lzma_empty,
    "gzip-trailer.gz": gzip_trailer,
}
DIFFERENCES: dict[str, Callable[[], bytes]] = {"name-at-the-end.cpio": name_at_the_end, "lzma-window.lzma": lzma_window,
                                               "lz4-cut.lz4": lz4_cut}
