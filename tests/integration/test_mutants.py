# SPDX-License-Identifier: GPL-2.0-only
"""The bugs that are put back still apply to the code as it is written today: a line that is wrapped anew would lose them."""
from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.quality.mutants
from tests.quality.mutants import layered_museum

MODULES = sorted(info.name for info in pkgutil.iter_modules(tests.quality.mutants.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_every_hunk_of_a_mutant_applies(name: str) -> None:
    importlib.import_module(f"tests.quality.mutants.{name}")


def test_none_of_the_layered_ones_is_lost() -> None:
    assert layered_museum.broken == {}
    assert len(layered_museum.mutants) > 60
