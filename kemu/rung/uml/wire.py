# SPDX-License-Identifier: GPL-2.0-only
"""Requests to the agent and its answers as bytes; agent/agent.h is the other side."""
from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

DISKS = 8
REQUEST_MAGIC = 0x5251454B
ANSWER_MAGIC = 0x5341454B

_REQUEST = struct.Struct(f"<8I6Q2I{DISKS}Q")
_ANSWER = struct.Struct("<IIiIQIIIIQ")
_PIECE = struct.Struct("<2Q")

MOST = 1 << 20                         # inodes of a tree that are visited, where nobody asks for fewer

ANSWER_SIZE = _ANSWER.size

WANTS_FACTS, IS_SHARED, BY_PROGRAM = 1, 2, 4

BODY_MOST = 1 << 30                    # bytes behind an answer's header: more is none
_ENTRY_LEAST = 64                      # bytes of an entry


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
    REGION = 3


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


class Answer(NamedTuple):
    """An answer's header. ``shared``: what follows is in the shared memory; ``logged``: bytes of the log up to here."""

    id: int
    error: int
    entries: int
    entries_len: int
    text_len: int
    kmsg_len: int
    full: int
    shared: int
    logged: int

    @property
    def size(self) -> int:
        """Bytes that follow."""
        return self.entries_len + self.text_len + self.kmsg_len


def request(id_: int, op: Op, images: Sequence[bytes], options: str = "", backend: Backend = Backend.DISK,
            memory: Memory = Memory.LINEAR,
            at: int = 0, arg: int = 0, cap: int = 1 << 26, entries: int = MOST, sizes: Sequence[int] | None = None,
            flags: int = 0, images_at: int = 0, answer_at: int = 0, answer_room: int = 0) -> bytes:
    """One request with its images. ``sizes``: of images that are sent afterwards, in pieces, or lie in the shared memory from
    ``images_at`` on. An answer of at most ``answer_room`` bytes comes there, at ``answer_at``.
    """
    text = os.fsencode(options)
    lens = [len(i) for i in images] if sizes is None else sizes
    head = _REQUEST.pack(REQUEST_MAGIC, id_, op, backend, memory, arg, flags, 0, at, cap, entries, images_at, answer_at,
                         answer_room, len(text), len(lens), *lens, *[0] * (DISKS - len(lens)))
    return b"".join((head, text, *images))


def piece(at: int = 0, data: bytes = b"") -> bytes:
    """A piece of an image that is sent in pieces; without data the image's end."""
    return _PIECE.pack(at, len(data)) + data


def parse_answer(data: bytes) -> Answer:
    """The header; ``ValueError`` if the bytes are something else."""
    magic, *rest = _ANSWER.unpack(data)
    head = Answer(*rest)
    if magic != ANSWER_MAGIC or head.size > BODY_MOST or head.entries * _ENTRY_LEAST > head.entries_len:
        raise ValueError("not an answer")
    return head
