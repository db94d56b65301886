# SPDX-License-Identifier: GPL-2.0-only
"""uncompress.c, and the streams under it."""

from __future__ import annotations

import zlib as host
from collections.abc import Iterator

import pytest

from kemu.linux.slab import kmalloc
from kemu.linux.string import mem_read, mem_write
from kemu.machine.machine import Machine
from kemu.machine.splat import Splat

from cramfs import uncompress
from cramfs.linux import zlib
from cramfs.uncompress import cramfs_uncompress_block, cramfs_uncompress_exit, cramfs_uncompress_init

TEXT = b"a block of a file, " * 100


@pytest.fixture(autouse=True)
def machine() -> Iterator[Machine]:
    with Machine() as m:
        assert cramfs_uncompress_init() == 0
        yield m


def stored(data: bytes) -> int:
    p = kmalloc(len(data))
    mem_write(p, data)
    return p


def block(data: bytes, room: int = 4096) -> tuple[int, bytes]:
    dst = kmalloc(room)
    n = cramfs_uncompress_block(dst, room, stored(data), len(data))
    return n, mem_read(dst, n) if n > 0 else b""


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_block(level: int) -> None:
    for _ in range(3):  # one stream serves them all
        assert block(host.compress(TEXT, level)) == (len(TEXT), TEXT)


GOOD = host.compress(TEXT)


@pytest.mark.parametrize(
    "data,error",
    [
        (GOOD[:-1], -5),
        (GOOD[:20], -5),
        (GOOD[:1], -5),
        (b"\x78\x9d" + GOOD[2:], -3),
        (b"\x79\x9b" + GOOD[2:], -3),
        (b"\x88\x1c" + GOOD[2:], -3),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), -3),
        (GOOD[:2] + b"\xff" + GOOD[3:], -3),
        (b"\x78\xbb" + GOOD[2:], 2),
        (bytes(64), -3),
    ],
    ids=["no last byte", "cut", "one byte", "header", "method", "window", "checksum", "data", "dictionary", "zeros"],
)
def test_what_is_no_block(machine: Machine, data: bytes, error: int) -> None:
    assert block(data)[0] == -5
    assert f"cramfs: Error {error} while decompressing!" in "\n".join(machine.log.lines())
    assert block(GOOD) == (len(TEXT), TEXT)  # and the next one is


def test_a_block_that_is_larger_than_a_page(machine: Machine) -> None:
    assert block(GOOD, 1024)[0] == -5
    assert "Error -5 while" in "\n".join(machine.log.lines())


def test_what_follows_a_block_is_not_read() -> None:
    assert block(GOOD + b"garbage") == (len(TEXT), TEXT)


def test_a_stream_in_pieces() -> None:
    strm = zlib.z_stream()
    assert zlib.zlib_inflateReset(strm) == zlib.zlib_inflate(strm, 0) == zlib.zlib_inflateEnd(strm) == -2  # Z_STREAM_ERROR
    strm.workspace = kmalloc(zlib.zlib_inflate_workspacesize())
    zlib.zlib_inflateInit(strm)
    src, dst = stored(GOOD), kmalloc(4096)
    strm.next_in, strm.next_out, strm.avail_out = src, dst, 4096
    for i in range(len(GOOD)):
        strm.avail_in = 1
        err = zlib.zlib_inflate(strm, 0)
        assert err == (1 if i == len(GOOD) - 1 else 0), i
    assert (strm.total_in, strm.total_out) == (len(GOOD), len(TEXT)) and mem_read(dst, len(TEXT)) == TEXT
    assert zlib.zlib_inflate(strm, 0) == 1


def test_the_last_user_frees_the_workspace() -> None:
    workspace = uncompress.g.stream.workspace
    assert cramfs_uncompress_init() == 0 and uncompress.g.stream.workspace == workspace
    cramfs_uncompress_exit()
    mem_write(workspace, b"x")
    cramfs_uncompress_exit()
    with pytest.raises(Splat):
        mem_write(workspace, b"x")
