# SPDX-License-Identifier: GPL-2.0-only
"""SHA-256 (include/crypto/sha2.h)."""
from __future__ import annotations

import hashlib
from typing import Any

from kemu.linux.include.string import mem_read
from kemu.linux.port.honesty import custom

P = "include/crypto/sha2.h"

SHA256_DIGEST_SIZE = 32
_STEP = 1 << 20


@custom(P, "sha256_ctx", "the state is the library's")
class sha256_ctx:
    """``struct sha256_ctx``"""

    __slots__ = ("hash",)

    def __init__(self) -> None:
        self.hash: Any = None


@custom(P, "sha256_init", "by a library")
def sha256_init(ctx: sha256_ctx) -> None:
    """``void sha256_init(struct sha256_ctx *ctx)``"""
    ctx.hash = hashlib.sha256()


@custom(P, "sha256_update", "bytes as well as an address")
def sha256_update(ctx: sha256_ctx, data: int | bytes, len_: int) -> None:
    """``void sha256_update(struct sha256_ctx *ctx, const u8 *data, size_t len)``: Context: any."""
    if isinstance(data, bytes):
        ctx.hash.update(data[:len_])
        return
    for at in range(0, len_, _STEP):
        ctx.hash.update(mem_read(data + at, min(_STEP, len_ - at)))


@custom(P, "sha256_final", "gives the digest")
def sha256_final(ctx: sha256_ctx) -> bytes:
    """``void sha256_final(struct sha256_ctx *ctx, u8 out[SHA256_DIGEST_SIZE])``"""
    out: bytes = ctx.hash.digest()
    return out


@custom(P, "sha256", "gives the digest")
def sha256(data: int, len_: int) -> bytes:
    """``void sha256(const u8 *data, size_t len, u8 out[SHA256_DIGEST_SIZE])``"""
    ctx = sha256_ctx()
    sha256_init(ctx)
    sha256_update(ctx, data, len_)
    return sha256_final(ctx)
