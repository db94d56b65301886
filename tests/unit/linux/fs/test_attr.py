# SPDX-License-Identifier: GPL-2.0-only
"""Changing attributes, lengths and times, and what may be linked, as C has it: fs/attr.c, fs/open.c, fs/utimes.c, fs/namei.c."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kemu.linux.cred import Cred, override_creds, revert_creds
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.errno import EFTYPE, EINVAL, EPERM, ETXTBSY
from kemu.linux.fcntl import __O_REGULAR, AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR
from kemu.linux.fs.attr import may_setattr, setattr_should_drop_sgid, setattr_should_drop_suidgid
from kemu.linux.fs.file_table import fput
from kemu.linux.fs.internal import open_flags
from kemu.linux.fs.namei import do_file_open, getname, kern_path, path_put
from kemu.linux.fs.open import build_open_flags, chown_common, vfs_truncate
from kemu.linux.fs.utimes import vfs_utimes
from kemu.linux.include.fs.calls import is_sxid
from kemu.linux.include.fs.constants import (
    ATTR_KILL_SGID,
    ATTR_KILL_SUID,
    ATTR_MODE,
    ATTR_TOUCH,
    S_APPEND,
    S_IMMUTABLE,
)
from kemu.linux.include.namei import LOOKUP_FOLLOW
from kemu.linux.include.path import Path
from kemu.linux.port import user as sys
from kemu.linux.time64 import UTIME_NOW, UTIME_OMIT, timespec64
from tests.unit.linux.vfs_files import ok


@contextmanager
def as_nobody() -> Iterator[None]:
    old = override_creds(Cred(1000, 1000, 0, ()))
    try:
        yield
    finally:
        revert_creds(old)


@pytest.fixture
def path(machine: Any) -> Iterator[Path]:
    """A file of ten bytes, mode 644."""
    f = sys.sys_open("/file", O_CREAT | O_RDWR, 0o644)
    sys.sys_write(f, b"0123456789")
    sys.sys_close(f)
    at = Path()
    ok(kern_path("/file", LOOKUP_FOLLOW, at))
    yield at
    path_put(at)


def test_a_program_that_runs_is_not_truncated(path: Path) -> None:
    inode = path.dentry.d_inode
    inode.i_writecount = -1                     # deny_write_access()
    assert vfs_truncate(path, 3) == -ETXTBSY and inode.i_size == 10
    inode.i_writecount = 0
    assert vfs_truncate(path, 3) == 0 and inode.i_size == 3 and inode.i_writecount == 0


def test_an_append_only_file_is_not_truncated(path: Path) -> None:
    path.dentry.d_inode.i_flags |= S_APPEND
    assert vfs_truncate(path, 3) == -EPERM
    path.dentry.d_inode.i_flags &= ~S_APPEND


@pytest.mark.parametrize(("mode", "after"), [(0o4755, 0o755), (0o2755, 0o755), (0o2644, 0o644), (0o6755, 0o755), (0o644, 0o644)])
def test_truncation_takes_set_ids_away(path: Path, mode: int, after: int) -> None:
    inode = path.dentry.d_inode
    inode.i_mode = inode.i_mode & ~0o7777 | mode
    inode.i_uid = 1000
    inode.i_flags = 0
    with as_nobody():
        assert vfs_truncate(path, 1) == 0
    assert inode.i_mode & 0o7777 == after


def test_who_may_set_ids_keeps_them(path: Path) -> None:
    inode = path.dentry.d_inode
    inode.i_mode |= 0o6111
    assert vfs_truncate(path, 1) == 0 and inode.i_mode & 0o6000 == 0o6000      # CAP_FSETID
    assert setattr_should_drop_suidgid(None, inode) == 0
    with as_nobody():
        assert setattr_should_drop_suidgid(None, inode) == ATTR_KILL_SUID | ATTR_KILL_SGID


def test_set_group_id_without_execution_is_the_groups_own(path: Path) -> None:
    inode = path.dentry.d_inode
    inode.i_mode = inode.i_mode & ~0o7777 | 0o2644
    assert setattr_should_drop_sgid(None, inode) == 0
    with as_nobody():
        assert setattr_should_drop_sgid(None, inode) == ATTR_KILL_SGID
        inode.i_gid = 1000
        assert setattr_should_drop_sgid(None, inode) == 0
    assert is_sxid(0o2644) and is_sxid(0o4000) and not is_sxid(0o1777)


def test_chown_takes_set_ids_away(path: Path) -> None:
    inode = path.dentry.d_inode
    inode.i_mode |= 0o6111
    assert chown_common(path, 5, 0xFFFF_FFFF) == 0
    assert (inode.i_uid, inode.i_gid, inode.i_mode & 0o6000) == (5, 0, 0)


def test_times_may_be_left_as_they_are_or_be_now(path: Path) -> None:
    inode = path.dentry.d_inode
    assert vfs_utimes(path, (timespec64(7, 8), timespec64(9, 10))) == 0
    assert vfs_utimes(path, (timespec64(0, UTIME_OMIT), timespec64(11, 12))) == 0
    assert (inode.i_atime_sec, inode.i_mtime_sec) == (7, 11)
    assert vfs_utimes(path, (timespec64(0, UTIME_NOW), timespec64(0, UTIME_OMIT))) == 0
    assert inode.i_atime_sec not in (0, 7) and inode.i_mtime_sec == 11
    assert vfs_utimes(path, (timespec64(0, 10**9), timespec64(0, 0))) == -EINVAL


def test_what_cannot_change(path: Path) -> None:
    inode = path.dentry.d_inode
    for flag in (S_APPEND, S_IMMUTABLE):
        inode.i_flags = flag
        assert may_setattr(None, inode, ATTR_MODE) == -EPERM
    assert may_setattr(None, inode, ATTR_TOUCH) == -EPERM
    inode.i_flags = S_APPEND
    assert may_setattr(None, inode, ATTR_TOUCH) == 0
    inode.i_flags = 0


def test_hard_links_of_others_files(path: Path) -> None:
    """fs.protected_hardlinks is 1 in this tree: what one cannot write oneself may not be linked."""
    sys.sys_mkdir("/dir", 0o777)
    at = Path()
    ok(kern_path("/dir", LOOKUP_FOLLOW, at))
    at.dentry.d_inode.i_mode |= 0o777
    path_put(at)
    inode = path.dentry.d_inode
    with as_nobody():
        assert sys.sys_link("/file", "/dir/link") == -EPERM
        inode.i_mode |= 0o666
        assert sys.sys_link("/file", "/dir/link") == 0
        inode.i_mode |= 0o4000
        assert sys.sys_link("/file", "/dir/other") == -EPERM       # set-user-id
        inode.i_uid = 1000
        assert sys.sys_link("/file", "/dir/other") == 0            # one's own
    assert inode.i_nlink == 3


def open_regular(name: str) -> Any:
    op = open_flags()
    assert build_open_flags(O_RDONLY, 0, op) == 0
    op.open_flag |= __O_REGULAR
    f = do_file_open(AT_FDCWD, getname(name), op)
    if IS_ERR(f):
        return PTR_ERR(f)
    fput(f)
    return 0


def test_only_a_regular_file_will_do(path: Path) -> None:
    sys.sys_mkdir("/dir", 0o755)
    assert open_regular("/file") == 0 and open_regular("/dir") == -EFTYPE
    f = sys.sys_open("/dir", O_RDONLY | O_DIRECTORY)
    assert not isinstance(f, int)
    sys.sys_close(f)
