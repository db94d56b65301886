# SPDX-License-Identifier: GPL-2.0-only
"""One list of configuration: the machine's defaults are those of the Linux rung's recipe."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from kemu.linux.kconfig import IS_ENABLED, config_value
from kemu.machine.config import DEFAULT_CONFIG, Config, flipped, survey, text
from kemu.machine.machine import Machine
from kemu.rung.uml import config as recipe

TOP = Path(__file__).parents[3]
# selected by something that the recipe does name
BY_SELECTION = {f"CONFIG_DECOMPRESS_{x}": f"CONFIG_RD_{x}" for x in ("GZIP", "BZIP2", "LZMA", "XZ", "LZO", "LZ4", "ZSTD")} | {
    "CONFIG_FS_POSIX_ACL": "CONFIG_TMPFS_POSIX_ACL"}
NOT_THERE = {"CONFIG_TRANSPARENT_HUGEPAGE": "UML has none"}


def asked() -> set[str]:
    """Options that the code asks for by name."""
    out = set(DEFAULT_CONFIG)
    for package in ("kemu/linux", "kemu/machine", "initramfs", "erofs_memback"):
        for path in (TOP / package).rglob("*.py"):
            if "harness" not in path.parts:
                out.update(re.findall(r"\"!?(CONFIG_[A-Z0-9_]+)\"", path.read_text()))
    return out


def test_both_rungs_have_one_configuration() -> None:
    there = recipe.settings(recipe.fragments("fast"))
    wrong = {o: (DEFAULT_CONFIG.get(o, False), there[o]) for o in asked() if o in there
             and bool(DEFAULT_CONFIG.get(o, False)) != (there[o] == "y")}
    assert wrong == {}


def test_every_default_is_in_the_recipe() -> None:
    there = recipe.settings(recipe.fragments("fast"))
    assert [o for o in DEFAULT_CONFIG if there.get(BY_SELECTION.get(o, o)) != "y" and o not in NOT_THERE] == []


def test_what_was_asked_is_kept() -> None:
    with Machine(config={"CONFIG_BUFFER_HEAD": True}) as m:
        assert (IS_ENABLED("CONFIG_BUFFER_HEAD") and not IS_ENABLED("CONFIG_NOT_NAMED")
                and config_value("CONFIG_BLK_DEV_RAM_COUNT", 16) == 16)
        assert m.config.asked == {"CONFIG_BUFFER_HEAD": True, "CONFIG_NOT_NAMED": False, "CONFIG_BLK_DEV_RAM_COUNT": 16}


@pytest.mark.parametrize(("value", "want"), [(True, "X=y"), (False, "X=n"), (None, "X=n"), (16, "X=16"), ("a", 'X="a"')])
def test_as_config_takes_it(value: object, want: str) -> None:
    assert text("X", value) == want and Config({"X": value})["X"] == value


def test_what_every_machine_has_is_told_as_long_as_it_has_it() -> None:
    assert flipped() == ()
    with survey({"CONFIG_TMPFS": False, "CONFIG_BLOCK": True}):
        assert flipped() == (("CONFIG_BLOCK", True), ("CONFIG_TMPFS", False))
        with Machine() as m:
            assert m.config.get("CONFIG_TMPFS") is False
    assert flipped() == ()
