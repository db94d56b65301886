# SPDX-License-Identifier: GPL-2.0-only
"""What every rung answers: the same cases, and the same object, from the port, from the kernel's C in this process, and from the
booted kernel.
"""
from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from kemu.rung.c.cover.begin import forged
from kemu.rung.c.cover.case import Case
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


def seen(a: Answer) -> tuple[str | None, list[str]]:
    """The facts of an answer, but for the device's number, which statfs shows."""
    return a.mount_error, [re.sub(r":(f0..|100):0(?=\t|$)", ":DEVICE", line) for line in a.facts]


def mounted_how() -> Iterator[tuple[str, dict[str, Any]]]:
    """The images of tests/data, and forged ones, a fourth of them damaged: from a disk, and as a file."""
    cases = [(image.name, Case(image.read_bytes())) for image in IMAGES]
    cases += [(f"forged {i}", case) for i, case in enumerate(forged(7, 60, 0))]
    for name, case in cases:
        for backend in ("disk", "file"):
            if backend == "disk" or not case.devices:
                yield f"{name}, {backend}", {"image": case.data, "devices": case.devices, "backend": backend, "max_entries": 100,
                                             "cap": 1 << 20, "facts": True}


def test_what_else_can_be_seen_of_an_inode_is_the_same(kernel: Kernel, linux: Oracle) -> None:
    """Blocks, inode numbers, attributes, times, statfs, fiemap, holes, directory entries; read with O_DIRECT, and through a
    mapping.
    """
    ways: set[str] = set()
    for name, how in mounted_how():
        want = linux.erofs(**how)
        assert seen(kernel.erofs(**how)) == seen(want), name
        if kernel.library.flavour == "plain" and len(how["image"]) < 300_000:
            assert seen(Emulated().erofs(**how)) == seen(want), f"the port: {name}"
        ways |= {re.sub(r"=(-?\d+).*", r"=\1", field) for line in want.facts for field in line.split("\t")[1:]
                 if field.startswith(("mapped", "direct"))}
    # read to the end, refused (compressed), failed
    assert ways >= {"mapped=0", "direct=0", f"direct=-{errno.EINVAL}", "mapped=1"}, ways


def test_a_file_s_fault_is_counted_as_a_disk_s_is(linux: Oracle) -> None:
    """The n-th call fails, and the facts are told, however an image is mounted."""
    with Oracle(tree=os.environ.get("KEMU_TREE"), flavour="debug") as debug:
        for backend in ("disk", "file"):
            a = debug.erofs(IMAGES[0], backend=backend, fail_nth=1, facts=True)
            assert a.fired and a.mount_error == "ENOMEM" and not a.facts, (backend, a)
            b = debug.erofs(IMAGES[0], backend=backend, fail_nth=100_000, facts=True)
            assert b.fired is False and b.facts == linux.erofs(IMAGES[0], backend=backend, facts=True).facts


def test_an_archive_has_one_answer(kernel: Kernel, linux: Oracle) -> None:
    archives = [(DATA / "root.cpio").read_bytes(), b"", b"\0" * 5000, b"no archive", (DATA / "root.cpio").read_bytes()[:2000]]
    for data in archives:
        assert told(kernel.cpio(data)) == told(linux.cpio(data)), data[:20]
