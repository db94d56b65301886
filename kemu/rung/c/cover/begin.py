# SPDX-License-Identifier: GPL-2.0-only
"""What a search begins with: forged images and archives, and files that were named."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kemu.forge.cpio_choose import CpioOptions, break_cpio, choose_cpio
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.mutate import mutate
from kemu.forge.erofs.shared import MOUNT_OPTIONS, choose_shared
from kemu.forge.pick import Pick, SeedValues
from kemu.rung.c.cover.case import Case, NotACase, unpack
from kemu.rung.c.cover.mutate import CMDLINES, OPTIONS, PARAMETERS, STREAMS

LONGEST = 1 << 20
_COMPAT, _ISHARE = 1024 + 8, 0x20
_ALGORITHMS = 1024 + 84
_SMALL = 1 << 18
_MAGIC = b"\xe2\xe1\xf5\xe0"
_OPTIONS = ErofsOptions(max_nodes=6, max_blocks=4, max_bytes=1 << 16, beyond_fsck=True, flaws=True, suspects=True,
                        block_bits=(12, 9, 10, 11))


def forged(seed: int, images: int = 150, archives: int = 40) -> Iterator[Case]:
    """Images (some damaged, some with their devices apart) and archives (some broken), from a seed."""
    for i in range(images):
        pick = Pick(SeedValues(seed * 1_000_003 + i))
        image = choose_image(pick, _OPTIONS)
        data = mutate(image, pick).data if i % 4 == 3 else image.data
        bs = image.block_size
        if image.devices and i % 2:
            head = data[:image.features["blocks"] * bs]
            apart = tuple(data[first * bs:(first + n) * bs] or bytes(512) for first, n in image.devices)
            if head:
                yield Case(head, devices=apart, facts=True)
                if len(apart) == 1:
                    yield Case(head, options="device=/dev", backend="file")
                continue
        if data:
            yield Case(data, facts=i % 2 == 0, doors=i % 4 == 0)
    for i in range(archives):
        pick = Pick(SeedValues(seed * 1_000_003 + 500_000 + i))
        archive = choose_cpio(pick)
        if i % 4 == 3:
            archive = break_cpio(archive, pick)
        if archive.data:
            yield Case(archive.data, "cpio")


def boots(seed: int) -> Iterator[Case]:
    """What has a kernel of its own: parameters, archives that are built in, fs/erofs that comes and goes."""
    pick = Pick(SeedValues(seed * 1_000_003 + 900_000))
    small = choose_cpio(pick, CpioOptions(max_segments=1, max_members=3, max_size=200)).data
    for words in CMDLINES:
        yield Case(small, "cpio", options=words)
    for builtin in (small, b"no archive"):
        yield Case(small, "cpio", devices=(builtin,))
    image = choose_image(pick, ErofsOptions(max_nodes=3, max_blocks=2, max_bytes=1 << 14)).data
    yield Case(image, "module")
    for parameters in PARAMETERS:
        yield Case(image, "module", options=parameters)
    for backend in ("disk", "file"):
        for options in OPTIONS:
            yield Case(image, options=options, backend=backend, doors=True)
        for offset in (512, 4096):
            yield Case(bytes(offset) + image, options=f"fsoffset={offset}", backend=backend, doors=True)
    for i in range(20):
        shared = choose_shared(Pick(SeedValues(seed * 1_000_003 + 910_000 + i)), _OPTIONS)
        yield Case(shared, options=MOUNT_OPTIONS, backend=("disk", "file")[i % 2], doors=True, facts=True)


def modules(cases: Sequence[Case], mounts: Callable[[Case], bool]) -> Iterator[Case]:
    """The smallest image of each set of algorithms that ``mounts``, mounted by a module that has mounted nothing before: what is
    made once, for the first image that needs it, is made then.
    """
    done: set[bytes] = set()
    for case in sorted(cases, key=lambda c: len(c.data)):
        algorithms = case.data[_ALGORITHMS:_ALGORITHMS + 2]
        if case.kind == "erofs" and len(algorithms) == 2 and algorithms not in done and len(case.data) <= _SMALL:
            plain = Case(case.data)
            if mounts(plain):
                done.add(algorithms)
                yield replace(plain, kind="module")
                yield replace(plain, kind="module", options=STREAMS)


def files(paths: Sequence[Path]) -> Iterator[Case]:
    """Kept cases, images and archives: files, and those in folders, in the order of their names."""
    for path in paths:
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            case = _case(file)
            if case is not None:
                yield case
                if case.data[_COMPAT:_COMPAT + 1] and case.kind == "erofs" and case.data[_COMPAT] & _ISHARE:
                    yield replace(case, options="inode_share,domain_id=d", doors=True)


def _case(file: Path) -> Case | None:
    if file.stat().st_size > LONGEST:
        return None
    data = file.read_bytes()
    if file.suffix == ".case":
        try:
            return unpack(data)
        except NotACase:
            return None
    if data[1024:1028] == _MAGIC:
        return Case(data, facts=True, doors=True)
    if data[:6] in (b"070701", b"070702") or ".cpio" in file.name:
        return Case(data, "cpio")
    return None
