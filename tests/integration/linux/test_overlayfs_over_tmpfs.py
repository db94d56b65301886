# SPDX-License-Identifier: GPL-2.0-only
"""overlayfs over tmpfs, through system calls."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemu.check.suite import all_detectors
from kemu.linux.fs.namespace import mnt_init
from kemu.linux.fs.overlayfs.super import ovl_init
from kemu.linux.mm.shmem import shmem_init
from kemu.linux.port import user as sys
from kemu.machine.machine import Machine
from tests import fs_script


@pytest.fixture
def fs() -> Iterator[Machine]:
    with Machine() as m:
        shmem_init()
        mnt_init()
        ovl_init()
        for d in ("/l1", "/l2", "/u", "/m"):
            assert sys.sys_mkdir(d) == 0
            if d != "/m":
                assert sys.sys_mount("tmpfs", d, "tmpfs") == 0
        for d in ("/u/up", "/u/work"):
            assert sys.sys_mkdir(d) == 0
        yield m


def do(*lines: str) -> list[str]:
    return [r for line in lines for r in fs_script.run_line(line.replace(" ", "\t"))]


def overlay(lower: str = "/l1:/l2", rw: bool = True) -> int:
    return sys.sys_mount("overlay", "/m", "overlay", 0, f"lowerdir={lower}" + (",upperdir=/u/up,workdir=/u/work" if rw else ""))


def test_upper_layers_cover_lower_ones_and_directories_merge(fs: Machine) -> None:
    do("mkdir /l1/d 755", "mkdir /l2/d 700", "open /l1/d/a cx 31 644", "open /l2/d/a cx 32 600", "open /l2/d/b cx 33 600")
    assert overlay() == 0
    assert do("ls /m", "ls /m/d") == ["ls d", "ls a b"]
    tree = do("tree /m/d")
    assert tree[0].startswith("/m/d 40755 ")
    assert "100644" in tree[1] and "100600" in tree[2]


def test_writing_copies_up_with_data_owner_and_attributes(fs: Machine) -> None:
    do("mkdir /l1/d 710", "rep /l1/d/f cx 61 9000", "chown /l1/d/f 5 6", "chmod /l1/d/f 2751", "setx /l1/d/f user.k 0102 0",
       "setx /l1/d user.d 03 0", "setx /l1/d/f trusted.t 04 0")
    before = do("tree /l1")
    assert overlay() == 0
    assert do("open /m/d/f a 62 0") == ["ok"]
    assert do("tree /l1") == before
    up = do("tree /u/up/d")
    assert "40710" in up[0] and "user.d=03" in up[0]
    assert "102751 5 6 1 9001" in do("tree /m/d")[1]
    assert "trusted.t=04 user.k=0102" in do("tree /m/d")[1]
    assert "overlay" not in " ".join(do("tree /m"))


def test_unlink_makes_a_whiteout_and_a_new_directory_over_it_is_opaque(fs: Machine) -> None:
    do("mkdir /l1/d 755", "open /l1/d/a cx 31 644", "open /l1/x cx 31 644")
    assert overlay() == 0
    assert do("unlink /m/d/a", "rmdir /m/d", "unlink /m/x") == ["ok", "ok", "ok"]
    assert do("ls /m") == ["ls "]
    assert [line.split()[1] for line in do("tree /u/up")[1:]] == ["20000", "20000"]
    assert do("mkdir /m/d 755", "ls /m/d") == ["ok", "ls "]
    assert "trusted.overlay.opaque=79" in do("tree /u/up/d")[0]
    assert do("open /m/x cx 39 600", "ls /m") == ["ok", "ls d x"]


def test_a_directory_that_still_has_lower_names_is_not_empty(fs: Machine) -> None:
    do("mkdir /l1/d 755", "open /l1/d/a cx 31 644")
    assert overlay() == 0
    assert do("rmdir /m/d") == ["39"]


def test_renaming(fs: Machine) -> None:
    do("mkdir /l1/d 755", "open /l1/f cx 31 644")
    assert overlay() == 0
    assert (do("rename /m/f /m/g 0", "rename /m/d /m/e 0", "mkdir /m/n 755", "rename /m/n /m/o 0",
               "ls /m") == ["ok", "18", "ok", "ok", "ls d g o"])


def test_without_an_upper_layer_it_is_read_only(fs: Machine) -> None:
    assert overlay(rw=False) == 0
    assert do("mkdir /m/x 755", "open /m/y cx 31 600") == ["30", "30"]


def test_what_is_refused(fs: Machine) -> None:
    do("mkdir /l1/in 755", "mkdir /u/up/below 755")
    assert overlay("/l1", rw=False) == -22                              # one layer only
    assert overlay("/l1:/l1/in", rw=False) == -40                       # overlapping
    assert overlay("/u/up/below") == -40
    assert overlay("/l1::") == -22
    assert overlay("/nowhere:/l2") == -2
    assert overlay("") == -22
    assert sys.sys_mount("overlay", "/m", "overlay", 0, "lowerdir=/l1,upperdir=/u/up") == -22
    assert sys.sys_mount("overlay", "/m", "overlay", 0, "lowerdir=/l1,upperdir=/u/up,workdir=/l2") == -22
    assert sys.sys_mount("overlay", "/m", "overlay", 0, "lowerdir=/l1,upperdir=/u/up,workdir=/u/up") == -22
    assert sys.sys_mount("overlay", "/m", "overlay", 0, "lowerdir=/l1,nonsense=1") == -22
    assert overlay() == 0


def test_names_with_colons_commas_and_backslashes(fs: Machine) -> None:
    assert sys.sys_mkdir("/a:b,c") == 0 and sys.sys_mount("tmpfs", "/a:b,c", "tmpfs") == 0
    do("open /a:b,c/f cx 31 644")
    assert overlay("/a\\:b\\,c:/l2") == 0
    assert do("ls /m") == ["ls f"]


def test_layers_survive_the_umount_of_their_mounts_and_depth_is_limited(fs: Machine) -> None:
    do("open /l1/f cx 31 644")
    assert overlay() == 0
    assert sys.sys_umount("/l1", 2) == 0
    assert do("open /m/f a 32 0") == ["ok"]
    for d in ("/m2", "/m3"):
        sys.sys_mkdir(d)
    assert sys.sys_mount("overlay", "/m2", "overlay", 0, "lowerdir=/m:/l2") == 0
    assert sys.sys_mount("overlay", "/m3", "overlay", 0, "lowerdir=/m2:/l2") == -22


def test_nothing_is_left_after_the_umount() -> None:
    watch = all_detectors()
    with Machine(watch=watch) as m:
        watch.attach(m)
        shmem_init()
        mnt_init()
        ovl_init()
        for _ in range(2):                      # the second time, what is made on first use is there
            watch.mark()
            for d in ("/l1", "/u", "/m"):
                sys.sys_mkdir(d)
                sys.sys_mount("tmpfs", d, "tmpfs")
            do("mkdir /u/up 755", "mkdir /u/work 755", "mkdir /l1/d 755", "open /l1/d/f cx 31 644", "open /l1/d/g cx 31 644")
            assert overlay("/l1") == 0
            do("open /m/d/f a 32 0", "tree /m", "unlink /m/d/f", "unlink /m/d/g", "rmdir /m/d", "mkdir /m/d 700",
               "rename /m/d /m/e 0")
            for d in ("/m", "/m", "/u", "/l1"):
                assert sys.sys_umount(d) == 0
            for d in ("/l1", "/u", "/m"):
                sys.sys_rmdir(d)
            m.idle()
        watch.finish()
