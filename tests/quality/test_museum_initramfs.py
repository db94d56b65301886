# SPDX-License-Identifier: GPL-2.0-only
"""Bugs of init/, put back: each is found within a minute; and without them the same search finds nothing."""
from __future__ import annotations

import pytest

from kemu.explore.experiment import registry
from kemu.explore.progress import Listener
from kemu.explore.search import search
from kemu.machine.series import Series
from tests.quality.hunt import Mutant, check
from tests.quality.mutants.initramfs_museum import fixes, mutants

import initramfs.harness.experiments_cpio  # noqa: F401 - registers


class Enough(Exception):
    pass


def look(names: tuple[str, ...], series: tuple[Series, ...], title: str, seconds: float) -> list[str]:
    """Titles of what is found, until one has ``title`` in it."""
    found: list[str] = []

    def tell(p: object) -> None:
        if any(title in t for t in found):
            raise Enough

    try:
        search([registry[n] for n in names], seconds=seconds, shrink_seconds=1, series=series,
               listen=Listener(found=lambda f: found.append(f.title), example=tell))
    except Enough:
        pass
    return found


@pytest.mark.parametrize("m", mutants, ids=lambda m: m.series.name)
def test_a_bug_is_found(m: Mutant) -> None:
    check(m)


def test_the_file_of_a_cut_archive_stays_open_until_that_is_mended() -> None:
    """Entry 25, which Linux 7.2 has."""
    assert any("open file" in t for t in look(("initramfs.cut-short",), (), "open file", 60))
    (fix,) = fixes
    assert not any("open file" in t for t in look(("initramfs.cut-short",), (fix,), "open file", 10))


def test_without_them_nothing_is_found() -> None:
    names = sorted({n for m in mutants for n in m.experiments})
    p = search([registry[n] for n in names], seconds=20)
    # what is read behind a compressed archive that was cut is Linux's own mistake
    assert ([f.title for f in p.findings if not (f.experiment == "initramfs.damaged"
                                                 and "out-of-bounds in unpack_to_rootfs" in f.title)] == [])
