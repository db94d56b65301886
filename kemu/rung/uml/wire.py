# SPDX-License-Identifier: GPL-2.0-only
"""Requests to the agent and its answers as bytes; agent/agent.h is the other side."""
from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

DISKS = 8
REQUEST_MAGIC = 0x5251454B
ANSWER_MAGIC = 0x5341454B

_REQUEST = struct.Struct(f"<8I3Q2I{DISKS}Q")
_ANSWER = struct.Struct("<IIiIQIIII")
_PIECE = struct.Struct("<2Q")

MOST = 1 << 20                         # inodes of a tree that are visited, where nobody asks for fewer

ANSWER_SIZE = _ANSWER.size

WANTS_FACTS = 1


class Op(IntEnum):
    """What to do."""

    EROFS = 1
    CPIO = 2
    BUG = 3
    WRITE = 4
    READ = 5
    QUIT = 6
    SCHED = 7


class Backend(IntEnum):
    """What an EROFS image is mounted from."""

    DISK = 0
    LOOP = 1
    FILE = 2


class Memory(IntEnum):
    """Where a region is placed."""

    LINEAR = 0
    VMALLOC = 1
    SLAB = 2


class Bug(IntEnum):
    """Bugs that the kernel's side commits on order."""

    PANIC = 0
    HANG = 1
    SLEEP = 2
    OOB = 3
    WARN = 4
    OOPS = 5
    LEAK = 6


@dataclass(frozen=True)
class Answer:
    """An answer's header."""

    id: int
    error: int
    entries: int
    entries_len: int
    text_len: int
    kmsg_len: int
    full: bool


def request(id_: int, op: Op, images: list[bytes], options: str = "", backend: Backend = Backend.DISK,
            memory: Memory = Memory.LINEAR,
            at: int = 0, arg: int = 0, cap: int = 1 << 26, entries: int = MOST, sizes: Sequence[int] | None = None,
            flags: int = 0) -> bytes:
    """One request with its images. ``sizes``: of images that are sent afterwards, in pieces."""
    text = os.fsencode(options)
    lens = [len(i) for i in images] if sizes is None else list(sizes)
    head = _REQUEST.pack(REQUEST_MAGIC, id_, op, backend, memory, arg, flags, 0, at, cap, entries, len(text), len(lens), *lens,
                         *[0] * (DISKS - len(lens)))
    return b"".join([head, text, *images])


def piece(at: int = 0, data: bytes = b"") -> bytes:
    """A piece of an image that is sent in pieces; without data the image's end."""
    return _PIECE.pack(at, len(data)) + data


def parse_answer(data: bytes) -> Answer:
    """The header; ``ValueError`` if the bytes are something else."""
    magic, id_, error, entries, entries_len, text_len, kmsg_len, full, _ = _ANSWER.unpack(data)
    if magic != ANSWER_MAGIC:
        raise ValueError("not an answer")
    return Answer(id_, error, entries, entries_len, text_len, kmsg_len, bool(full))
