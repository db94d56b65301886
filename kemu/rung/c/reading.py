# SPDX-License-Identifier: GPL-2.0-only
"""All files of a tree read, and what is read dropped: in one call, without a manifest.

    with kernel.mounted(image) as k:
        r = read_tree(k)
        print(r.bytes, r.failed)
"""
from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field

from kemu.rung.c.kernel import Instance

_ERRNO = struct.Struct("=i")
MOST = 1 << 20


@dataclass(frozen=True)
class Reading:
    """What was read: files and their bytes, of how many names; and what could not be, each with its errno. A file that fails
    counts with the bytes before.
    """

    files: int
    bytes: int
    names: int
    failed: list[tuple[str, int]] = field(default_factory=list)


def read_tree(k: Instance, root: str = "/", part: int = 0, of: int = 1, most: int = MOST) -> Reading:
    """Every regular file below a folder, read to its end as cat(1) would, in steps of 512 KiB, and dropped as it lies in the page
    cache: it is not copied, and no inode is asked for anything else. As much is decompressed and checked as a walk does.

    ``part``, ``of``: of several kernels that divide a tree, each reads every ``of``-th file from the ``part``-th on, in the order
    of its folders. ``most``: names that are looked at. ``ValueError``; ``Trap``.
    """
    if not 0 <= part < of:
        raise ValueError(f"part {part} of {of}: one from 0 to {of - 1}")
    r = k.ffi.new("struct kemu_reading *", {"part": part, "of": of, "most": most})
    k.check(k.lib.kemu_read_tree(os.fsencode(root), r))
    data, failed, pos = k.ffi.buffer(r.failures, r.failures_len)[:], [], 0
    while pos < len(data):
        end = data.index(b"\0", pos + _ERRNO.size)
        failed.append((os.fsdecode(data[pos + _ERRNO.size:end]) or "/", _ERRNO.unpack_from(data, pos)[0]))
        pos = end + 1
    return Reading(r.files, r.bytes, r.names, failed)
