# SPDX-License-Identifier: GPL-2.0-only
"""What a case is made of before a kernel is asked, and how its images get there."""
from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from kemu.rung.protocol import Image
from kemu.rung.uml import wire
from kemu.rung.uml.inputs import check_input, read_input
from kemu.rung.uml.wire import Backend, Memory, Op

LINEAR_MAX = (4 << 20) - 4096         # the page allocator's largest block, less the guard page


@dataclass(eq=False)
class Case:
    """One question to a kernel. ``rest``: images that are sent in pieces, of these ``sizes``, instead of ``images``."""

    op: Op
    images: list[bytes] = field(default_factory=list)
    options: str = ""
    backend: Backend = Backend.DISK
    memory: Memory = Memory.LINEAR
    at: int = 0
    arg: int = 0
    cap: int = 1 << 26
    entries: int = wire.MOST
    flags: int = 0
    sizes: list[int] | None = None
    rest: Callable[[], Iterable[bytes]] | None = None

    @property
    def size(self) -> int:
        """Bytes of all images."""
        return sum(map(len, self.images))

    def request(self, id_: int, flags: int = 0) -> bytes:
        """The question with its images behind it."""
        return wire.request(id_, self.op, self.images, self.options, self.backend, self.memory, self.at, self.arg, self.cap,
                            self.entries, self.sizes, self.flags | flags)

    def request_shared(self, id_: int, images_at: int, answer_at: int, answer_room: int) -> bytes:
        """The question whose images, and the answer if there is room, are in the shared memory."""
        return wire.request(id_, self.op, (), self.options, self.backend, self.memory, self.at, self.arg, self.cap, self.entries,
                            list(map(len, self.images)), self.flags | wire.IS_SHARED, images_at, answer_at, answer_room)


def where(memory: str, at: int, images: Sequence[bytes]) -> Memory:
    """The kind of memory; what is too large for contiguous pages goes to vmalloc."""
    kind = Memory[memory.upper()]
    if kind is Memory.LINEAR and (at + len(images[0]) > LINEAR_MAX or any(len(i) > LINEAR_MAX for i in images[1:])):
        return Memory.VMALLOC
    return kind


def pieces(image: Image) -> tuple[int, list[tuple[int, int]]]:
    """An image's size, and where it has data: (offset, length)."""
    if not isinstance(image, (str, os.PathLike)):
        return len(image), [(0, len(image))]
    out, at = [], 0
    size = check_input(image, (1 << 63) - 1)
    with open(image, "rb") as f:
        while at < size:
            try:
                begin = os.lseek(f.fileno(), at, os.SEEK_DATA)
                at = os.lseek(f.fileno(), begin, os.SEEK_HOLE)
            except OSError as e:
                if e.errno != errno.ENXIO:             # a hole up to the end
                    raise
                break
            out.append((begin, at - begin))
    return size, out


def sent(images: Sequence[Image], parts: Sequence[Sequence[tuple[int, int]]]) -> Iterator[bytes]:
    """The images as the agent takes them: pieces of at most a megabyte."""
    for image, places in zip(images, parts):
        file = open(image, "rb") if isinstance(image, (str, os.PathLike)) else io.BytesIO(image)
        with file:
            for begin, length in places:
                for at in range(begin, begin + length, 1 << 20):
                    file.seek(at)
                    data = file.read(min(1 << 20, begin + length - at))
                    if data:
                        yield wire.piece(at, data)
        yield wire.piece()


def with_devices(options: str, images: int) -> str:
    """Mount options that name each extra image's device."""
    return ",".join(o for o in (options, *(f"device=@{i}" for i in range(1, images))) if o) if images > 1 else options


def load(image: Image) -> bytes:
    """An image's bytes."""
    if isinstance(image, (str, os.PathLike)):
        return read_input(image)
    return bytes(image)
