# SPDX-License-Identifier: GPL-2.0-only
"""Tokens: round trip, shortness, damage."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemu.explore import token
from kemu.explore.chooser import Choice, shape

choices = st.lists(st.builds(lambda name, low, width, offset: Choice(name, low, low + width, low + min(offset, width)),
                             st.sampled_from(["at", "kind", "fault", "page size"]), st.integers(-5, 5), st.integers(1, 2**32),
                             st.one_of(st.just(0), st.just(0), st.integers(0, 40), st.integers(0, 2**32))), max_size=80)


def _trimmed(draws: list[Choice]) -> list[int]:
    out = [c.offset for c in draws]
    while out and not out[-1]:
        out.pop()
    return out


@given(choices)
def test_choices_come_back(draws: list[Choice]) -> None:
    t = token.decode(token.of_choices("some.experiment", draws))
    assert t.experiment == token.experiment_id("some.experiment")
    assert t.seed is None
    assert t.offsets == _trimmed(draws)
    for c, s in zip(draws, t.shapes):
        assert s == (shape(c) if c.offset else -1)


@given(st.integers(0, 2**64 - 1))
def test_seeds_come_back(seed: int) -> None:
    assert token.decode(token.of_seed("x", seed)).seed == seed


def test_shrunk_runs_are_short() -> None:
    draws = [Choice("c", 0, 9, 0)] * 30 + [Choice("at", 0, 4095, 511), Choice("kind", 0, 5, 2)] + [Choice("fault", 0, 1000, 7)]
    assert len(token.of_choices("memback.same-bytes", draws)) <= 17


def test_tokens_are_fixed() -> None:
    """These words stand in bug reports: they must never mean anything else."""
    assert token.of_seed("memback.same-bytes", 155) == "c2tf-s21rb"
    assert token.of_choices("x", [Choice("b", 0, 4095, 511)]) == "5nrh-crkzr8"


@given(choices, st.integers(0, 200), st.sampled_from(token.ALPHABET))
def test_a_wrong_character_is_noticed(draws: list[Choice], at: int, char: str) -> None:
    text = token.of_choices("x", draws)
    i = at % len(text)
    if text[i] in ("-", char):
        return
    damaged = text[:i] + char + text[i + 1:]
    try:
        t = token.decode(damaged)
    except token.TokenError:
        return
    # one check character of 32: what slips through must still be a well-formed token
    assert t.seed is not None or all(n >= 0 for n in t.offsets)


@pytest.mark.parametrize("text", ["", "x", "7fq2", "7fq2-", "7fq2-c", "7f-c0", "7fq2-!!", "ééé", "7fq2-z00", "7fq2-" + "c" * 300,
                                  "a b c d"])
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(token.TokenError):
        token.decode(text)


def test_case_and_lookalikes_do_not_matter() -> None:
    text = token.of_seed("x", 123456)
    assert token.decode(text.upper().replace("0", "O").replace("1", "I")).seed == 123456
