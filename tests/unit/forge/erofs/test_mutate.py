# SPDX-License-Identifier: GPL-2.0-only
"""Damage is where its note says, and only there."""
from __future__ import annotations

from collections import Counter

import pytest

from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.mutate import KINDS, mutate
from kemu.forge.pick import Pick, SeedValues


def test_only_the_noted_bytes_change():
    for seed in range(500):
        pick = Pick(SeedValues(seed))
        image = choose_image(pick)
        made = mutate(image, pick)
        allowed: set[int] = set(range(1028, 1032)) if made.checksum_fixed else set()
        for m in made.mutations:
            allowed.update(range(m.offset, m.offset + m.size))
        cut = any(m.kind == "truncate" for m in made.mutations)
        assert len(made.data) == len(image.data) or (cut and len(made.data) < len(image.data))
        changed = {k for k, (a, b) in enumerate(zip(made.data, image.data)) if a != b}
        assert changed <= allowed, (seed, made)


def test_every_kind_happens_and_does_something():
    seen: Counter[str] = Counter()
    idle = 0
    for seed in range(800):
        pick = Pick(SeedValues(seed))
        image = choose_image(pick)
        made = mutate(image, pick, most=1)
        seen.update(m.kind for m in made.mutations)
        idle += made.data == image.data
    assert set(KINDS) <= set(seen)
    assert idle < 40, "a block copied over an equal one may change nothing, but rarely"


@pytest.mark.parametrize("kind", KINDS)
def test_a_chosen_kind(kind):
    found = 0
    for seed in range(60):
        pick = Pick(SeedValues(seed))
        made = mutate(choose_image(pick, ErofsOptions(max_nodes=12)), pick, most=1, kinds=(kind,))
        found += made.mutations[0].kind == kind
    assert found > 10


def test_notes_read_as_sentences():
    pick = Pick(SeedValues(3))
    made = mutate(choose_image(pick), pick, most=1, kinds=("super",))
    assert made.mutations[0].note.startswith("superblock: ") and " -> " in made.mutations[0].note
    assert "of EROFS image" in repr(made)
