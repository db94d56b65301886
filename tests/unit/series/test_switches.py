# SPDX-License-Identifier: GPL-2.0-only
"""What a series adds to Kconfig is read off its diffs."""
from __future__ import annotations

from kemu.rung.uml.patches import Patch
from kemu.series.switches import Switches, added

_HEAD = "--- a/init/Kconfig\n+++ b/init/Kconfig\n@@ -1,3 +1,9 @@\n"


def of(text: str, head: str = _HEAD) -> dict[str, list[str]]:
    return added([Patch("p", "p", (head + text).encode())])


def test_a_symbol_and_what_it_needs() -> None:
    text = ('+config NEW\n+\tbool "new"\n+\tdepends on EROFS_FS=y\n+\tdepends on OVERLAY_FS && !MMU && KUNIT=y && A=n && BLOCK\n'
            '+\thelp\n+\t  what it is\n+\n config OLD\n')
    assert of(text) == {"NEW": ["EROFS_FS", "OVERLAY_FS", "KUNIT", "BLOCK"]}


def test_one_without_a_prompt_is_not_to_be_switched_on() -> None:
    assert of("+config HIDDEN\n+\tbool\n+\tdefault y\n") == {}


def test_one_that_moves_is_not_new() -> None:
    assert of('-config MOVED\n-\tbool "moved"\n+config MOVED\n+\tbool "moved"\n') == {}


def test_another_file_has_none() -> None:
    assert of('+config NEW\n+\tbool "new"\n', "--- a/D/x.rst\n+++ b/D/x.rst\n@@ -0,0 +1,2 @@\n") == {}


def test_either_of_two_is_not_chosen_for() -> None:
    assert of('+config NEW\n+\ttristate "new"\n+\tdepends on A || B\n') == {"NEW": []}


def test_what_is_said() -> None:
    assert Switches().notes() == []
    said = Switches(("CONFIG_A=y", "CONFIG_B=y"), ("CONFIG_C",)).notes()
    assert said[0].startswith("CONFIG_A, CONFIG_B: switched on")
    assert said[1].startswith("CONFIG_C, which the series adds, cannot")
