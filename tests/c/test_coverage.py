# SPDX-License-Identifier: GPL-2.0-only
"""The search that coverage steers: it climbs steps that blind changes do not, its corpus survives it, and gcov counts."""
from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kemu.rung.c.build import Library, build
from kemu.rung.c.cover import doors
from kemu.rung.c.cover.case import Case
from kemu.rung.c.cover.corpus import Corpus
from kemu.rung.c.cover.lines import Lines
from kemu.rung.c.cover.search import Search
from kemu.rung.c.kernel import Instance, Kernel
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.tree import Tree
from tests.c.planted import Plant
from tests.conftest import DATA

IMAGE = Case((DATA / "erofs" / "tiny-plain.erofs").read_bytes())
ARCHIVE = Case((DATA / "root.cpio").read_bytes(), "cpio")
STEPS = Plant("steps", "fs/erofs/super.c",
              "	if (dsb->dirblkbits) {",
              """	if (le64_to_cpu(dsb->inos) >> 40) {
		erofs_info(sb, "one step");
		if (le32_to_cpu(dsb->fixed_nsec) >> 28) {
			erofs_info(sb, "two steps");
			if (le32_to_cpu(dsb->xattr_prefix_start) >> 12) {
				erofs_info(sb, "three steps");
				BUG_ON(dsb->ishare_xattr_prefix_id >> 6 == 3);
			}
		}
	}
	if (dsb->dirblkbits) {""", "cov", "Kernel panic - not syncing: BUG!", "erofs_read_superblock")
BUDGET = 30_000


def searched(library: Library, folder: Path, examples: int, guided: bool = True, seed: int = 0) -> Search:
    with Kernel(library=library, timeout=2.0) as kernel:
        search = Search(kernel, Corpus(folder), seed, guided=guided)
        search.begin([*Corpus(folder), IMAGE, ARCHIVE])
        search.run(examples=examples, stop=lambda: any(c.function == STEPS.place for c in search.stats.crashes.values()))
        search.shrink()
        return search


def test_a_crash_behind_steps_is_found_and_not_by_blind_changes(tree: Tree, library: Callable[[str], Library],
                                                                tmp_path: Path) -> None:
    library("cov")
    planted = build(Recipe(tree, patches=(STEPS.patch(Path(tree.path)),), slot="planted"), "cov")
    search = searched(planted, tmp_path / "guided", BUDGET)
    found = [c for c in search.stats.crashes.values() if STEPS.place == c.function]
    assert found, search.stats
    assert found[0].place.startswith("fs/erofs/super.c:") and STEPS.said in found[0].report
    # the least case: only the four fields differ from the image
    changed = {i - 1024 for i, (a, b) in enumerate(zip(found[0].case.data, IMAGE.data)) if a != b and not 4 <= i - 1024 < 8}
    assert changed and changed <= {*range(16, 24), *range(32, 36), *range(92, 96), 105}
    with Kernel(library=planted) as kernel:
        assert found[0].case.run(kernel).crash
    with Kernel(library=library("plain")) as kernel:
        assert not found[0].case.run(kernel).crash, "the bug is the plant's"
    blind = searched(planted, tmp_path / "blind", BUDGET, guided=False)
    assert all(c.function != STEPS.place for c in blind.stats.crashes.values()) and blind.stats.executions >= BUDGET


def test_the_corpus_survives_a_restart_and_one_seed_gives_one_corpus(library: Callable[[str], Library], tmp_path: Path) -> None:
    first = searched(library("cov"), tmp_path / "a", 600)
    again = searched(library("cov"), tmp_path / "b", 600)
    kept = [p.name for p in Corpus(tmp_path / "a").paths()]
    assert kept == [p.name for p in Corpus(tmp_path / "b").paths()] and len(kept) == first.stats.kept > 20
    assert first.stats.cells == again.stats.cells
    with Kernel(library=library("cov")) as kernel:
        next_one = Search(kernel, Corpus(tmp_path / "a"))
        next_one.begin(Corpus(tmp_path / "a"))
        assert next_one.stats.executions == len(kept)
        assert next_one.stats.cells > 0.97 * first.stats.cells      # what a kernel does once only is not a case's


