# SPDX-License-Identifier: GPL-2.0-only
"""``kemu linux --series``: several stack in the order given, as everywhere else."""
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kemu.cli import linux
from kemu.rung.uml.errors import ConfigError

PATCH = "Subject: [PATCH] {n}\n\n---\n--- a/fs/erofs/dir.c\n+++ b/fs/erofs/dir.c\n@@ -1 +1 @@\n-{old}\n+{new}\n"


def _args(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    linux.add_arguments(parser)
    return parser.parse_args(["config", *words])


def test_several_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "tree_of", lambda args: "the tree")
    names = []
    for n, (old, new) in enumerate((("a", "b"), ("b", "c"))):
        path = tmp_path / f"000{n}-x.patch"
        path.write_text(PATCH.format(n=n, old=old, new=new))
        names.append(str(path))
    recipe = linux.recipe_of(_args("--series", names[0], "--series", names[1], "--config", "CONFIG_X=y"))
    assert [p.subject for p in recipe.patches] == ["[PATCH] 0", "[PATCH] 1"] and recipe.extra == ("CONFIG_X=y",)
    assert linux.recipe_of(_args()).patches == ()
    with pytest.raises(ConfigError, match="given twice"):
        linux.recipe_of(_args("--series", names[0], "--series", names[0]))
