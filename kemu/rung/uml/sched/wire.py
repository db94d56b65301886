# SPDX-License-Identifier: GPL-2.0-only
"""Programs, plans and results as they stand in the shared memory; module/kemu_sched.h is the other side."""
from __future__ import annotations

import struct
from enum import IntEnum

MAGIC = 0x4853454B
TASKS = 6
SLOTS = 16
OPS = 128
PLANS = 1024
LOG = OPS                              # in place of a step's number: the kernel has said more than it does alone
SWITCHES = 16
STRINGS = 64 << 10
ANY = 1                                # of what a step may say: anything

HEAD = struct.Struct("<12I")
OP = struct.Struct("<6I3Q4i")
SAID = struct.Struct("<qQI12x")
PLAN = struct.Struct("<III4x")
SWITCH = struct.Struct("<IHH")
RESULT = struct.Struct("<6IQ")
SWITCHED = struct.Struct("<III4xQ16s16s")

PLAN_BYTES = PLAN.size + SWITCHES * SWITCH.size
RESULT_BYTES = RESULT.size + SWITCHES * SWITCHED.size

AT_OPS = 4096
AT_STRINGS = AT_OPS + OPS * OP.size
AT_SAID = AT_STRINGS + STRINGS
AT_PLANS = AT_SAID + OPS * SAID.size
AT_RESULTS = AT_PLANS + PLANS * PLAN_BYTES
AT_TRACE = AT_RESULTS + PLANS * RESULT_BYTES
TRACE = 1 << 17
TRACE_PID = 48                         # of an entry of a trace: who it was, above where
AT_IMAGES = -(-(AT_TRACE + TRACE * 8) // 4096) * 4096
IMAGES = 64 << 20                      # bytes of images at most; what is not used is not there
SHARE = AT_IMAGES + IMAGES


class What(IntEnum):
    """What a step does; enum kemu_what says what its numbers and texts are."""

    MOUNT = 1
    UMOUNT = 2
    OPEN = 3
    CLOSE = 4
    READ = 5
    WRITE = 6
    READDIR = 7
    STAT = 8
    GETXATTR = 9
    READLINK = 10
    STATFS = 11
    INVALIDATE = 12
    DROP_SLAB = 13
    TRUNCATE = 14
    SLEEP = 15
    SETTLE = 16
    SUPERS = 17
    MKDIR = 18
    UNLINK = 19
    FAIL = 20
    FAILED = 21
    CHMOD = 22
    SEEK = 23
    REMOUNT = 24
    MAP = 25
    COUNT = 26
    COUNTED = 27
    FADVISE = 28
    FOREIGN = 29
    RENAME = 30
    LINK = 31
    SETXATTR = 32
    RMDIR = 33
    SYNC = 34
    FALLOCATE = 35
    LOOP = 36
    LATE_FILE = 37


class End(IntEnum):
    """How a plan ended."""

    DONE = 1
    HANG = 2
    SPLAT = 3
