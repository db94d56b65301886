# SPDX-License-Identifier: GPL-2.0-only
"""Reading what a kernel is asked about: regular files only, no more of them than they say they are, and nothing that waits."""
from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from kemu.rung.uml.errors import RungError

MOST = 1 << 30                         # bytes of a region in a kernel (kemu_region_alloc)


def check_input(path: str | os.PathLike[str], most: int = MOST) -> int:
    """The size of a regular file that can be read and has at most ``most`` bytes; ``RungError`` with the errno in one line."""
    try:
        st = os.stat(path)
        if stat.S_ISDIR(st.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(st.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        if st.st_size > most:
            raise OSError(errno.EFBIG, f"{st.st_size} bytes; at most {most} are taken")
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as e:
        raise RungError(f"{os.fspath(path)}: {errno_line(e)}") from None
    return st.st_size


def read_input(path: str | os.PathLike[str], most: int = MOST) -> bytes:
    """Its contents, up to the size that it has (a file of /proc says 0)."""
    size = check_input(path, most)
    try:
        with open(path, "rb") as f:
            return f.read(size)
    except OSError as e:
        raise RungError(f"{os.fspath(path)}: {errno_line(e)}") from None


def head(path: Path, size: int) -> bytes:
    """The first bytes of a file."""
    room = check_input(path, 1 << 63)
    with open(path, "rb") as f:
        return f.read(min(size, room))


_CPIO_MAGICS = (b"070701", b"070702", b"070707", b"\x1f\x8b", b"\x1f\x9e", b"BZh", b"\x5d\x00\x00", b"\xfd7zXZ\x00", b"\x89LZO",
                b"\x02\x21\x4c\x18", b"\x28\xb5\x2f\xfd")


def kind_of(data: bytes) -> str | None:
    """``"erofs"`` by its magic, ``"cpio"`` for what an initramfs can begin with, else None."""
    if data[1024:1028] == b"\xe2\xe1\xf5\xe0":
        return "erofs"
    return "cpio" if data.lstrip(b"\0").startswith(_CPIO_MAGICS) else None


def errno_line(e: OSError) -> str:
    """``EFBIG (File too large): 70 bytes; ...``"""
    number = e.errno or errno.EIO
    own = os.strerror(number)
    return f"{errno.errorcode.get(number, number)} ({own})" + (f": {e.strerror}" if e.strerror and e.strerror != own else "")
