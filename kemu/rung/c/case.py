# SPDX-License-Identifier: GPL-2.0-only
"""An image placed, mounted, walked and unmounted in one call of the kernel's: a case of a :class:`~kemu.rung.c.kernel.Kernel`."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from kemu.rung.c.trap import Trap, lines_of
from kemu.rung.entries import errno_name
from kemu.rung.protocol import Answer, Image, Packed
from kemu.rung.uml import wire
from kemu.rung.uml.errors import ConfigError, RungError
from kemu.rung.uml.inputs import read_input

if TYPE_CHECKING:
    from kemu.rung.c.kernel import Instance

MEMORY = {"linear": 0, "vmalloc": 1, "slab": 2}
KINDS = {"disk": 0, "file": 1, "region": 2}
FACTS, CLOCK, UNREAD = 1, 2, 4         # flags of a walk
_NO_ROOM, _BUSY = 1, 2                 # KEMU_CASE_*


@dataclass(frozen=True)
class Source:
    """How images are mounted: the kind of back end, the name of the first, and the options with those of the others in them."""

    kind: int
    name: bytes
    options: bytes


@lru_cache(maxsize=1024)
def source(count: int, options: str, backend: str) -> Source:
    """Of so many images, in slots; ``@N`` in the options is the name of the N-th. ``ConfigError``, ``RungError``."""
    if backend not in KINDS:
        raise ConfigError(f"backend {backend}: the C rung has disk and file, and region with a series that brings one")
    if count > wire.DISKS:
        raise RungError(f"{count - 1} extra devices: at most {wire.DISKS - 1}")
    kind = KINDS[backend]
    names = [f"/files/{i}" if backend == "file" else f"/dev/kemu{i}" for i in range(count)]
    for i, name in enumerate(names):
        options = options.replace(f"@{i}", name)
    words = ",".join(o for o in (options, *(f"device={n}" for n in names[1:])) if o)
    return Source(kind, names[0].encode(), os.fsencode(words))


def load(image: Image) -> bytes:
    """An image's bytes."""
    return read_input(image) if isinstance(image, (str, os.PathLike)) else bytes(image)


def loaded(image: Image, devices: Sequence[Image], at: int) -> list[bytes]:
    """Those of an image and its devices. ``RungError``: it cannot be placed there."""
    if not 0 <= at < 4096:
        raise RungError(f"at={at}: a byte offset within a page (0..4095)")
    return [load(image), *map(load, devices)] if devices else [load(image)]


class Case:
    """One that is asked again and again: the struct that an instance is given, and what keeps it alive."""

    def __init__(self, k: Instance):
        self.k = k
        self.asked: Any = k.ffi.new("struct kemu_case *")
        self._source: Source | None = None
        self._kept: list[Any] = []

    def run(self, images: Sequence[bytes], how: Source, at: int, memory: int, cap: int, most: int, flags: int, fail_nth: int,
            seconds: float, then: Callable[[Instance], None] | None) -> Answer:
        """What comes of it. ``then`` is given the instance before the image is unmounted. ``Trap``; ``RungError``: no memory."""
        k, c = self.k, self.asked
        if how is not self._source:
            self._kept = [k.ffi.new("char[]", how.name), k.ffi.new("char[]", how.options)]
            c.source, c.options = self._kept
            c.backend = how.kind
            c.mount = k.region_mount if how.kind == KINDS["region"] else k.ffi.NULL
            self._source = how
        data = [k.ffi.from_buffer(image) for image in images]
        for slot, p in enumerate(data):
            c.image[slot] = p
            c.len[slot] = len(p)
        c.images = len(data)
        c.at, c.memory, c.cap, c.most, c.flags, c.fail_nth = at, memory, cap, most, flags, fail_nth
        c.milliseconds, c.stays = int(seconds * 1000), then is not None
        self._check(k.lib.kemu_case(c))
        answer = Answer(mount_error=errno_name(-c.refused))
        if not c.refused:
            tree = c.tree
            answer.packed = Packed(k.ffi.buffer(tree.entries, tree.entries_len)[:], tree.count)
            if flags & FACTS:
                answer.facts = k.ffi.buffer(tree.facts, tree.facts_len)[:].decode("utf-8", "replace").splitlines()
        if fail_nth:
            answer.fired, answer.points = bool(c.fired), c.points
        if then is not None:
            try:
                if not c.refused:
                    then(k)
                self._check(k.lib.kemu_case_end(c))
            finally:
                k.lib.kemu_limit(0)
        answer.kmsg = lines_of(k.ffi.buffer(c.log, c.log_len)[:].decode("utf-8", "replace"))
        return answer

    def _check(self, result: int) -> None:
        k, c = self.k, self.asked
        if result == _NO_ROOM:
            raise RungError(f"no memory for {c.len[c.slot]} bytes ({errno_name(-c.error)})")
        if result == _BUSY:
            k.dead = True
            raise Trap(f"umount: {errno_name(-c.error)}: something is still in use", [], k.log())
        k.check(result)
