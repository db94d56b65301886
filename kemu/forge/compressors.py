# SPDX-License-Identifier: GPL-2.0-only
"""The formats in which an initramfs may be compressed, as the tools of a distribution write them for the kernel."""
from __future__ import annotations

import struct
from collections.abc import Callable

from kemu.machine.hostmodule import MissingLibrary, host_module

bz2 = host_module("bz2", "bzip2")
lzma = host_module("lzma", "xz")
zlib = host_module("zlib", "gzip")
lz4_block = host_module("lz4.block", "LZ4")
zstandard = host_module("zstandard", "zstd")

LZ4_LEGACY_MAGIC = b"\x02\x21\x4c\x18"
LZ4_LEGACY_CHUNK = 8 << 20


def gzip_member(data: bytes, level: int = 6, name: bytes = b"") -> bytes:
    """One gzip member without a time stamp."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    body = packer.compress(data) + packer.flush()
    head = b"\x1f\x8b\x08" + (b"\x08" if name else b"\0") + bytes(4) + b"\0\x03" + (name + b"\0" if name else b"")
    return bytes(head + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))


def bzip2_stream(data: bytes, level: int = 9) -> bytes:
    """One bzip2 stream."""
    return bytes(bz2.compress(data, max(1, level)))


def xz_stream(data: bytes, level: int = 6) -> bytes:
    """One .xz stream with CRC32, which is all that the kernel's decoder checks."""
    return bytes(lzma.compress(data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, preset=min(level, 6)))


def lzma_alone(data: bytes, level: int = 6) -> bytes:
    """The .lzma format, of unknown size with an end marker."""
    return bytes(lzma.compress(data, format=lzma.FORMAT_ALONE, preset=min(level, 6)))


def lz4_legacy(data: bytes, chunk: int = LZ4_LEGACY_CHUNK) -> bytes:
    """``lz4 -l``: magic, then chunks with their compressed length before them."""
    out = [LZ4_LEGACY_MAGIC]
    for at in range(0, len(data), chunk):
        packed = lz4_block.compress(data[at:at + chunk], store_size=False)
        out.append(struct.pack("<I", len(packed)) + packed)
    return b"".join(out)


def zstd_frame(data: bytes, level: int = 3) -> bytes:
    """One zstd frame with a checksum. ``MissingLibrary`` without the package."""
    packed: bytes = zstandard.ZstdCompressor(level=max(1, level), write_checksum=True).compress(data)
    return packed


def _lz4_by_level(data: bytes, level: int) -> bytes:
    return lz4_legacy(data, LZ4_LEGACY_CHUNK if level else 4096)


COMPRESSORS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": gzip_member, "xz": xz_stream, "zstd": zstd_frame, "lz4": _lz4_by_level, "bzip2": bzip2_stream, "lzma": lzma_alone,
}


def available() -> tuple[str, ...]:
    """Names of the formats that can be written here: all of them, where Python has what it mostly has."""
    return tuple(n for n, pack in COMPRESSORS.items() if _works(pack))


def _works(pack: Callable[[bytes, int], bytes]) -> bool:
    try:
        return bool(pack(b"", 1)) or True
    except MissingLibrary:
        return False


def compress(method: str, data: bytes, level: int = 6) -> bytes:
    """``data`` in one of the formats of :func:`available`."""
    if method not in COMPRESSORS:
        raise ValueError(f"unknown compression {method!r}, known: {', '.join(COMPRESSORS)}")
    return COMPRESSORS[method](data, level)
