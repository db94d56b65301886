# SPDX-License-Identifier: GPL-2.0-only
"""The layered initrd: what becomes the root, whose the memory is, and what remains of an attempt that fails."""
from __future__ import annotations

import hashlib
from typing import Any

import pytest

from kemu.explore.experiment import registry
from kemu.explore.sweep import fault_sweep
from kemu.forge.compressors import compress
from tests.unit.initramfs.archive import ELF, archive, record

from initramfs.harness import experiments as _experiments  # noqa: F401
from initramfs.harness.boot_views import mounts
from initramfs.harness.boots import boot_initrd
from initramfs.harness.experiments import cpio_archive, erofs_image


def boot(initrd: bytes, **kw: Any) -> tuple[dict[str, Any], Any, list[tuple[str, str]]]:
    seen: list[tuple[str, str]] = []
    result = boot_initrd(initrd, design="layered", after=lambda r: seen.extend((m["mountpoint"], m["type"]) for m in mounts()),
                         **kw)
    return {e["path"]: e for e in result.tree or []}, result, seen


def test_the_overlay_is_all_that_is_mounted_and_the_built_in_archive_is_in_it() -> None:
    tree, result, seen = boot(erofs_image("a"))
    assert result.ok and seen == [("/", "nullfs"), ("/", "overlay")]
    assert tree["/dev/console"]["rdev"] == [5, 1] and tree["/root"]["mode"] == 0o700 and "/.initrd-layers" not in tree


def test_later_segments_cover_earlier_ones_as_archives_do() -> None:
    over = archive(record("/etc", 0o040700), record("/a", 0o100600, b"new"), record("/etc/of-a", 0o120777, b"elsewhere"),
                   record("/etc/more", data=b"m"))
    data = cpio_archive("c", False) + erofs_image("a") + over
    tree, result, _ = boot(data, at=5)
    assert result.ok
    assert tree["/a"]["sha256"] == hashlib.sha256(b"new").hexdigest() and tree["/a"]["mode"] == 0o600
    assert tree["/etc/of-a"]["target"] == "elsewhere" and tree["/etc"]["mode"] == 0o700
    assert {"/c", "/etc/of-c", "/etc/more", "/init"} <= tree.keys()
    tree, _, _ = boot(over + erofs_image("a"))
    assert tree["/a"]["size"] == 700 and tree["/etc/of-a"]["type"] == "file" and "/etc/more" in tree


@pytest.mark.parametrize("at", [0, 1, 511, 4095])
def test_memory_without_an_image_is_freed_and_the_rest_is_kept(at: int) -> None:
    head = archive(record("/big", data=bytes(40_000)))
    data = head + bytes(-len(head) % 4) + erofs_image("a", blocks=20) + archive(record("/tail", data=bytes(30_000)))
    tree, result, _ = boot(data, at=at)
    freed = sum(n for _, _, n, what, _ in result.freed if what == "initrd")
    assert result.ok and {"/big", "/tail", "/a"} <= tree.keys()
    assert (40_000 >> 12) - 1 + (30_000 >> 12) - 2 <= freed <= (len(data) >> 12)


def test_retain_initrd_keeps_everything() -> None:
    _, result, _ = boot(cpio_archive("c", False) + erofs_image("a"), cmdline="retain_initrd")
    assert result.ok and not [f for f in result.freed if f[3] == "initrd"]


def test_compressed_archives() -> None:
    data = compress("gzip", archive(record("/z", data=b"z" * 5000)))
    tree, result, _ = boot(data + bytes(-len(data) % 4) + erofs_image("a") + data)
    assert result.ok and "/z" in tree and "/a" in tree


def test_digests_are_compared_before_anything_is_parsed() -> None:
    parts = [cpio_archive("c", False), erofs_image("a")]
    words = [f"{len(p)}:sha256:{hashlib.sha256(p).hexdigest()}" for p in parts]
    tree, result, _ = boot(b"".join(parts), cmdline="initrd_segments=" + ",".join(words))
    assert result.ok and {"/c", "/a"} <= tree.keys()
    bad = words[0], words[1][:-1] + ("0" if words[1][-1] != "0" else "1")
    tree, result, _ = boot(b"".join(parts), cmdline="initrd_segments=" + ",".join(bad))
    assert any("sha256 mismatch: refused" in line for line in result.log)
    assert not {"/c", "/a"} & tree.keys() and not any("mounted with root inode" in line for line in result.log)
    for wrong in ("12", words[0], f"{len(parts[0])}:md5:00"):
        tree, result, _ = boot(b"".join(parts), cmdline="initrd_segments=" + wrong)
        assert any("refused" in line for line in result.log) and "/c" not in tree


def test_what_is_damaged_goes_upstreams_way() -> None:
    image = erofs_image("a")
    broken = image[:1024 + 36] + (99).to_bytes(4, "little") + image[1024 + 40:]         # more blocks than there are
    data = archive(record("/init", 0o100755, ELF)) + broken
    tree, result, seen = boot(data)
    want = boot_initrd(data)
    assert tree == {e["path"]: e for e in want.tree} and ("/", "rootfs") in seen
    assert sum(f[2] for f in result.freed) == sum(f[2] for f in want.freed)


@pytest.mark.parametrize("offsets", [[], [1]])
def test_every_single_failing_call(offsets: list[int]) -> None:
    runs = list(fault_sweep(registry["layered.failing-calls"], offsets))
    assert len(runs) > 100
    assert [r.finding.title for r in runs if r.finding is not None] == []
