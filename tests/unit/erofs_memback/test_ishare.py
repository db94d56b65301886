# SPDX-License-Identifier: GPL-2.0-only
"""ishare.c: equal files of two mounts share one page cache. The images have fingerprints by mkfs.erofs --xattr-inode-digest."""
from __future__ import annotations

import errno

import pytest

from kemu.check.suite import all_detectors
from kemu.linux.include.sched import current_fs
from kemu.report.walk import walk
from tests.conftest import DATA
from tests.unit.erofs_memback.images import looked_up

from erofs_memback import ishare
from erofs_memback.harness.mount import MountError, machine_for, mount_in, settle, unload_module

A, B = str(DATA / "ishare" / "a.erofs"), str(DATA / "ishare" / "b.erofs")
CONFIG = {"CONFIG_EROFS_FS_PAGE_CACHE_SHARE": True}


@pytest.mark.parametrize("domains, shared", [(("d", "d"), True), (("d", "e"), False)])
@pytest.mark.parametrize("backend", ["bdev", "fileio", "memback"])
def test_the_second_reader_of_a_domain_reads_nothing(backend, domains, shared):
    watch = all_detectors()
    with machine_for(A, backend=backend, config=CONFIG, watch=watch) as machine:
        watch.attach(machine)
        current_fs()
        watch.mark()
        a = mount_in(machine, A, backend=backend, options=f"domain_id={domains[0]},inode_share")
        b = mount_in(machine, B, backend=backend, options=f"domain_id={domains[1]},inode_share")
        first = {e["path"]: e["sha256"] for e in walk(a.path)}
        with looked_up(a, b"y") as y, looked_up(b, b"zz") as zz:
            assert (y.d_inode.sharedentry.d_inode is zz.d_inode.sharedentry.d_inode) == shared
            assert y.d_inode.i_mapping.nrpages == 0
        list(walk(b.path, contents=False))
        bios = machine.counters.bios
        second = {e["path"]: e["sha256"] for e in walk(b.path)}
        assert second["/zz"] == first["/y"]
        assert backend != "bdev" or (machine.counters.bios == bios) == shared
        a.umount()
        settle()
        assert {e["path"]: e["sha256"] for e in walk(b.path)} == second
        b.umount()
        unload_module(machine)
        settle()
        watch.finish()
    assert ishare.g.erofs_ishare_mnt is None


@pytest.mark.parametrize("options, message", [
    ("inode_share", "erofs: domain_id is needed when inode_ishare is on"),
    ("inode_share,domain_id=d,dax", "erofs: FSDAX is not allowed when inode_ishare is on"),
])
def test_options_that_do_not_go_together(options, message):
    with machine_for(A, config={**CONFIG, "CONFIG_FS_DAX": True}) as machine:
        with pytest.raises(MountError) as info:
            mount_in(machine, A, options=options)
        assert (info.value.errno, info.value.message) == (errno.EINVAL, message)


def test_an_image_without_fingerprints_is_not_shared():
    with machine_for(A, config=CONFIG) as machine:
        m = mount_in(machine, DATA / "erofs" / "tiny-plain.erofs", options="inode_share,domain_id=d")
        assert "erofs (device ram0): on-disk ishare xattrs not found. Turning off inode_share." in machine.log.lines()
        with looked_up(m, b"d0/f0.txt") as de:
            assert de.d_inode.sharedentry is None
        m.umount()
