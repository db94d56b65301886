# SPDX-License-Identifier: GPL-2.0-only
"""Forged images: read back by the tests' own reader, and rich in the layouts that they promise."""
from __future__ import annotations

from collections import Counter

import pytest

from kemu.forge import tree as t
from kemu.forge.content import content
from kemu.forge.crc32c import crc32c
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.plan import FLAWS, ImagePlan, InodePlan, PlanError, ZPlan
from kemu.forge.erofs.suspects import suspects
from kemu.forge.erofs.writer import build
from kemu.forge.pick import Pick, SeedValues
from tests.unit.forge.erofs_reader import Reader

ANY = ErofsOptions(block_bits=tuple(range(9, 17)), beyond_fsck=True, suspects=True)


def one_file(data: bytes, plan: InodePlan, **image: object):
    node = t.File(data=data)
    root = t.Dir(entries={b"f": node})
    p = ImagePlan(**image)
    p.inodes[id(node)] = plan
    made = build(root, p)
    assert Reader(made.data).manifest() == made.manifest()
    return made, made.inodes[id(node)]


def test_images_read_back():
    for seed in range(400):
        image = choose_image(Pick(SeedValues(seed)), ANY)
        assert Reader(image.data).manifest() == image.manifest(), seed


def test_what_is_made_covers_what_is_promised():
    seen: Counter[str] = Counter()
    for seed in range(600):
        image = choose_image(Pick(SeedValues(seed)), ANY)
        bs = image.block_size
        seen[f"block size {bs}"] += 1
        seen["extra devices"] += any(pa >= n * bs for n in (image.features["blocks"],) for i in image.inodes.values()
                                     for pa in [e.pa or 0 for e in i.extents])
        seen["checksum off"] += not image.plan.checksum
        runs = []
        for i in image.inodes.values():
            seen[f"{t.kind_of(i.node)} {i.layout}"] += 1
            seen["extended inode across blocks"] += i.extended and i.pos % bs == bs - 32
            seen["inode below the superblock"] += i.pos < 1024
            z = image.plan.inodes[id(i.node)].z if id(i.node) in image.plan.inodes else None
            seen["lclusters larger than blocks"] += bool(z and i.layout in ("full", "compact") and z.lclusterbits)
            if i.layout == "extents":
                seen[f"extent records of {z.recsz} bytes"] += 1
                seen["pcluster across blocks"] += any(e.pa and e.pa % bs for e in i.extents)
            for e in i.extents:
                seen[e.how] += 1
                seen["pcluster of several blocks"] += e.how == "lz4" and e.plen > bs
                seen["extent starts within an lcluster"] += e.how in ("lz4", "interlaced") and e.la % bs != 0
                if e.pa is not None and not e.how.startswith("inline"):
                    runs.append((e.pa, i.nid))
        seen["48-bit root nid"] += bool(image.features["feature_incompat"] & 0x80)
        meta = [i.pos for i in image.inodes.values()]
        seen["metadata after data"] += bool(runs) and min(meta) > max(pa for pa, _ in runs)
        seen["data shared by inodes"] += len({pa for pa, _ in runs}) < len(set(runs))
        seen["data in reverse order"] += len(runs) > 2 and runs == sorted(runs, reverse=True)
    kinds = [f"block size {1 << b}" for b in range(9, 17)]
    kinds += [f"file {x}" for x in ("plain", "inline", "hole", "chunk", "full", "compact", "extents")]
    kinds += ["extra devices", "dir full", "dir compact", "dir chunk", "dir inline", "symlink inline", "symlink compact",
              "char plain", "block plain",
              "fifo plain", "socket plain", "lz4", "shifted", "interlaced", "hole", "inline-lz4", "inline-shifted", "lz4+partial",
              "checksum off", "extended inode across blocks", "inode below the superblock", "lclusters larger than blocks",
              "pcluster of several blocks", "extent starts within an lcluster", "metadata after data", "data shared by inodes",
              "data in reverse order", "extent records of 4 bytes", "extent records of 8 bytes", "extent records of 16 bytes",
              "extent records of 32 bytes", "pcluster across blocks", "48-bit root nid"]
    assert [k for k in kinds if not seen[k]] == []


