# SPDX-License-Identifier: GPL-2.0-only
"""Device numbers (include/linux/kdev_t.h): 12 bits major, 20 bits minor."""
from __future__ import annotations

from kemu.linux.port.honesty import dup

P = "include/linux/kdev_t.h"

MINORBITS = 20
MINORMASK = (1 << MINORBITS) - 1


@dup(P)
def MAJOR(dev: int) -> int:
    """``MAJOR(dev)``"""
    return dev >> MINORBITS


@dup(P)
def MINOR(dev: int) -> int:
    """``MINOR(dev)``"""
    return dev & MINORMASK


@dup(P)
def MKDEV(ma: int, mi: int) -> int:
    """``MKDEV(ma, mi)``"""
    return ((ma << MINORBITS) | mi) & 0xFFFF_FFFF


@dup(P)
def old_valid_dev(dev: int) -> bool:
    """``bool old_valid_dev(dev_t dev)``"""
    return MAJOR(dev) < 256 and MINOR(dev) < 256


@dup(P)
def old_encode_dev(dev: int) -> int:
    """``u16 old_encode_dev(dev_t dev)``"""
    return ((MAJOR(dev) << 8) | MINOR(dev)) & 0xFFFF


@dup(P)
def old_decode_dev(val: int) -> int:
    """``dev_t old_decode_dev(u16 val)``"""
    return MKDEV((val >> 8) & 255, val & 255)


@dup(P)
def new_encode_dev(dev: int) -> int:
    """``u32 new_encode_dev(dev_t dev)``: the layout of stat() and of on-disk inodes."""
    minor = dev & MINORMASK
    return (minor & 0xFF) | (MAJOR(dev) << 8) & 0xFFFF_FFFF | ((minor & ~0xFF) << 12)


@dup(P)
def new_decode_dev(dev: int) -> int:
    """``dev_t new_decode_dev(u32 dev)``"""
    return MKDEV((dev & 0xFFF00) >> 8, (dev & 0xFF) | ((dev >> 12) & 0xFFF00))


@dup(P)
def huge_encode_dev(dev: int) -> int:
    """``u64 huge_encode_dev(dev_t dev)``"""
    return new_encode_dev(dev)


@dup(P)
def huge_decode_dev(dev: int) -> int:
    """``dev_t huge_decode_dev(u64 dev)``"""
    return new_decode_dev(dev & 0xFFFF_FFFF)
