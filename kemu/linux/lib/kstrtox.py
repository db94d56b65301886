# SPDX-License-Identifier: GPL-2.0-only
"""Numbers from strings (lib/kstrtox.c)."""
from __future__ import annotations

from kemu.linux.errno import EINVAL, ERANGE
from kemu.linux.port.honesty import dup
from kemu.linux.types import Ref

C = "lib/kstrtox.c"

_DIGITS = {c: i for i, c in enumerate("0123456789abcdef")} | {c: i + 10 for i, c in enumerate("ABCDEF")}


def _kstrtoull(s: str, base: int) -> int | None:
    """The value, None if this is not a number; one newline may follow. Larger than 64 bits: the true value."""
    if base == 0:
        base = 10
        if s[:1] == "0":
            base = 16 if s[1:2] in ("x", "X") and s[2:3] in _DIGITS and s[2:3] else 8
    if base == 16 and s[:1] == "0" and s[1:2] in ("x", "X"):
        s = s[2:]
    if s[-1:] == "\n":
        s = s[:-1]
    if not s or any(_DIGITS.get(c, 99) >= base for c in s):
        return None
    return int(s, base)


def _unsigned(s: str, base: int, res: Ref, bits: int) -> int:
    value = _kstrtoull(s[1:] if s[:1] == "+" else s, base)
    if value is None:
        return -EINVAL
    if value >> bits:
        return -ERANGE
    res.v = value
    return 0


def _signed(s: str, base: int, res: Ref, bits: int) -> int:
    if s[:1] == "-":
        value = _kstrtoull(s[1:], base)
        if value is not None:
            value = -value
    else:
        value = _kstrtoull(s[1:] if s[:1] == "+" else s, base)
    if value is None:
        return -EINVAL
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        return -ERANGE
    res.v = value
    return 0


@dup(C)
def kstrtoull(s: str, base: int, res: Ref) -> int:
    """``int kstrtoull(const char *s, unsigned int base, unsigned long long *res)``. Return: 0, -EINVAL, -ERANGE."""
    return _unsigned(s, base, res, 64)


@dup(C)
def kstrtoll(s: str, base: int, res: Ref) -> int:
    """``int kstrtoll(const char *s, unsigned int base, long long *res)``. Return: 0, -EINVAL, -ERANGE."""
    return _signed(s, base, res, 64)


@dup(C)
def kstrtouint(s: str, base: int, res: Ref) -> int:
    """``int kstrtouint(const char *s, unsigned int base, unsigned int *res)``. Return: 0, -EINVAL, -ERANGE."""
    return _unsigned(s, base, res, 32)


@dup(C)
def kstrtoint(s: str, base: int, res: Ref) -> int:
    """``int kstrtoint(const char *s, unsigned int base, int *res)``. Return: 0, -EINVAL, -ERANGE."""
    return _signed(s, base, res, 32)


@dup(C)
def kstrtobool(s: str | None, res: Ref) -> int:
    """``int kstrtobool(const char *s, bool *res)``: e(nable), y, t, 1, on / d(isable), n, f, 0, off. Return: 0, or -EINVAL."""
    if s is None:
        return -EINVAL
    if s[:1] in ("e", "E", "y", "Y", "t", "T", "1") or s[:2].lower() == "on":
        res.v = True
        return 0
    if s[:1] in ("d", "D", "n", "N", "f", "F", "0") or s[:2].lower() == "of":
        res.v = False
        return 0
    return -EINVAL
