# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures that all tests share."""
from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from kemu.machine.machine import Machine
from kemu.machine.splat import Splat
from kemu.rung.uml.errors import RungError
from kemu.rung.uml.tree import Tree, find_tree

settings.register_profile("kemu", deadline=None, max_examples=60,
                          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
                          database=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "kemu"))

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parent.parent.parent / "shared"


@pytest.fixture(autouse=True, scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests find is not kept in the folder of who runs them."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["XDG_STATE_HOME"]
    else:
        os.environ["XDG_STATE_HOME"] = before


@pytest.fixture(scope="session")
def tree() -> Tree:
    """A kernel tree: $KEMU_TREE, or the one that ``kemu linux fetch`` keeps; skips where there is none."""
    try:
        return find_tree(os.environ.get("KEMU_TREE"))
    except RungError as e:
        pytest.skip(str(e))


@pytest.fixture
def machine() -> Iterator[Machine]:
    """One machine with default settings."""
    with Machine() as m:
        yield m


@contextmanager
def raises_splat(title: str, **facts: int) -> Iterator[list[Splat]]:
    """The block must end in a report whose first line contains ``title`` and whose facts are these."""
    got: list[Splat] = []
    with pytest.raises(Splat) as info:
        yield got
    got.append(info.value)
    assert title in info.value.title, f"{info.value.title!r} does not contain {title!r}"
    for name, value in facts.items():
        assert info.value.facts.get(name) == value, f"{name}: {info.value.facts.get(name)!r} instead of {value!r}"
