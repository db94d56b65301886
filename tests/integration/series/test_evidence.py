# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series evidence`` of a Python Series: what speaks for it, and what against it."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kemu.cli import main

SERIES = """
from kemu.linux.port.series import Series
from erofs_memback import super

series = Series("mine", ("erofs_memback",))
series.edits(super.erofs_fc_fill_super, ("    sbi.dir_ra_bytes = EROFS_DIR_RA_BYTES\\n",
                                         "    sbi.dir_ra_bytes = WHAT\\n"))
"""


def evidence(tmp_path: Path, capsys: Any, what: str) -> tuple[int, dict[str, Any]]:
    file = tmp_path / f"mine_{len(what)}.py"
    file.write_text(SERIES.replace("WHAT", what))
    code = main(["series", "evidence", str(file), "--seconds", "3", "--workers", "1", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_right_one(tmp_path: Path, capsys: Any) -> None:
    code, told = evidence(tmp_path, capsys, "sb.s_blocksize")
    (claim,) = told["claims"]
    assert (code, told["holds"], claim["what"], claim["holds"]) == (0, True, "port", True)
    assert claim["counts"]["examples"] > 20 and claim["counts"]["experiments"] > 5 and claim["counts"]["findings"] == 0
    assert any(text.startswith("C: it has no patches") for text in told["untested"])


def test_one_that_oopses(tmp_path: Path, capsys: Any) -> None:
    code, told = evidence(tmp_path, capsys, "sb.s_bdev.bd_disk.part0")
    assert code == 1 and not told["holds"] and told["claims"][0]["counts"]["findings"]
    assert "BUG" in told["claims"][0]["said"]


@pytest.mark.parametrize(("given", "says"), [
    ("./no/such.py", "no such file"), ("kemu.explore.token", "no Series in it"), ("-", "no patch in it")])
def test_what_is_none(given: str, says: str, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Subject: hello\n\nno diff\n")))
    assert main(["series", "evidence", given]) == 3
    assert says in capsys.readouterr().err
