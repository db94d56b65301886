# SPDX-License-Identifier: GPL-2.0-only
"""The host's own fence around a kernel process, and around the make that builds one: Landlock, where the host has it.

The kernels have no code that opens files of the host (``config.DOORS``). This holds even for a kernel that a patch or a bug in it
has made to: the process may read itself, its libraries and its folder, and write in its folder only; it may not open sockets to
the network. A make runs what the Makefiles of a patch say: it writes in its build folder only.
"""
from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1                           # flag of the first: the number of the ABI
_PATH_BENEATH = 1
_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}     # of files, by the ABI that has them first
_ALL = (1 << 16) - 1
_NETWORK = 3                           # bind and connect of TCP, from ABI 4 on

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """The host's Landlock ABI; 0 where there is none."""
    return max(int(_libc.syscall(_CREATE_RULESET, None, 0, _VERSION)), 0)


def rights(version: int) -> int:
    """All rights to files that this ABI knows."""
    return max(mask for first, mask in _RIGHTS.items() if first <= version)


def fence(kernel: Path, folder: Path) -> AbstractContextManager[Callable[[], None]]:
    """What the child calls between fork and exec of a kernel; it does nothing where the host has no Landlock."""
    read = READ_FILE | READ_DIR | EXECUTE
    return _fence([(kernel, EXECUTE | READ_FILE), (folder, _ALL), ("/lib", read), ("/lib64", read), ("/usr", read),
                   ("/nix/store", read),
                   ("/etc/ld.so.cache", READ_FILE), ("/proc/cpuinfo", READ_FILE), ("/dev/null", READ_FILE | WRITE_FILE)])


def fence_writes(*folders: Path) -> AbstractContextManager[Callable[[], None]]:
    """The same for a program that may read and execute what it likes, and write in these folders only."""
    return _fence([("/", READ_FILE | READ_DIR | EXECUTE), ("/dev/null", READ_FILE | WRITE_FILE),
                   ("/dev/zero", READ_FILE | WRITE_FILE),
                   *((f, _ALL) for f in folders)])


@contextmanager
def _fence(rules: Sequence[tuple[str | os.PathLike[str], int]]) -> Iterator[Callable[[], None]]:
    """The rules are made here, in the parent."""
    version = abi()
    every = rights(version) if version else 0
    size = 16 if version >= 4 else 8
    ruleset = int(_libc.syscall(_CREATE_RULESET, struct.pack("<QQ", every, _NETWORK)[:size], size, 0)) if version else -1
    if ruleset < 0:
        yield lambda: None
        return
    try:
        for path, may in rules:
            _allow(ruleset, path, may & every)
        yield lambda: _restrict(ruleset)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str | os.PathLike[str], may: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return                         # not on this host
    _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("<Qi", may, fd), 0)
    os.close(fd)


def _restrict(ruleset: int) -> None:
    _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.syscall(_RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
