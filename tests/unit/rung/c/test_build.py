# SPDX-License-Identifier: GPL-2.0-only
"""What a library of the C rung is made of: its key."""
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kemu.rung.c import build
from kemu.rung.c.flavours import FLAVOURS
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.tree import Tree


class Named(Recipe):
    """A recipe whose key needs no tree and no compiler."""

    def key(self) -> str:
        """The same always."""
        return "recipe"


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Named(Tree(tmp_path))


@pytest.mark.parametrize("name", sorted(FLAVOURS))
def test_every_flavour_has_a_key_of_the_sources_as_they_are(recipe: Recipe, name: str) -> None:
    assert len(build._key(recipe, FLAVOURS[name])) == 16


def test_the_flavours_have_keys_of_their_own(recipe: Recipe) -> None:
    assert len({build._key(recipe, flavour) for flavour in FLAVOURS.values()}) == len(FLAVOURS)


@pytest.mark.parametrize(("folder", "file"), [("AGENT", "walk.c"), ("AGENT", "agent.h"), ("RUNTIME", "x.c"), ("MODULE", "x.h")])
def test_another_source_gives_another_key(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str,
                                          file: str) -> None:
    sources = tmp_path / folder
    (sources / "deeper").mkdir(parents=True)
    (sources / "deeper" / "program.c").write_text("not of this rung")
    (sources / file).write_text("one")
    monkeypatch.setattr(build, folder, sources)
    before = build._key(recipe, FLAVOURS["plain"])
    (sources / "deeper" / "program.c").write_text("another")
    assert build._key(recipe, FLAVOURS["plain"]) == before
    (sources / file).write_text("two")
    assert build._key(recipe, FLAVOURS["plain"]) != before


def test_what_objects_are_compiled_with_names_no_checkout() -> None:
    for flavour in FLAVOURS.values():
        assert not [flag for flag in (*flavour.flags(), *flavour.tested) if "/" in flag], flavour.name


def test_a_library_in_use_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "KEEP", 1)
    monkeypatch.setattr(build, "_pins", {})
    stores = [tmp_path / f"{i:016x}" for i in range(4)]
    for i, store in enumerate(stores):
        store.mkdir()
        (store / "kemu.so").write_bytes(b"x")
        (store / "meta.json").write_text(json.dumps({"size": 1, "flavour": "plain", "version": "7.2", "source": "/", "traps": [],
                                                     "warnings": [], "watched": []}))
        os.utime(store, (i, i))
    used = build._stored(stores[0])
    assert used is not None
    os.utime(stores[0], (0, 0))
    build._forget_old(tmp_path)
    assert [s.exists() for s in stores] == [True, False, False, True]
