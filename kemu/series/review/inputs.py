# SPDX-License-Identifier: GPL-2.0-only
"""What a review begins with."""
from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from kemu.rung.c.cover import begin
from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.mutate import CMDLINES, made_good
from kemu.series.review.kept import kept
from kemu.series.review.kept import reaching as reaching_count

MOST = 100                             # of those that come to what is changed, at first


def reaching(functions: Iterable[str]) -> Iterator[Case]:
    """Kept inputs that come to these functions."""
    names = set(functions)
    yield from islice(kept(names), min(MOST, reaching_count(names)))


def first(seed: int) -> Iterator[Case]:
    """Boots and modules, kept inputs of all kinds, forged images and archives."""
    yield from begin.boots(seed + 1)
    yield from begin.forged(seed + 1)
    yield from kept()


_OPTIONS = ("cache_strategy=disabled", "cache_strategy=readahead", "noacl,nouser_xattr", "dax=always", "dax=never", "nonsense",
            "directio", "inode_share,domain_id=d", "domain_id=d", "inode_share", "fsoffset=4096", "fsoffset=1", "dax=bad",
            "cache_strategy=bad", "dax=always,inode_share,domain_id=d")
_PATHS = ("/dev", "/none", "/files", "/dev/kemu0", "/dev/kemu7", "/files/0", "/dev/null")
_TABLE = 8                             # EROFS_FEATURE_INCOMPAT_DEVICE_TABLE
_BLKSZBITS, _INCOMPAT, _DEVICES = 1024 + 12, 1024 + 80, 1024 + 86
_SLOT, _LARGEST = 128, 1 << 18         # of a device in the table; bytes of an image that is laid out anew


def variants(case: Case) -> Iterator[Case]:
    """The same bytes, mounted in every other way."""
    if case.kind == "cpio":
        for words in CMDLINES:
            yield replace(case, options=words)
        yield replace(case, devices=(case.data,))
        for at in (1, 63, 4095):
            yield replace(case, at=at)
        for n in (1, 2, 4, 110, 512):
            yield replace(case, data=case.data[:-n])
            yield replace(case, data=case.data + bytes(n))
        yield replace(case, data=case.data + case.data)
        return
    if case.kind != "erofs":
        return
    other = "file" if case.backend == "disk" else "disk"
    yield replace(case, backend=other)
    yield from _elsewhere(case)
    yield replace(case, backend="file", options="directio")
    for options in _OPTIONS:
        yield replace(case, options=options)
    for memory in ("vmalloc", "slab"):
        yield replace(case, memory=memory)
    for fsoffset in (512, 4096):
        yield replace(case, data=bytes(fsoffset) + case.data, options=f"fsoffset={fsoffset}")
    for n in (1, 512, 4096, len(case.data) // 2):
        yield replace(case, data=case.data[:-n])
    if case.data[_INCOMPAT:_INCOMPAT + 1] and case.data[_INCOMPAT] & _TABLE:
        yield from _devices(case, other)


def _elsewhere(case: Case) -> Iterator[Case]:
    """An image whose blocks behind the first are on a device of their own, as they are and otherwise: what is read of which
    device shows.
    """
    bits = case.data[_BLKSZBITS] if len(case.data) > _DEVICES + 4 else 0
    size = 1 << bits
    if not 9 <= bits <= 12 or case.devices or case.data[_INCOMPAT] & _TABLE or len(case.data) > _LARGEST:
        return
    head = bytearray(case.data + bytes(-len(case.data) % size))
    blocks = len(head) // size - 1
    slot = len(head)
    head[_INCOMPAT] |= _TABLE
    struct.pack_into("<HH", head, _DEVICES, 1, slot // _SLOT)
    head += b"device".ljust(64, b"\0") + struct.pack("<II", blocks, 1) + bytes(_SLOT - 72)
    head += bytes(-len(head) % size)
    made_good(head)
    data = bytes(head[size:size + blocks * size])
    for device in (data, bytes(b ^ 0x55 for b in data)):
        for backend in ("disk", "file"):
            for fsoffset in (0, 4096):
                options = f"fsoffset={fsoffset}" if fsoffset else ""
                yield replace(case, data=bytes(fsoffset) + bytes(head), devices=(device,), backend=backend, options=options)


def _devices(case: Case, other: str) -> Iterator[Case]:
    count = int.from_bytes(case.data[_DEVICES:_DEVICES + 2], "little")
    if not 0 < count <= 4:
        return
    for backend in (case.backend, other):
        for path in _PATHS:
            yield replace(case, backend=backend, devices=(), options=",".join([f"device={path}"] * count))
        yield replace(case, backend=backend, devices=(), options=",".join(["device=/dev/kemu0"] * (count + 1)))
        yield replace(case, backend=backend, devices=(bytes(4096),) * count)
    if case.devices:
        yield replace(case, devices=case.devices[:-1])
        yield replace(case, devices=tuple(reversed(case.devices)))
        yield replace(case, data=case.data + b"".join(case.devices), devices=())


def files(paths: Sequence[Path]) -> Iterator[Case]:
    """Files and folders that were named."""
    yield from begin.files(paths)
