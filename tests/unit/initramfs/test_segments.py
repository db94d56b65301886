# SPDX-License-Identifier: GPL-2.0-only
"""Where the parts of an initrd begin: generated rows of archives and images with known offsets.

KEMU_SPLIT_EXAMPLES: how many (300).
"""
from __future__ import annotations

import os

import pytest

from kemu.forge.compressors import available, compress
from kemu.forge.cpio_choose import CpioOptions
from kemu.forge.cpio_model import Undefined
from kemu.forge.initrd import InitrdOptions, choose_initrd
from kemu.forge.pick import Pick, SeedValues
from kemu.machine.machine import Machine
from tests.unit.initramfs.archive import ELF, archive, record
from tests.unit.initramfs.test_initerofs_rfc import image

from initramfs.segments import split

SHAPES = ("e", "ce", "ec", "ee", "cec", "ece", "cece", "eec", "ecec", "cecece", "ececece", "cecceece")


def parts(data: bytes, at: int = 0) -> list[tuple[str, int, int]] | int:
    with Machine(memory=64 << 20 if len(data) < 1 << 24 else 8 * len(data)) as m:
        region = m.place(data, at, "linear", "initrd", True)
        found = split(region.addr, region.addr + region.size)
        return found if isinstance(found, int) else [(s.kind, s.start - region.addr, s.end - region.addr) for s in found]


def test_images_are_found_at_their_true_offsets() -> None:
    options = InitrdOptions(shapes=SHAPES, cpio=CpioOptions(max_segments=2, max_members=4))
    refused = 0
    examples = int(os.environ.get("KEMU_SPLIT_EXAMPLES", "300"))
    for seed in range(examples):
        try:
            initrd = choose_initrd(Pick(SeedValues(seed)), options)
        except Undefined:                       # an archive whose tree nobody can say
            continue
        got = parts(initrd.data, seed * 7 % 4096)
        want = [(p.offset, p.offset + p.size) for p in initrd.parts if p.kind == "erofs"]
        if isinstance(got, int):
            refused += 1
            assert (got == -22 and any(p.kind == "erofs" and p.of.devices
                                       for p in initrd.parts)), f"seed {seed}\n{initrd.describe()}"
            continue
        assert [(a, b) for kind, a, b in got if kind == "erofs"] == want, f"seed {seed}\n{initrd.describe()}\n{got}"
    assert refused < examples // 3


@pytest.mark.parametrize("method", available())
def test_a_compressed_archive_ends_where_its_decompressor_says(method: str) -> None:
    a = compress(method, archive(record("/init", 0o100755, ELF)))
    pad = bytes(8 if method == "lz4" else -len(a) % 4)
    got = parts(a + pad + image(), 3)
    assert isinstance(got, list) and [k for k, *_ in got] == ["cpio", "erofs"]
    assert got[0][:3] == ("cpio", 0, len(a)) or method in ("lz4", "lzma", "bzip2")
    assert got[1][1] == len(a) + len(pad)


def test_what_is_left_alone_and_what_is_refused() -> None:
    assert parts(archive(record("/init", 0o100755, ELF))) == -2
    assert parts(bytes(5000)) == -2
    assert parts(archive(record("/x", data=image()))) == -2            # an image inside an archive is a file
    assert parts(image()[:-1]) == -22
    assert parts(image() + b"junk") == -22
    assert parts(archive(record("/init", 0o100755, ELF))[:-40] + image()) in (-22, -2)
