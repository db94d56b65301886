# SPDX-License-Identifier: GPL-2.0-only
"""The boot's half of init/initramfs.c: populate_rootfs() with an initrd in memory, parameters, the built-in archive."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kemu.rung.c.build import Library, build
from kemu.rung.c.cover import doors
from kemu.rung.c.kernel import Instance, Kernel
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.tree import Tree
from tests.c.planted import Plant
from tests.conftest import DATA

ARCHIVE = (DATA / "root.cpio").read_bytes()
FREED = "Freeing initrd memory: {}K"


def whole_pages(at: int, size: int) -> int:
    """KiB of the pages that lie in it as a whole."""
    return max(0, (at + size) // 4096 - -(-at // 4096)) * 4


@pytest.mark.parametrize("at", [0, 1, 4, 2048, 4095])
def test_the_whole_pages_of_an_initrd_are_given_back(kernel: Kernel, at: int) -> None:
    kernel.cpio(ARCHIVE)
    pages = kernel.instance.counters()["pages"]
    for size in (len(ARCHIVE), 0, 5):
        a = kernel.cpio(ARCHIVE[:size], at=at)
        freed = whole_pages(at, size) if size else 0
        assert a.kmsg[0] == "Unpacking initramfs..." and (FREED.format(freed) in a.kmsg) == bool(freed), a.kmsg
        assert kernel.instance.counters()["pages"] == pages
    assert kernel.boots == 1 or kernel.library.flavour == "asan"


@pytest.mark.parametrize("words", ["retain_initrd", "retain-initrd initramfs_async=0", "retain_initrd initrdmem=@"])
def test_an_initrd_that_is_retained_can_be_read(kernel: Kernel, words: str) -> None:
    seen = []

    def look(k: Instance) -> None:
        doors.sysfs(k)
        seen.append(b"".join(p for p in k.contents("/sys/firmware/initrd") if isinstance(p, bytes)))

    a = kernel.cpio(ARCHIVE, at=77, cmdline=words, then=look)
    assert (a.crash, a.message, seen) == (None, None, [ARCHIVE])
    assert a.entries == kernel.cpio(ARCHIVE).entries
    assert not any(line.startswith("Freeing") for line in a.kmsg)


def test_an_initrd_that_is_not_retained_is_not_there(kernel: Kernel) -> None:
    seen: list[object] = []

    def look(k: Instance) -> None:
        doors.sysfs(k)
        seen.extend(doors.names(k, b"/sys/firmware"))

    kernel.cpio(ARCHIVE, cmdline="initramfs_async=0", then=look)
    assert seen == []


@pytest.mark.parametrize("where, said", [
    ("initrdmem=0,4096", "overlaps in-use memory region"),
    ("initrd=0x700000000000,4096", "INITRD: 0x700000000000+0x00001000 is not a memory region - disabling initrd"),
])
def test_memory_that_is_not_to_be_had_disables_the_initrd(kernel: Kernel, where: str, said: str) -> None:
    a = kernel.cpio(ARCHIVE, cmdline=where)
    assert a.crash is None and any(said in line for line in a.kmsg), a.kmsg
    assert [e["path"] for e in a.entries] == ["/"] and "Unpacking initramfs..." not in a.kmsg


def test_a_word_that_nobody_takes_is_said_as_linux_says_it(kernel: Kernel) -> None:
    a = kernel.cpio(ARCHIVE, cmdline="retain_initrd=1 initramfs_async=no")
    assert a.kmsg[0] == 'Unknown kernel command line parameters "retain_initrd=1", will be passed to user space.'


def test_what_is_built_in_comes_first_and_a_broken_one_is_a_panic(kernel: Kernel) -> None:
    a = kernel.cpio(ARCHIVE, builtin=ARCHIVE)
    b = kernel.cpio(None, builtin=ARCHIVE)
    assert a.entries and a.message is None and [e["path"] for e in b.entries] == [e["path"] for e in a.entries]
    assert kernel.cpio(None).entries[1:] == []
    bad = kernel.cpio(ARCHIVE, builtin=b"no archive")
    assert (bad.crash, bad.message) == ("panic", "Kernel panic - not syncing: invalid magic at start of compressed archive")
    assert kernel.cpio(ARCHIVE).entries == kernel.cpio(ARCHIVE, memory="slab").entries


def test_an_old_initrd_becomes_a_file_where_there_are_ramdisks(tree: Tree, library: Callable[[str], Library]) -> None:
    library("plain")
    recipe = replace(Recipe(tree), extra=("CONFIG_BLK_DEV_RAM=y",), slot="ramdisk")
    data = b"an old initrd" * 1000
    with Kernel(library=build(recipe)) as kernel:
        a = kernel.cpio(data, at=5)
        assert a.message == "invalid magic at start of compressed archive"
        assert [(e["path"], e["size"], e["mode"]) for e in a.entries[1:]] == [("/initrd.image", len(data), 0o700)]
        assert kernel.cpio(ARCHIVE).message is None


TWICE = Plant("freed-twice", "init/initramfs.c",
              "		free_initrd_mem(initrd_start, initrd_end);\n	} else",
              "		free_initrd_mem(initrd_start, initrd_end);\n		free_initrd_mem(initrd_start, initrd_end);\n	} else",
              "plain", "free_reserved_page: page 0 of an initrd is freed twice", "free_initrd_mem")
BEYOND = Plant("freed-beyond", "init/initramfs.c",
               "		free_initrd_mem(initrd_start, initrd_end);\n	} else",
               "		free_initrd_mem(initrd_start, initrd_end + 2 * PAGE_SIZE);\n	} else",
               "plain", "SIGSEGV at", "free_initrd_mem")


@pytest.mark.parametrize("plant", [TWICE, BEYOND], ids=lambda p: p.name)
def test_memory_that_is_given_back_wrongly_is_found(plant: Plant, tree: Tree) -> None:
    wrong = build(Recipe(tree, patches=(plant.patch(Path(tree.path)),), slot="planted"), plant.flavour)
    with Kernel(library=wrong) as kernel:
        a = kernel.cpio(ARCHIVE, at=0)
        assert (a.message or "").startswith(plant.said) and plant.place in a.console, a.console


def test_an_archive_that_is_built_in_may_become_longer(library: Callable[[str], Library]) -> None:
    with Kernel(library=library("asan")) as kernel:
        for size in (100, 5, 12061, 3, 20003, 0, 12060):
            a = kernel.cpio(None, builtin=bytes(size))
            assert (a.crash, a.message) == (None, None), a.console


def test_a_worker_has_no_task_work_of_its_maker(library: Callable[[str], Library]) -> None:
    """Put by PID 1 and not yet closed, when the first worker is made: it is closed once."""
    with Kernel(library=library("plain")) as kernel:
        for _ in range(5):
            kernel.close()
            assert kernel.cpio(ARCHIVE[:3000], builtin=ARCHIVE[:3000]).crash is None
