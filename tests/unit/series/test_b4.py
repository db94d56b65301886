# SPDX-License-Identifier: GPL-2.0-only
"""b4's protocol for checks: numbers of a mail, what the tracking file says, statuses that b4 knows."""
from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kemu.cli import main
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.series import Finding
from kemu.series import b4


@pytest.mark.parametrize(("subject", "numbers"), [
    ("[PATCH] erofs: x", (1, 1)), ("[PATCH 2/3] erofs: x", (2, 3)), ("[PATCH RFC v4 02/13] erofs: 1/2 of it", (2, 13)),
    ("[PATCH 0/3] erofs: x", (0, 3)), ("[erofs][PATCH v2 3/4] x", (3, 4)), ("erofs: halve it, 1/2]", (1, 1)), ("", (1, 1)),
    ("=?utf-8?q?=5BPATCH_2/3=5D_erofs=3A_=C3=A4?=", (2, 3)), ("[PATCH RFC 1/2] erofs: a long one\n that is folded", (1, 2))])
def test_the_numbers_of_a_mail(subject: str, numbers: tuple[int, int]) -> None:
    mail = b4.mail_of(f"From: A <a@example.org>\nSubject: {subject}\n\n---\n".encode())
    assert (mail.at, mail.of) == numbers


def test_every_status_is_one_that_b4_knows() -> None:
    rows = json.loads(b4.as_json([Finding("apply", "success", "applies"), Finding("sparse", "warning", "x", "1.patch"),
                                  Finding("build", "fail", "y")]))
    assert [r["status"] for r in rows] == ["pass", "warn", "fail"]
    assert all(set(r) == {"tool", "status", "summary", "url", "details"} for r in rows)


def test_a_series_is_a_line_for_each_tool() -> None:
    rows = b4.whole([Finding("apply", "success", "applies", "1"), Finding("apply", "success", "applies", "2"),
                     Finding("checkpatch", "warning", "CHECK: a", "1"), Finding("checkpatch", "fail", "ERROR: b", "2"),
                     Finding("checkpatch", "warning", "CHECK: c", "2")])
    assert [(r.tool, r.status, r.summary) for r in rows] == [("apply", "success", "applies (and 1 more)"),
                                                             ("checkpatch", "fail", "2: ERROR: b")]
    assert "warning: 1: CHECK: a" in rows[1].details


def git(folder: Path, *args: str) -> str:
    return subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", str(folder), *args], check=True,
                          capture_output=True, text=True).stdout.strip()


@pytest.fixture
def review(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, object]]:
    """A git tree with a branch as ``b4 review`` leaves it: the base, three patches, an empty commit of its own."""
    if not shutil.which("git"):
        pytest.skip("no git")
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "a").write_text("one\n")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-qm", "base")
    base = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "checkout", "-qb", "b4/review/20260618-thing-0ae2448ba2cc")
    for n in "123":
        (tmp_path / "a").write_text((tmp_path / "a").read_text() + n + "\n")
        git(tmp_path, "commit", "-qam", f"patch {n}")
    first = git(tmp_path, "rev-parse", "HEAD~2")
    git(tmp_path, "commit", "-qm", "tracking", "--allow-empty")
    git(tmp_path, "checkout", "-q", "main")
    series = {"change-id": "20260618-thing-0ae2448ba2cc", "base-commit": base, "first-patch-commit": first}
    return tmp_path, series


def told(folder: Path, what: object, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "tracking.json").write_text(what if isinstance(what, str) else json.dumps(what))
    monkeypatch.setenv("B4_TRACKING_FILE", str(folder / "tracking.json"))


def test_the_patches_of_a_tracked_series(review: tuple[Path, dict[str, object]], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, series = review
    assert b4.tracked(folder) == []                     # b4 has not said where
    told(folder, {"series": series}, monkeypatch)
    assert [p.subject.rpartition("] ")[2] for p in b4.tracked(folder)] == ["patch 1", "patch 2", "patch 3"]
    told(folder, {"series": {**series, "first-patch-commit": ""}}, monkeypatch)
    assert len(b4.tracked(folder)) == 3                 # from the base then
    told(folder, {"series": {"change-id": series["change-id"]}}, monkeypatch)
    assert b4.tracked(folder) == []


@pytest.mark.parametrize("what", ["", "[]", "{", '{"series": 3}'])
def test_a_tracking_file_that_is_none(tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told(tmp_path, what, monkeypatch)
    with pytest.raises(ConfigError, match="B4_TRACKING_FILE .*: not b4's"):
        b4.tracked(tmp_path)


@pytest.mark.parametrize("series", [
    {"change-id": "--output=x", "first-patch-commit": "0" * 40}, {"change-id": "a b", "first-patch-commit": "0" * 40},
    {"change-id": "x", "first-patch-commit": "HEAD", "base-commit": "--all"}])
def test_no_option_of_git_comes_from_it(tmp_path: Path, series: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    told(tmp_path, {"series": series}, monkeypatch)
    assert b4.tracked(tmp_path) == []


def check(mail: str, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> tuple[int, list[tuple[str, str, str]]]:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(mail.encode())))
    code = main(["series", "check", "-", "--json", "--tree", "."])
    rows = json.loads(capsys.readouterr().out)
    return code, [(r["tool"], r["status"], r["summary"].rpartition(": ")[2]) for r in rows if r["tool"] == "apply"]


def test_what_b4_is_told_of_each_mail(review: tuple[Path, dict[str, object]], monkeypatch: pytest.MonkeyPatch,
                                      capsys: Any) -> None:
    folder, series = review
    (folder / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 2\nSUBLEVEL = 13\nEXTRAVERSION =\n")
    (folder / "arch" / "um").mkdir(parents=True)
    (folder / "arch" / "um" / "Kconfig").write_text("")
    monkeypatch.chdir(folder)
    mails = git(folder, "format-patch", "--stdout", "--cover-letter", "main..b4/review/20260618-thing-0ae2448ba2cc~1")
    cover, *patches = (m if m.startswith("From ") else "From " + m for m in re.split("\n(?=From [0-9a-f]{40} )", mails))
    assert len(patches) == 3
    applies = ("apply", "pass", "applies to Linux 7.2.13")
    assert check(patches[0], monkeypatch, capsys) == (0, [applies])
    assert check(patches[2], monkeypatch, capsys) == (
        0, [("apply", "warn", "it is patch 3 of 3, and those before it are not here")])
    assert check(cover, monkeypatch, capsys) == (0, [])
    told(folder, {"series": series}, monkeypatch)
    assert check(patches[2], monkeypatch, capsys) == (0, [applies])
    assert check(cover, monkeypatch, capsys) == (0, [("apply", "pass", "applies to Linux 7.2.13 (and 2 more)")])
    code, rows = check(patches[2].replace("\n 2\n", "\n 7\n"), monkeypatch, capsys)
    assert code == 1 and rows[0][1] == "fail"
