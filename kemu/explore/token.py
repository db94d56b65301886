# SPDX-License-Identifier: GPL-2.0-only
"""Replay tokens: a run as a short word.

    k3xq-s4v          experiment ``k3xq``, choices from seed 155
    k3xq-c0g2m1h      experiment ``k3xq``, these choices; what is not listed is the simplest choice
    k3xq-h4m0...      the hash of a longer one, which is kept on disk (:mod:`kemu.report.store.tokens`)

The part before the dash is a hash of the experiment's name. The rest holds bits in Crockford's base 32 (no i, l, o, u; case does
not matter) and ends with a check character. Choices are written as (number of simple choices skipped, how far from the simplest,
three bits that tell what was asked for), so a shrunk run is a short token. A run whose questions have changed since is replayed
all the same: what no longer fits is cut to what fits, and the first place where that is so is named.
"""
from __future__ import annotations

import hashlib
from typing import NamedTuple

from kemu.explore.chooser import Choice, shape

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUE = {c: i for i, c in enumerate(ALPHABET)} | {"i": 1, "l": 1, "o": 0, "u": 27}
MAX_CHOICES = 1 << 20


class TokenError(ValueError):
    """Not a token; the message says why."""


class Token(NamedTuple):
    """A decoded token: a seed, or choices (offsets from the simplest) with what is remembered about each (-1: nothing)."""

    experiment: str
    seed: int | None
    offsets: list[int]
    shapes: list[int]


def experiment_id(name: str) -> str:
    """The four characters before the dash."""
    return _word(int.from_bytes(hashlib.sha256(name.encode()).digest()[:3], "big") >> 4, 4)


def _word(n: int, length: int) -> str:
    return "".join(ALPHABET[n >> 5 * i & 31] for i in reversed(range(length)))


class _Bits:
    """Bits written and read, with Elias delta codes for numbers."""

    def __init__(self, text: str = ""):
        self.bits: list[int] = []
        self.at = 0
        for c in text:
            v = _VALUE[c]
            self.bits += [v >> i & 1 for i in (4, 3, 2, 1, 0)]

    def put(self, n: int, width: int) -> None:
        self.bits += [n >> i & 1 for i in reversed(range(width))]

    def put_number(self, n: int) -> None:
        """Elias delta code of n + 1: 1 bit for 0, 4 for 1 and 2, 9 for 15, 42 for 2**32."""
        n += 1
        length = n.bit_length()
        k = length.bit_length()
        self.put(0, k - 1)
        self.put(length, k)
        self.put(n & ((1 << length - 1) - 1), length - 1)

    def get(self, width: int) -> int:
        if self.at + width > len(self.bits):
            raise EOFError
        n = 0
        for b in self.bits[self.at:self.at + width]:
            n = n << 1 | b
        self.at += width
        return n

    def get_number(self) -> int:
        zeros = 0
        while not self.get(1):
            zeros += 1
            if zeros > 6:
                raise EOFError
        length = 1 << zeros | self.get(zeros)
        return (1 << length - 1 | self.get(length - 1)) - 1

    def text(self) -> str:
        bits = self.bits + [0] * (-len(self.bits) % 5)
        return "".join(ALPHABET[int("".join(map(str, bits[i:i + 5])), 2)] for i in range(0, len(bits), 5))


def _check(text: str) -> str:
    return _word(int.from_bytes(hashlib.sha256(text.encode()).digest()[:1], "big") >> 3, 1)


def _finish(experiment: str, body: str) -> str:
    return f"{experiment}-{body}{_check(experiment + body)}"


def of_seed(name: str, seed: int) -> str:
    """The token of experiment ``name`` run from ``seed``."""
    b = _Bits()
    b.put_number(seed)
    return _finish(experiment_id(name), "s" + b.text())


def of_choices(name: str, draws: list[Choice]) -> str:
    """The token of experiment ``name`` run with these choices."""
    b = _Bits()
    skipped = 0
    for c in draws:
        if not c.offset:
            skipped += 1
            continue
        b.put(1, 1)
        b.put_number(skipped)
        b.put_number(c.offset - 1)
        b.put(shape(c), 3)
        skipped = 0
    return _finish(experiment_id(name), "c" + b.text().rstrip("0"))


def short(text: str) -> str:
    """The short token that stands for a long one."""
    head = text.partition("-")[0]
    return _finish(head, "h" + _word(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 4, 12))


def normal(text: str) -> str:
    """A token as it is written, without spaces; what is no token stays as it is."""
    return "".join(text.split()).lower()


def is_short(text: str) -> bool:
    """Whether a token is one that stands for a longer one."""
    head, _, body = text.partition("-")
    return len(head) == 4 and len(body) == 14 and body[0] == "h" and _check(head + body[:-1]) == body[-1]


def decode(text: str) -> Token:
    """The parts of a token. ``TokenError``: it is none, or a character was changed."""
    word = normal(text)
    head, dash, body = word.partition("-")
    body = body.replace("-", "")
    if not dash or len(head) != 4 or len(body) < 2 or any(c not in _VALUE for c in head + body):
        raise TokenError(f"{text!r} is not a token; tokens look like k3xq-c0g2m1h")
    head = "".join(ALPHABET[_VALUE[c]] for c in head)
    body = "".join(ALPHABET[_VALUE[c]] for c in body)
    body, check = body[:-1], body[-1]
    if _check(head + body) != check:
        raise TokenError(f"{text!r}: a character of this token is wrong or missing")
    try:
        if body[0] == "s":
            return Token(head, _Bits(body[1:]).get_number(), [], [])
        if body[0] == "c":
            return Token(head, None, *_choices(body[1:]))
    except EOFError:
        pass
    raise TokenError(f"{text!r}: this token is of a kind that this version does not know")


def _choices(text: str) -> tuple[list[int], list[int]]:
    # trailing zeros were dropped: enough of them back for the last entry to be complete
    b = _Bits(text + "0" * 20)
    offsets: list[int] = []
    shapes: list[int] = []
    while b.at < len(text) * 5 and any(b.bits[b.at:]):
        if not b.get(1):
            raise EOFError
        gap = b.get_number()
        if len(offsets) + gap > MAX_CHOICES:
            raise EOFError
        offsets += [0] * gap
        shapes += [-1] * gap
        offsets.append(b.get_number() + 1)
        shapes.append(b.get(3))
    return offsets, shapes
