# SPDX-License-Identifier: GPL-2.0-only
"""SHA-256 (include/crypto/sha2.h)."""
from __future__ import annotations

import hashlib

from kemu.linux.honesty import custom
from kemu.linux.string import mem_read


@custom("include/crypto/sha2.h", "sha256", "gives the digest")
def sha256(data: int, len_: int) -> bytes:
    """``void sha256(const u8 *data, size_t len, u8 out[SHA256_DIGEST_SIZE])``"""
    h = hashlib.sha256()
    step = 1 << 20
    for at in range(0, len_, step):
        h.update(mem_read(data + at, min(step, len_ - at)))
    return h.digest()
