# SPDX-License-Identifier: GPL-2.0-only
"""The strategies: what they give is consistent, they shrink to something small, and they are quick."""
from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from kemu.forge.cpio import encode
from kemu.forge.cpio_choose import CpioArchive
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.mutate import KINDS, CorruptImage
from kemu.forge.initrd import Initrd
from kemu.forge.strategies import (
    Placement,
    broken_cpio_archives,
    corrupted_erofs_images,
    cpio_archives,
    erofs_images,
    initrds,
    placements,
)
from tests.unit.forge.erofs_reader import Reader

FIND = settings(max_examples=3000, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@given(erofs_images())
def test_images_read_back(image: ErofsImage) -> None:
    assert Reader(image.data).manifest() == image.manifest()


@given(erofs_images(block_bits=(9,), layouts=("compact", "full"), odd=False, xattrs=False))
def test_options_are_kept(image: ErofsImage) -> None:
    assert image.block_size == 512 and image.plan.order == "meta-first"
    assert all(i.layout in ("compact", "full") or not i.size or i.node.KIND not in ("file", "dir", "symlink")
               for i in image.inodes.values())


@given(corrupted_erofs_images(most=2))
def test_corrupted_images_tell_what_was_done(made: CorruptImage) -> None:
    assert 1 <= len(made.mutations) <= 2 and all(m.kind in KINDS for m in made.mutations)


@given(cpio_archives())
def test_archives_have_a_truth(archive: CpioArchive) -> None:
    assert archive.data == encode(archive.segments) and archive.truth and archive.messages == []


@given(broken_cpio_archives())
def test_broken_archives_say_what_is_broken(archive: CpioArchive) -> None:
    assert archive.breaks and archive.data == encode(archive.segments)


@given(initrds())
def test_layers_are_where_they_are_said_to_be(initrd: Initrd) -> None:
    covered = bytearray(len(initrd.data))
    for p in initrd.parts:
        assert initrd.data[p.offset:p.offset + p.size] == p.of.data
        assert p.kind == "erofs" or p.offset % 4 == 0
        covered[p.offset:p.offset + p.size] = b"\1" * p.size
    assert not any(b for b, c in zip(initrd.data, covered) if not c)


@given(placements(page_sizes=(4096, 16384, 65536), memory=("linear", "vmalloc"), cut=100))
def test_placements_are_within_a_page(place: Placement) -> None:
    assert 0 <= place.at < place.page_size and 0 <= place.cut <= 100 and place.memory in ("linear", "vmalloc")


def test_plainest_examples() -> None:
    image = find(erofs_images(), lambda i: True, settings=FIND)
    assert list(image.root.entries) == [] and image.block_size == 4096 and image.plan.order == "meta-first"
    archive = find(cpio_archives(), lambda a: True, settings=FIND)
    assert [len(s.members) for s in archive.segments if s.kind == "cpio"] == [1]
    assert find(placements(page_sizes=(4096, 16384), cut=9), lambda p: True, settings=FIND) == Placement()


@pytest.mark.parametrize("how, names", [
    ("chunk", 1), ("inline", 1), *[pytest.param(*v, marks=pytest.mark.slow)
                                   for v in (("inline-lz4", 1), ("interlaced", 1), ("lz4+partial", 2))]])
def test_shrinks_to_few_names(how: str, names: int) -> None:
    image = find(erofs_images(), lambda i: any(e.how == how for x in i.inodes.values() for e in x.extents), settings=FIND)
    assert len(image.root.entries) <= names + 1, image
    assert len(image.data) <= 20 * 4096


def test_shrinks_tree_layout_and_place_together() -> None:
    both = st.tuples(erofs_images(), placements())
    image, place = find(both, lambda v: v[1].at % 512 != 0
                        and any(e.how == "inline" and e.length > 20 for x in v[0].inodes.values()
                                                                   for e in x.extents), settings=FIND)
    assert place.at in (1, 2, 4) and len(image.root.entries) <= 1


def test_generation_is_quick() -> None:
    """A few hundred images a second on an idle machine; this bound only catches a slump."""
    count = 0

    @settings(max_examples=300, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(erofs_images())
    def run(image: ErofsImage) -> None:
        nonlocal count
        count += 1

    start = time.process_time()
    run()
    assert count / (time.process_time() - start) > 60
