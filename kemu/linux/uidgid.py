# SPDX-License-Identifier: GPL-2.0-only
"""User and group ids (include/linux/uidgid.h): kuid_t and kgid_t are ints in the initial namespace."""
from __future__ import annotations

from kemu.linux.port.honesty import dup

P = "include/linux/uidgid.h"

INVALID_UID = 0xFFFF_FFFF


@dup(P)
def make_kuid(ns: object, uid: int) -> int:
    """``kuid_t make_kuid(struct user_namespace *from, uid_t uid)``"""
    return uid & 0xFFFF_FFFF


@dup(P)
def make_kgid(ns: object, gid: int) -> int:
    """``kgid_t make_kgid(struct user_namespace *from, gid_t gid)``"""
    return gid & 0xFFFF_FFFF