def test_truth_says_where_bytes_are():
    for seed in range(100):
        image = choose_image(Pick(SeedValues(seed)))
        for path, node in image.walk():
            if not isinstance(node, t.File):
                continue
            extents = image.inodes[id(node)].extents
            assert sum(e.length for e in extents) == node.size, path
            for e in extents:
                if e.how in ("plain", "inline", "chunk", "shifted", "inline-shifted"):
                    assert image.data[e.pa:e.pa + e.length] == node.data[e.la:e.la + e.length], (seed, path, e)


def test_checksum_is_right_or_absent():
    for seed in range(60):
        image = choose_image(Pick(SeedValues(seed)), ANY)
        stored = int.from_bytes(image.data[1028:1032], "little")
        length = image.block_size - 1024 if image.block_size > 1024 else image.block_size
        assert stored == (crc32c(0x5045B54A, image.data[1032:1024 + length]) if image.plan.checksum else 0)


def test_flaws_are_errors_in_the_manifest():
    errors = Counter()
    for seed in range(200):
        image = choose_image(Pick(SeedValues(seed)), ErofsOptions(flaws=True))
        for e in image.manifest():
            errors[e["error"]] += 1
            assert (e["type"] is None) == (e["error"] is not None)
    assert errors["EUCLEAN"] and errors["ENOTSUP"]


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flawed_root_does_not_mount(flaw):
    root = t.Dir()
    plan = ImagePlan()
    plan.inode(root).flaw = flaw
    assert build(root, plan).mount_error() == FLAWS[flaw]


def test_blocks_larger_than_a_page_do_not_mount():
    image = build(t.Dir(), ImagePlan(blkszbits=13))
    assert image.mount_error(4096) == "EINVAL"
    assert image.mount_error(8192) is None


def test_whole_block_inline():
    """A size that is a multiple of the block: all of the last block is inline, so it must be exactly one block."""
    _, i = one_file(content("ruler", 1, 8192), InodePlan(data="inline", at="edge"))
    assert i.layout == "inline" and i.pos % 4096 == 4096 - 32
    assert [(e.how, e.length) for e in i.extents] == [("plain", 4096), ("inline", 4096)]


def test_partial_reference():
    a, b = t.File(data=content("text", 1, 30000)), t.File(data=content("text", 1, 9000))
    root = t.Dir(entries={b"a": a, b"b": b})
    plan = ImagePlan(dedupe=True)
    plan.inodes[id(a)] = InodePlan(data="full", z=ZPlan(cuts=(15000,), big=1, max_blocks=4))
    plan.inodes[id(b)] = InodePlan(data="full", z=ZPlan(cuts=(9000,), big=1, max_blocks=4))
    image = build(root, plan)
    first, only = image.inodes[id(a)].extents[0], image.inodes[id(b)].extents
    assert [(e.pa, e.how) for e in only] == [(first.pa, "lz4+partial")] and first.plen > 4096
    assert Reader(image.data).manifest() == image.manifest()


def test_a_file_within_another_file():
    a, b = t.File(data=content("ruler", 1, 20000)), t.File(data=content("ruler", 1, 20000)[8192:13000])
    root = t.Dir(entries={b"a": a, b"b": b})
    image = build(root, ImagePlan(dedupe=True))
    assert image.inodes[id(b)].extents[0].pa == image.inodes[id(a)].extents[0].pa + 8192
    assert Reader(image.data).manifest() == image.manifest()


