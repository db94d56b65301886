# SPDX-License-Identifier: GPL-2.0-only
"""Forged inputs against the kernel itself: a difference from the ground truth is a bug of the forge, or a finding about Linux."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemu.forge import tree as t
from kemu.forge.content import content
from kemu.forge.cpio_choose import CpioArchive, break_cpio, choose_cpio
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.plan import ImagePlan, InodePlan, ZPlan
from kemu.forge.erofs.suspects import suspects
from kemu.forge.erofs.writer import build
from kemu.forge.pick import Pick, SeedValues
from kemu.report import manifest
from kemu.rung.uml import Oracle, RungError

pytestmark = [pytest.mark.linux, pytest.mark.slow]


@pytest.fixture(scope="module")
def linux() -> Iterator[Oracle]:
    try:
        oracle = Oracle()
    except RungError as e:
        pytest.skip(f"no kernel: {e}")
    with oracle:
        yield oracle


@pytest.mark.parametrize("options", [
    ErofsOptions(), ErofsOptions(flaws=True), ErofsOptions(beyond_fsck=True),
    *[ErofsOptions(layouts=(name,), max_nodes=4) for name in ("chunk", "full", "compact", "inline", "extents")],
    *[ErofsOptions(block_bits=(bits,)) for bits in (9, 10, 11, 12, 13)],
], ids=str)
def test_images(linux: Oracle, options: ErofsOptions) -> None:
    for seed in range(400):
        image = choose_image(Pick(SeedValues(seed)), options, f"seed {seed}")
        got = linux.erofs(image.data)
        assert (got.crash, got.mount_error) == (None, image.mount_error(4096)), (got.kmsg, image)
        if not got.mount_error:
            assert got.entries == image.manifest(), manifest.diff(image.manifest(), got.entries, "truth", "linux") + repr(image)


def test_devices_flat_and_apart(linux: Oracle) -> None:
    checked = 0
    for seed in range(1500):
        image = choose_image(Pick(SeedValues(seed)), ErofsOptions(beyond_fsck=True), f"seed {seed}")
        if not image.devices:
            continue
        primary, extra = image.split()
        for got in (linux.erofs(image.data), linux.erofs(primary, devices=[d or bytes(512) for d in extra])):
            assert (got.crash, got.mount_error) == (None, None), (got.kmsg, image)
            assert got.entries == image.manifest(), manifest.diff(image.manifest(), got.entries, "truth", "linux") + repr(image)
        checked += 1
    assert checked > 100


def check_archive(linux: Oracle, archive: CpioArchive) -> None:
    got = linux.cpio(archive.data)
    assert got.crash is None, (got.message, archive)
    assert archive.truth is not None and archive.messages is not None
    entries = [{**e, "size": None} if e["type"] == "dir" else e for e in got.entries]
    entries[0]["mtime"] = None
    assert ([got.message] if got.message else []) == archive.messages, archive
    assert entries == archive.truth, manifest.diff(archive.truth, entries, "truth", "linux") + repr(archive)


def test_archives(linux: Oracle) -> None:
    for seed in range(2000):
        check_archive(linux, choose_cpio(Pick(SeedValues(seed)), label=f"seed {seed}"))


def test_broken_archives(linux: Oracle) -> None:
    for seed in range(4000):
        pick = Pick(SeedValues(seed))
        archive = break_cpio(choose_cpio(pick, label=f"seed {seed}"), pick)
        if archive.truth is not None:
            check_archive(linux, archive)


def test_suspects_are_still_read_wrongly(linux: Oracle) -> None:
    """When Linux is fixed this fails: drop the entry from kemu/forge/erofs/suspects.py then."""
    hole = t.File(data=content("ruler", 1, 6000) + bytes(10000))
    plan = ImagePlan()
    plan.inodes[id(hole)] = InodePlan(data="full", z=ZPlan(cuts=(6000, 10000), kinds="1h", suspects=True))
    images = [build(t.Dir(entries={b"f": hole}), plan)]
    # inode, header and two indexes are 96 bytes: the inline pcluster can begin a block, here the second one of a page
    inline = t.File(data=content("ruler", 1, 600))
    for gap in range(128):
        plan = ImagePlan(blkszbits=9)
        plan.inodes[id(inline)] = InodePlan(data="full", extended=True, at="edge", gap=gap, z=ZPlan(cuts=(1024,), tail=True))
        image = build(t.Dir(entries={b"f": inline}), plan)
        if suspects(image) and image.inodes[id(inline)].extents[-1].pa == 4096 + 512:
            images.append(image)
            break
    plain = t.File(data=content("noise", 1, 4096))
    plan = ImagePlan(blkszbits=10)
    plan.inodes[id(plain)] = InodePlan(data="extents", z=ZPlan(cuts=(4096,), kinds="p", interlaced=True, suspects=True))
    images.append(build(t.Dir(entries={b"f": plain}), plan))
    assert len(images) == 3
    for image in images:
        assert suspects(image)
        assert linux.erofs(image.data).entries != image.manifest()
