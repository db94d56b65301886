# SPDX-License-Identifier: GPL-2.0-only
"""Mounting through a back end: what is set up is taken down again, also where something fails half way."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kemu.check.suite import all_detectors
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EINVAL, ENODEV, ENOSPC
from kemu.machine.machine import Machine
from kemu.report.walk import walk
from kemu.rung.py.backend import Backend, Medium, Placed, Source, settle
from kemu.rung.py.disks import Disks
from kemu.rung.py.mount import MountError, start, umount
from kemu.rung.py.trial import errname, manifest
from tests.samples import TOP

from erofs_memback.harness.backends import BDEV, MEMBACK, Memory
from erofs_memback.harness.mount import EROFS, mounted

IMAGE = (TOP / "tests/data/erofs/tiny-plain.erofs").read_bytes()      # the posted memback reads nothing else right
BACKENDS = ("bdev", "dax", "fileio", "memback", "memback-rfc")


class Broken(Backend):
    name = "broken"

    def open(self, images: Sequence[Placed], medium: Medium) -> Source | int:
        return -EINVAL


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_back_end_gives_the_same_and_leaves_nothing(backend: str) -> None:
    with mounted(IMAGE) as m:
        want = manifest(m.mnt)
    watch = all_detectors()
    with EROFS.machine_for(IMAGE, backend=backend, watch=watch) as machine:
        watch.attach(machine)
        start()
        watch.mark()
        for _ in range(2):
            m = EROFS.mount_in(machine, IMAGE, backend=backend)
            assert list(walk(m.path)) and manifest(m.mnt) == want and m.backend.name == backend
            assert m.region.state == ("owned" if backend in ("fileio", "memback-rfc") else "lent")
            m.umount()
            assert m.region.state == "owned" and not m.region.users
        EROFS.unload(machine)
        settle()
        watch.finish()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_refused_mount_leaves_nothing(backend: str) -> None:
    watch = all_detectors()
    with EROFS.machine_for(IMAGE, backend=backend, watch=watch) as machine:
        watch.attach(machine)
        start()
        watch.mark()
        with pytest.raises(MountError) as info:
            EROFS.mount_in(machine, bytes(8192), backend=backend)
        assert info.value.errno == EINVAL and "cannot find valid erofs superblock" in info.value.message
        assert any(info.value.message in line for line in info.value.log)
        EROFS.unload(machine)
        settle()
        watch.finish()


def test_a_back_end_that_fails_is_a_mount_error() -> None:
    with pytest.raises(MountError) as info, mounted(IMAGE, backend=Broken()):
        pass
    assert (info.value.errno, info.value.message) == (EINVAL, "")
    for backend in ("memback", "memback-rfc"):
        with pytest.raises(MountError) as info, mounted(IMAGE, backend=backend, devices=[IMAGE]):
            pass
        assert info.value.errno == EINVAL, backend


def test_disks_that_cannot_all_be_made_are_all_taken_away() -> None:
    with Machine() as m:
        first, second = m.place(IMAGE), m.place(IMAGE)
        second.release("the test")
        assert Disks.open([Placed(first), Placed(second)], Medium()) == -ENOSPC
        assert first.state == "owned"
        both: Any = Disks.open([Placed(first), Placed(m.place(IMAGE))], Medium("sync"), pad=4096)
        assert both.name == both.paths[0] and both.options == [f"device={both.paths[1]}"] and first.users
        both.drop()
        assert first.state == "owned"


def test_a_file_system_that_is_not_loaded_is_not_mounted() -> None:
    with EROFS.machine_for(IMAGE) as machine:
        source = EROFS.open(BDEV, Placed(machine.place(IMAGE)))
        assert PTR_ERR(source.mount()) == -ENODEV
        assert EROFS.load(machine) == 0 and EROFS.load(machine) == 0          # once
        mnt = source.mount()
        assert not IS_ERR(mnt)
        umount(mnt)
        source.drop()
        EROFS.unload(machine)
        EROFS.unload(machine)


def test_the_owner_of_a_region_may_leave_first() -> None:
    with EROFS.machine_for(IMAGE, backend=MEMBACK) as machine:
        EROFS.load(machine)
        region = machine.place(IMAGE)
        source = EROFS.open(MEMBACK, Placed(region))
        gone: list[str] = []
        assert isinstance(source, Memory)
        source.released = lambda: gone.append(region.state)
        mnt = source.mount()
        source.drop()
        source.drop()
        assert gone == [] and manifest(mnt)
        umount(mnt)
        assert gone == ["owned"]


def test_names_of_errors() -> None:
    assert [errname(e) for e in (-5, -117, -524, -12345)] == ["EIO", "EUCLEAN", "ENOTSUPP", "12345"]


def test_a_kind_of_memory_that_is_none() -> None:
    with EROFS.machine_for(IMAGE) as machine, pytest.raises(ValueError, match="memory kind 'odd': one of linear, vmalloc, slab"):
        EROFS.mount_in(machine, IMAGE, kind="odd")
