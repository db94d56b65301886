# SPDX-License-Identifier: GPL-2.0-only
"""Choices: fixed for ever, and simple at their low end."""
from __future__ import annotations

from kemu.forge.content import KINDS, content
from kemu.forge.crc32c import crc32c
from kemu.forge.pick import Pick, SeedValues, splitmix64


class Lowest:
    """Always the simplest choice."""

    def value(self, name: str, low: int, high: int) -> int:
        return low


def test_splitmix64_is_the_published_one():
    state, out = splitmix64(1234567)
    assert out == 6457827717110365317
    assert splitmix64(state)[1] == 3203168211198807973


def test_same_seed_same_choices():
    one, two = Pick(SeedValues(99)), Pick(SeedValues(99))
    assert [one.int("x", 0, 1000) for _ in range(50)] == [two.int("x", 0, 1000) for _ in range(50)]


def test_a_choice_is_in_its_range():
    pick = Pick(SeedValues(5))
    seen = {pick.int("x", 3, 7) for _ in range(300)}
    assert seen == {3, 4, 5, 6, 7}


def test_the_simplest_choices():
    pick = Pick(Lowest())
    assert not pick.rare("r", 5)
    assert pick.one_of("o", "abc") == "a"
    assert pick.several("s", 0, 9, lambda: 1) == []
    assert pick.several("s", 2, 9, lambda: 1) == [1, 1]
    assert pick.shuffled("k", 5) == [0, 1, 2, 3, 4]


def test_shuffled_is_a_permutation():
    pick = Pick(SeedValues(1))
    assert sorted(pick.shuffled("k", 20)) == list(range(20))


def test_a_longer_content_starts_with_a_shorter_one():
    for kind in KINDS:
        long = content(kind, 2, 9000)
        assert len(long) == 9000
        for n in (0, 1, 15, 16, 17, 1023, 1024, 1025, 5000):
            assert content(kind, 2, n) == long[:n], (kind, n)


def test_ruler_says_tag_and_offset():
    assert content("ruler", 3, 64)[32:48] == b"0003:000000020 \n"


def slow_crc32c(crc: int, data: bytes) -> int:
    for b in data:
        crc ^= b
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc


def test_crc32c():
    assert crc32c(0xFFFFFFFF, b"123456789") ^ 0xFFFFFFFF == 0xE3069283
    for n in (0, 1, 2, 3, 100, 1001):
        for zeros in (0, 1, 2, 77, 4096):
            data = content("noise", n, n) + bytes(zeros)
            assert crc32c(5, data) == slow_crc32c(5, data)
