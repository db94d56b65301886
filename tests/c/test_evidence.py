# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series evidence`` of C patches: counts of the review, and of the changed lines that ran."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kemu.cli import main
from kemu.rung.c.build import Library

PATCHES = Path(__file__).parent / "review"


@pytest.mark.parametrize(("patch", "holds"), [("right/r-goto.patch", True), ("wrong/w-width.patch", False)])
def test_of_a_patch(patch: str, holds: bool, library: Any, capsys: Any) -> None:
    assert isinstance(library("asan"), Library)
    code = main(["series", "evidence", str(PATCHES / patch), "--seconds", "40" if not holds else "10", "--json"])
    told = json.loads(capsys.readouterr().out)
    claims = {c["what"]: c for c in told["claims"]}
    assert code == (0 if holds else 1) and told["holds"] is holds
    assert claims["applies"]["counts"] == {"patches": 1, "files": 1, "remarks": 0}
    assert claims["C"]["counts"]["trials"] > 20 and bool(claims["C"]["counts"]["findings"]) is not holds
    assert 0 < claims["covered"]["counts"]["ran"] <= claims["covered"]["counts"]["lines"]
    assert any("--boot" in text for text in told["untested"])
