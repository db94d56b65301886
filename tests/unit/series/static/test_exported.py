# SPDX-License-Identifier: GPL-2.0-only
"""What a module may take from the kernel."""
from __future__ import annotations

from pathlib import Path

import pytest

from kemu.series.static.exported import exported, may_be_a_module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "fs" / "some").mkdir(parents=True)
    (tmp_path / "mm").mkdir()
    (tmp_path / "fs" / "Makefile").write_text("obj-$(CONFIG_SOME_FS) += some/\n")
    (tmp_path / "fs" / "some" / "Makefile").write_text("obj-$(CONFIG_SOME_FS) += some.o\nsome-objs := super.o\n")
    (tmp_path / "mm" / "a.c").write_text("int f(void);\nEXPORT_SYMBOL_GPL(f);\nint g(void);\nint f_more(void);\n")
    (tmp_path / "mm" / "b.c").write_text("EXPORT_SYMBOL_NS_GPL(h, \"X\");\n")
    return tmp_path


@pytest.mark.parametrize(("kind", "may"), [("tristate", True), ("bool", False)])
def test_only_a_tristate_is_a_module(source: Path, kind: str, may: bool) -> None:
    (source / "fs" / "some" / "Kconfig").write_text(f"config SOME_FS\n\t{kind} \"Some\"\n")
    assert may_be_a_module(source, "fs/some/super.o") is may


def test_what_is_exported(source: Path) -> None:
    assert exported(source, "f", "mm/a.o") and exported(source, "h", "mm/a.o")     # beside it
    assert not exported(source, "g", "mm/a.o") and not exported(source, "f_more", "mm/a.o")
