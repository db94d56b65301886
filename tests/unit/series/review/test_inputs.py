# SPDX-License-Identifier: GPL-2.0-only
"""What a review asks: kept inputs, other ways to mount them, limits met exactly, large files."""
from __future__ import annotations

import random
import struct

from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.pick import Pick, SeedValues
from kemu.rung.c.cover.case import Case
from kemu.series.review import kept, operands
from kemu.series.review.inputs import variants
from kemu.series.review.wide import wide


def image(seed: int = 3) -> Case:
    return Case(choose_image(Pick(SeedValues(seed)), ErofsOptions(max_nodes=4)).data)


def test_kept_inputs_begin_with_those_that_come_to_a_function() -> None:
    n = kept.reaching({"erofs_map_chunks"})
    assert 0 < n < len(list(kept.kept()))
    assert kept.reaching({"no_such_function"}) == 0
    assert next(kept.kept({"do_symlink"})).kind == "cpio"


def test_a_limit_is_met_from_both_sides() -> None:
    case = Case(bytes(64) + struct.pack("<I", 0x12345) + bytes(64))
    values = {struct.unpack_from("<I", c.data, 64)[0] for c in operands.met(case, [(0x12345, 0x20000, 0)])}
    assert {0x1ffff, 0x20000, 0x20001} <= values


def test_a_limit_of_an_archive_is_met_in_its_digits() -> None:
    case = Case(b"070701" + b"%08x" % 77 + bytes(100), "cpio")
    assert any(c.data[6:14] == b"%08x" % 4096 for c in operands.met(case, [(77, 4096, 0)]))


def test_a_field_comes_nearer_and_keeps_its_place() -> None:
    case, rng = image(), random.Random(1)
    for _ in range(50):
        assert len(operands.nearer(case, [(5, 300, 0)], [2048], rng).data) == len(case.data)


def test_large_files_are_no_larger_images() -> None:
    for seed in range(40):
        made = list(wide(image(seed)))
        if made:
            assert all(len(c.data) == len(image(seed).data) for c in made)
            return
    raise AssertionError("no image with an extended inode")


def test_an_image_is_mounted_otherwise_and_an_archive_unpacked_otherwise() -> None:
    ways = list(variants(image()))
    assert {"disk", "file"} <= {c.backend for c in [image(), *ways]} and any(c.options == "dax=always" for c in ways)
    assert any(c.options == "retain_initrd" for c in variants(Case(b"070701" + bytes(200), "cpio")))
