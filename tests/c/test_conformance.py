# SPDX-License-Identifier: GPL-2.0-only
"""What every rung answers: the same cases, and the same object, from the port, from the kernel's C in this process, and from the
booted kernel.
"""
from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from kemu.rung.c.kernel import Kernel
from kemu.rung.protocol import Answer
from kemu.rung.uml import Oracle, RungError
from tests.conftest import DATA

from erofs_memback.harness.judge import Emulated

IMAGES = sorted(p for p in (DATA / "erofs").glob("*.erofs") if p.stat().st_size < 3 << 20)
CASES: list[tuple[str, dict[str, Any]]] = [
    ("as it is", {}), ("at an odd offset", {"at": 17}), ("in vmalloc memory", {"at": 2049, "memory": "vmalloc"}),
    ("one object of slab", {"memory": "slab"}), ("from a file", {"backend": "file"}), ("cut at some bytes", {"cap": 1000}),
    ("the first inodes", {"max_entries": 3}), ("an option that there is not", {"options": "nosuch"}),
    ("without xattrs", {"options": "nouser_xattr"}), ("another cache strategy", {"options": "cache_strategy=disabled"}),
    ("a part of the image", {"options": "fsoffset=512"})]


@pytest.fixture(scope="module")
def linux() -> Iterator[Oracle]:
    """Linux under UML, if it can be had."""
    try:
        with Oracle(tree=os.environ.get("KEMU_TREE")) as o:
            yield o
    except RungError as e:
        pytest.skip(str(e))


def told(a: Answer) -> tuple[Any, ...]:
    """All of an answer but the device's name, which each kernel gives anew."""
    said = [re.sub(r"\(device [^)]*\)", "(device)", line.strip()) for line in a.kmsg]
    return (a.mount_error, a.entries, a.message, a.crash,
            [line for line in said if line.startswith("erofs") and "EXPERIMENTAL" not in line])


@pytest.mark.parametrize("name, how", CASES, ids=[name for name, _ in CASES])
def test_a_mount_has_one_answer(kernel: Kernel, linux: Oracle, name: str, how: dict[str, Any]) -> None:
    for image in IMAGES:
        want = told(linux.erofs(image, **how))
        assert told(kernel.erofs(image, **how)) == want, image.name
        if kernel.library.flavour == "plain" and image.stat().st_size < 300_000 and "max_entries" not in how:
            assert told(Emulated().erofs(image, **how)) == want, f"the port: {image.name}"


def test_what_else_can_be_seen_of_an_inode_is_the_same(kernel: Kernel, linux: Oracle) -> None:
    """Blocks, inode numbers, attributes, times, statfs, fiemap, holes, directory entries."""
    for image in IMAGES:
        c, uml = kernel.erofs(image, facts=True).facts, linux.erofs(image, facts=True).facts
        assert c == uml, image.name


def test_an_archive_has_one_answer(kernel: Kernel, linux: Oracle) -> None:
    archives = [(DATA / "root.cpio").read_bytes(), b"", b"\0" * 5000, b"no archive", (DATA / "root.cpio").read_bytes()[:2000]]
    for data in archives:
        assert told(kernel.cpio(data)) == told(linux.cpio(data)), data[:20]