def test_lines_and_branches_are_counted_even_of_a_kernel_that_died(tree: Tree, library: Callable[[str], Library]) -> None:
    with Kernel(library=library("gcov")) as kernel:
        lines = Lines(kernel)
        assert not IMAGE.run(kernel).mount_error and not ARCHIVE.run(kernel).message
        assert kernel.last is not None
        kernel.last.dead = True        # the next case gets another
        IMAGE.run(kernel)
        kernel.close()
        text = (Path(tree.path) / "fs/erofs/super.c").read_text().splitlines()
        magic = next(i for i, line in enumerate(text, 1) if "EROFS_SUPER_MAGIC_V1) {" in line)
        assert lines.files["fs/erofs/super.c"].lines[magic] == 2
        assert lines.files["fs/erofs/super.c"].lines[magic + 1] == 0
        assert ("fs/erofs/super.c", magic + 1, "erofs_read_superblock", text[magic].strip()) in lines.unreached()
        reached, total, taken, branches = lines.total()
        assert 800 < reached < total and 300 < taken < branches
        assert lines.files["init/initramfs.c"].figures()[0] > 100
        assert lines.table()[-1].endswith("all")


def test_an_unpacker_without_memory_panics_as_it_means_to(library: Callable[[str], Library]) -> None:
    with Kernel(library=library("plain")) as kernel:
        whole, first = kernel.cpio(ARCHIVE.data), kernel.cpio(ARCHIVE.data, fail_nth=1)
        # async_schedule() without memory: at once, and not later
        assert (first.crash, first.fired, first.entries) == (None, True, whole.entries)
        answer = kernel.cpio(ARCHIVE.data, fail_nth=2)
        assert answer.crash == "panic" and answer.kmsg[-1:] == ["Mem-Info:"]
        assert answer.message == "Kernel panic - not syncing: can't allocate buffers"


def test_every_call_of_a_case_can_fail_and_all_is_undone(library: Callable[[str], Library]) -> None:
    with Kernel(library=library("asan")) as kernel:
        nth, answer = 0, IMAGE.run(kernel)
        while nth == 0 or answer.fired:
            nth += 1
            answer = replace(IMAGE, fail_nth=nth).run(kernel)
            assert answer.crash is None, (nth, answer.console)
        assert nth > 100 and kernel.boots == 1


@pytest.mark.parametrize("backend", ["disk", "file"])
def test_a_mount_answers_at_every_door_and_its_attributes_take_what_linux_takes(kernel: Kernel, backend: str) -> None:
    seen: dict[str, Any] = {}

    def look(k: Instance) -> None:
        doors.ask(k)
        mine = next(n for n in doors.names(k, b"/sys/fs/erofs") if n != b"features")
        folder = f"/sys/fs/erofs/{mine.decode()}"
        seen["names"] = sorted(doors.names(k, folder.encode()))
        fd = k.check(k.lib.kemu_open(f"{folder}/sync_decompress".encode(), os.O_WRONLY))
        seen["written"] = [k.check(k.lib.kemu_write(fd, v, len(v))) for v in (b"9", b"4294967296", b"x", b"2")]
        k.check(k.lib.kemu_close(fd))
        seen["value"] = list(k.contents(f"{folder}/sync_decompress"))
        seen["feature"] = list(k.contents("/sys/fs/erofs/features/dedupe"))

    image = DATA / "erofs" / "tiny-lz4hc-allfrag.erofs"
    answer = kernel.erofs(image, backend=backend, then=look)
    assert answer.crash is None, answer.console
    assert answer.entries == kernel.erofs(image).entries
    assert seen == {"names": [b"dir_ra_bytes", b"drop_caches", b"sync_decompress"],
                    "written": [-errno.EINVAL, -errno.ERANGE, -errno.EINVAL, 1], "value": [b"2\n"], "feature": [b"supported\n"]}


def test_erofs_can_be_unloaded(library: Callable[[str], Library]) -> None:
    with Kernel(library=library("asan")) as kernel:
        assert replace(IMAGE, doors=True).run(kernel).crash is None
        kernel.instance.unload()
        assert replace(IMAGE, doors=True).run(kernel).crash is None
        assert kernel.boots == 2


def test_another_flavour_counts_nothing(library: Callable[[str], Library]) -> None:
    with Kernel(library=library("plain")) as kernel, pytest.raises(ConfigError, match="flavour plain counts nothing"):
        Lines(kernel)
