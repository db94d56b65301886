# SPDX-License-Identifier: GPL-2.0-only
"""Bytes as choices."""
from __future__ import annotations

import pytest

from kemu.explore.chooser import Choices
from kemu.explore.source import ListSource
from kemu.forge.pick import Pick
from kemu.series.review.words import bytes_of, put


@pytest.mark.parametrize("data", [b"", b"1", b"12345678", bytes(range(256)) + b"\0"])
def test_what_is_put_is_drawn(data: bytes) -> None:
    out: list[int] = []
    put(out, data)
    assert bytes_of(Pick(Choices(ListSource(out))), "data", 1000) == data
