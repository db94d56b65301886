# SPDX-License-Identifier: GPL-2.0-only
"""UUIDs (include/linux/uuid.h). A ``uuid_t`` is 16 bytes in ``.b``."""
from __future__ import annotations

from kemu.linux.port.honesty import custom, dup

P = "include/linux/uuid.h"

UUID_SIZE = 16
UUID_STRING_LEN = 36


@custom(P, "uuid_t", "b is Python bytes")
class uuid_t:
    """``uuid_t``"""

    __slots__ = ("b",)

    def __init__(self, b: bytes = bytes(UUID_SIZE)):
        self.b = bytes(b)

    def __str__(self) -> str:
        """As ``%pU`` prints it."""
        h = self.b.hex()
        return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


@dup(P)
def uuid_is_null(uuid: uuid_t) -> bool:
    """``bool uuid_is_null(const uuid_t *uuid)``"""
    return uuid.b == bytes(UUID_SIZE)


@dup(P)
def uuid_equal(u1: uuid_t, u2: uuid_t) -> bool:
    """``bool uuid_equal(const uuid_t *u1, const uuid_t *u2)``"""
    return u1.b == u2.b
