# SPDX-License-Identifier: GPL-2.0-only
"""Forged images with page cache sharing: the table, the features, the checksum, and what is left as it was."""
from __future__ import annotations

import struct

import pytest

from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.plan import PlanError
from kemu.forge.erofs.shared import FINGERPRINT, choose_shared, share_by
from kemu.forge.erofs.writer import fix_checksum
from kemu.forge.pick import Pick, SeedValues

SMALL = ErofsOptions(max_nodes=4, max_blocks=2, max_bytes=1 << 13)


def field(data: bytes, at: int, code: str) -> int:
    return int(struct.unpack_from("<" + code, data, 1024 + at)[0])


@pytest.mark.parametrize("seed", range(8))
def test_the_table_stands_behind_the_image(seed: int) -> None:
    plain = choose_image(Pick(SeedValues(seed)), SMALL).data
    data = share_by(plain, FINGERPRINT)
    assert field(data, 8, "I") == field(plain, 8, "I") | 0x30 and field(data, 80, "I") == field(plain, 80, "I") | 0x40
    assert (field(data, 91, "B"), field(data, 105, "B")) == (1, 0)
    start = field(data, 92, "I") * 4
    assert start >= len(plain) and data[start:start + 3 + len(b"fingerprint")] == b"\x0c\x00\x01fingerprint"
    assert data[1024 + 128:len(plain)] == plain[1024 + 128:] and len(data) % 4096 == 0
    again = bytearray(data)
    if data[1032] & 1:
        fix_checksum(again)
    assert again == data


def test_a_table_that_is_there_is_not_replaced() -> None:
    data = share_by(choose_image(Pick(SeedValues(1)), SMALL).data, FINGERPRINT)
    with pytest.raises(PlanError, match="long prefixes already"):
        share_by(data, FINGERPRINT)


def test_most_files_have_one_of_two_fingerprints() -> None:
    images = [choose_shared(Pick(SeedValues(seed)), SMALL) for seed in range(12)]
    assert sum(b"fingerprint" in data[1024:-4096] for data in images) > 6
    assert sum(b"a" * 32 in data for data in images) >= 2 and sum(b"b" * 32 in data for data in images) >= 2
    assert images == [choose_shared(Pick(SeedValues(seed)), SMALL) for seed in range(12)]