@pytest.mark.parametrize("big", [0, 3])
@pytest.mark.parametrize("two", [False, True])
@pytest.mark.parametrize("xattr", [0, 1, 2, 3])
def test_compact_packs_at_every_alignment(big, two, xattr):
    """40 to 60 lclusters: initial 4-byte entries (0 to 6, by the length of the xattrs), 2-byte packs, 4-byte entries at the end.
    """
    for size in range(40 * 512, 60 * 512, 700):
        node = t.File(data=content("mixed", xattr, size), xattrs={b"user." + b"x" * (1 + 8 * xattr): b""} if xattr else {})
        plan = ImagePlan(blkszbits=9)
        plan.inodes[id(node)] = InodePlan(data="compact", z=ZPlan(cuts=(512, 2000, 1300), big=big, max_blocks=8, compact_2b=two))
        image = build(t.Dir(entries={b"f": node}), plan)
        assert Reader(image.data).manifest() == image.manifest(), size


def test_scattered_compact_packs_are_consecutive_inside():
    node = t.File(data=content("noise", 1, 40 * 512))
    plan = ImagePlan(blkszbits=9, order="data-reverse")
    plan.inodes[id(node)] = InodePlan(data="compact", scatter=True, z=ZPlan())
    image = build(t.Dir(entries={b"f": node}), plan)
    places = [e.pa // 512 for e in image.inodes[id(node)].extents]
    assert places != sorted(places)
    assert all(places[k + 1] == places[k] + 1 for k in range(0, 40, 2))
    assert Reader(image.data).manifest() == image.manifest()


@pytest.mark.parametrize("unified", [False, True])
def test_extra_devices(unified):
    nodes = {name: t.File(data=content("ruler", k, 9000)) for k, name in enumerate((b"a", b"b", b"c"))}
    plan = ImagePlan(devices=2, device_gap=1)
    for k, node in enumerate(nodes.values()):
        plan.inodes[id(node)] = InodePlan(data="chunk", chunk_indexes=True, device=k, unified=unified)
    image = build(t.Dir(entries=dict(nodes)), plan)
    primary, extra = image.split()
    assert [len(d) for d in extra] == [12288, 12288] and len(primary) == image.features["blocks"] * 4096
    assert extra[1].startswith(nodes[b"c"].data)
    at = image.inodes[id(nodes[b"c"])].index_pos
    assert int.from_bytes(image.data[at + 2:at + 4], "little") == (0 if unified else 2)
    assert Reader(image.data).manifest() == image.manifest()


def test_eof_head_is_like_mkfs():
    image, i = one_file(content("ruler", 1, 4097), InodePlan(data="full", z=ZPlan(cuts=(8192,), eof_head=True)))
    at = i.index_pos + 8
    assert image.data[at:at + 4] == b"\0\0\1\0"          # PLAIN at clusterofs 1


def test_suspects_are_found_and_avoided():
    made, _ = one_file(content("text", 1, 300), InodePlan(data="full", at="edge", extended=False, z=ZPlan(tail=True)),
                       blkszbits=9)
    for seed in range(1500):
        image = choose_image(Pick(SeedValues(seed)), ErofsOptions(beyond_fsck=True))
        assert suspects(image) == []
    with_them = [seed for seed in range(300) if suspects(choose_image(Pick(SeedValues(seed)),
                                                                      ErofsOptions(beyond_fsck=True, suspects=True)))]
    assert with_them


def test_what_cannot_be_expressed_is_an_error():
    with pytest.raises(PlanError, match="512 to 65536"):
        build(t.Dir(), ImagePlan(blkszbits=8))
    with pytest.raises(PlanError, match="does not fit a directory block"):
        build(t.Dir(entries={b"": t.File()}))
    with pytest.raises(PlanError, match="no EROFS prefix"):
        build(t.Dir(xattrs={b"btrfs.x": b""}))


def test_repr_is_short_and_names_fields():
    image, _ = one_file(content("ruler", 1, 100000), InodePlan(data="chunk", scatter=True))
    text = repr(image)
    assert "'/f'" in text and "chunk" in text and "more" in text and len(text) < 4000
