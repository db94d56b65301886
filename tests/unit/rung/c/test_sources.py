# SPDX-License-Identifier: GPL-2.0-only
"""What is linked is named once, and initcalls are called in the order of their levels."""
from __future__ import annotations

from kemu.rung.c.sources import FOLDERS, INITCALLS, OBJECTS, UNDER_TEST


def test_an_object_is_named_once() -> None:
    assert len(OBJECTS) == len(set(OBJECTS))
    assert not [o for o in OBJECTS if any(o.startswith(f"{folder}/") for folder in FOLDERS)]


def test_what_is_under_test_is_linked() -> None:
    for prefix in UNDER_TEST:
        assert prefix.rstrip("/") in FOLDERS or f"{prefix}.o" in OBJECTS


def test_the_file_system_comes_last() -> None:
    assert INITCALLS[-1] == "erofs_module_init"
