# SPDX-License-Identifier: GPL-2.0-only
"""Open flags (include/linux/fcntl.h, the generic values)."""
from __future__ import annotations

O_ACCMODE, O_RDONLY, O_WRONLY, O_RDWR = 3, 0, 1, 2
O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC = 1 << 6, 1 << 7, 1 << 8, 1 << 9
O_APPEND, O_NONBLOCK, O_DSYNC, FASYNC = 1 << 10, 1 << 11, 1 << 12, 1 << 13
O_DIRECT, O_LARGEFILE, O_DIRECTORY, O_NOFOLLOW = 1 << 14, 1 << 15, 1 << 16, 1 << 17
O_NOATIME, O_CLOEXEC, O_SYNC, O_PATH = 1 << 18, 1 << 19, (1 << 20) | (1 << 12), 1 << 21
O_NDELAY = O_NONBLOCK

# the double-underscore names of C; a leading underscore pair would be mangled inside Python classes only
__O_SYNC = 1 << 20
__O_TMPFILE = 1 << 22
__O_REGULAR = 1 << 30
__FMODE_EXEC = 1 << 5
O_TMPFILE = __O_TMPFILE | O_DIRECTORY
O_EMPTYPATH = 1 << 26
AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW, AT_EACCESS, AT_REMOVEDIR, AT_SYMLINK_FOLLOW = 0x100, 0x200, 0x200, 0x400
AT_NO_AUTOMOUNT, AT_EMPTY_PATH = 0x800, 0x1000
AT_STATX_SYNC_TYPE, AT_STATX_SYNC_AS_STAT, AT_STATX_FORCE_SYNC, AT_STATX_DONT_SYNC = 0x6000, 0, 0x2000, 0x4000
SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE = range(5)
VALID_OPEN_FLAGS = (O_RDONLY | O_WRONLY | O_RDWR | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | __O_SYNC
                    | O_DSYNC
                    | FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | __O_TMPFILE
                    | O_EMPTYPATH)
