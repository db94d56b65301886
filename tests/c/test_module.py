# SPDX-License-Identifier: GPL-2.0-only
"""fs/erofs comes and goes as a module does, each call of its init fails once, and nothing is left behind."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kemu.rung.c.build import Library, build
from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.corpus import Corpus
from kemu.rung.c.cover.search import Search
from kemu.rung.c.kernel import Kernel
from kemu.rung.c.module import come_and_go
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.tree import Tree
from tests.c.planted import Plant
from tests.conftest import DATA

IMAGE = (DATA / "erofs" / "tiny-lz4hc-allfrag.erofs").read_bytes()
# Linux 7.2: without rcu_barrier(), unlike erofs_module_exit(); docs/explanation/findings-about-linux.md
RCU = "kmem_cache_destroy: erofs_inode has 1 objects"
PLANTS = (
    Plant("init-path", "fs/erofs/super.c",
          "sysfs_err:\n	z_erofs_exit_subsystem();\n", "sysfs_err:\n", "asan", "LEAK", "z_erofs_"),
    Plant("exit-path", "fs/erofs/zutil.c",
          "	kfree(z_erofs_gbufpool);\n}", "}", "asan", "LEAK", "z_erofs_gbuf_init"),
    Plant("registered-still", "fs/erofs/super.c",
          "	unregister_filesystem(&erofs_fs_type);\n	erofs_exit_ishare();", "	erofs_exit_ishare();",
          "plain", "erofs_module_init(): EBUSY after erofs_module_exit()"),
)


def failures(library: Library) -> dict[int, str]:
    """What each failing call of erofs_module_init() ends in, if it is more than a refusal."""
    found = {}
    with Kernel(library=library) as kernel:
        whole = come_and_go(kernel, IMAGE)
        assert (whole.crash, whole.mount_error, whole.fired) == (None, None, False), whole.console
        assert whole.kmsg[0] == "wait_for_initramfs() called before rootfs_initcalls"
        assert len(whole.entries) > 1 and whole.points > 40
        for n in range(1, whole.points + 1):
            part = come_and_go(kernel, IMAGE, n)
            if part.crash:
                found[n] = f"{part.message} {part.function}"
            else:
                # EINVAL: erofs_init_sysfs() does not look at what kobject_set_name() returns, and kset_register() misses the name
                assert part.fired and part.mount_error in ("ENOMEM", "EINVAL", "EIO", None) and part.entries == whole.entries, n
        assert kernel.boots == 1 + whole.points
    return found


@pytest.mark.parametrize("flavour", ["plain", "asan"])
def test_every_call_of_init_fails_and_nothing_is_left(flavour: str, library: Callable[[str], Library]) -> None:
    found = failures(library(flavour))
    assert all(said.startswith(RCU) for said in found.values()), found
    assert len(found) <= 8, "more than the calls between an inode of the pseudo file system and the end of its mount"


@pytest.mark.parametrize("plant", PLANTS, ids=lambda p: p.name)
def test_what_is_left_behind_is_found(plant: Plant, tree: Tree, tmp_path: Path) -> None:
    wrong = build(Recipe(tree, patches=(plant.patch(Path(tree.path)),), slot="planted"), plant.flavour)
    with Kernel(library=wrong) as kernel:
        n, answer = 0, come_and_go(kernel, IMAGE)
        while not answer.crash or answer.message == RCU:
            n += 1
            answer = come_and_go(kernel, IMAGE, n)
            assert n < 200
        assert (answer.message or "").startswith(plant.said), answer.message
        assert plant.place in answer.console and (not plant.place or answer.place.startswith("fs/erofs/")), answer.console


def test_a_search_finds_it(tree: Tree, tmp_path: Path) -> None:
    plant = PLANTS[0]
    patches = (plant.patch(Path(tree.path)),)
    cov, asan = (build(Recipe(tree, patches=patches, slot="planted"), flavour) for flavour in ("cov", "asan"))
    with Kernel(library=cov) as kernel, Kernel(library=asan) as second:
        search = Search(kernel, Corpus(tmp_path), second=second)
        search.begin([Case(IMAGE), Case(IMAGE, "module")])
        search.run(examples=3000, stop=lambda: any(c.title.startswith("LEAK") for c in search.stats.crashes.values()))
        search.shrink()
        left = [c for c in search.stats.crashes.values() if c.title.startswith("LEAK")]
        assert len(left) == 1 and left[0].case.kind == "module" and left[0].case.fail_nth
        assert left[0].place.startswith("fs/erofs/"), left[0].report


@pytest.mark.parametrize("name", ["tiny-lzma-allfrag", "dup-zstd-fragded"])
def test_what_is_made_for_the_first_image_fails_and_is_undone(name: str, library: Callable[[str], Library]) -> None:
    image = (DATA / "erofs" / f"{name}.erofs").read_bytes()
    with Kernel(library=library("plain")) as kernel:
        init = come_and_go(kernel).points
        whole = come_and_go(kernel, image)
        assert whole.points > init + 60 and whole.entries
        refused = 0
        for n in range(init + 1, whole.points + 1):
            part = come_and_go(kernel, image, n)
            assert part.crash is None and part.fired and part.entries == whole.entries, (n, part.console)
            refused += part.mount_error is not None
        assert refused > 10


def test_parameters_of_the_module(library: Callable[[str], Library]) -> None:
    lzma = (DATA / "erofs" / "tiny-lzma-allfrag.erofs").read_bytes()
    with Kernel(library=library("plain")) as kernel:
        one, three = (come_and_go(kernel, lzma, parameters=words) for words in ("", "lzma_streams=3"))
        assert three.crash is None and three.points > one.points and three.entries == one.entries
        assert come_and_go(kernel, lzma, parameters="no_such=1 lzma_streams=x").points == one.points
