# SPDX-License-Identifier: GPL-2.0-only
"""Where a run parts from its base's, and which findings are one fault."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

from kemu.explore import group
from kemu.explore.experiment import Experiment, experiment, load_entry_points, registry
from kemu.explore.finding import Finding
from kemu.explore.group import grouped
from kemu.explore.parting import Parting, Return, first, parting, returns
from kemu.explore.run import execute
from kemu.explore.source import SeedSource


def ret(function: str, value: str, caller: str = "up") -> Return:
    return Return(function, f"{function}.py:1", caller, value)


def test_the_first_call_that_gives_something_else() -> None:
    base = [ret("a", "0"), ret("b", "1"), ret("b", "2"), ret("c", "5")]
    assert first(base, list(base)) is None and first(base, []) is None
    found = first(base, [ret("a", "0"), ret("b", "1"), ret("b", "7"), ret("c", "6")])
    assert found == Parting("b", "b.py:1", "it gives 2", "it gives 7")
    assert found.told() == ["parts from the base in b:", "  base:   it gives 2", "  series: it gives 7"]


def test_calls_that_only_one_side_makes_do_not_count() -> None:
    base = [ret("a", "0"), ret("c", "5")]
    assert first(base, [ret("own", "9"), ret("a", "0"), ret("a", "3"), ret("c", "5")]) is None


def test_a_series_that_reads_metadata_wrongly_parts_where_it_does() -> None:
    load_entry_points()
    exp = registry["memback-rfc.damaged"]
    found: dict[str, Parting | None] = {}
    for seed in range(1, 40):
        out = execute(exp, SeedSource(seed))
        if out.finding is not None and out.finding.detector == "difference":
            out.finding.offsets = out.offsets
            where = parting(out.finding, exp)
            if where is not None:
                found[where.function] = where
    assert found, "nothing parted"
    assert set(found) <= {"erofs_bread", "z_erofs_parse_in_bvecs", "erofs_pos", "erofs_file_read_iter", "z_erofs_runqueue",
                          "erofs_read_superblock"}, found
    assert parting(out.finding or Finding("x", "", "", "", "", "", [], ""), registry["bdev.damaged"]) is None     # no base


def test_returns_of_ported_functions_only_and_nothing_is_left_on() -> None:
    import sys

    load_entry_points()
    with returns() as seen:
        execute(registry["bdev.ground-truth"], SeedSource(3))
    assert sys.getprofile() is None
    assert any(r.function == "erofs_read_superblock" and r.value == "0" for r in seen)
    assert not any(r.function.startswith("<") or "/erofs_memback/" not in r.place for r in seen)


@pytest.fixture
def exp() -> Iterator[Experiment]:
    experiment("t.group", series="t")(lambda run: None)
    yield registry["t.group"]
    del registry["t.group"]


def finding(title: str, detector: str = "difference", place: str = "", token: str = "", severity: str = "high") -> Finding:
    return Finding("t.group", title, detector, severity, place.rpartition(" ")[2], place, [title], f"cause of {title}",
                   token=token or f"t-{title}")


def test_reports_of_one_place_and_what_they_come_to_are_one(exp: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    partings = {"uid": Parting("f", "a.py:3", "it gives a pointer to 01", "it gives a pointer to 02"),
                "errno": Parting("f", "a.py:3", "it gives a pointer to 07", "it gives -117"),
                "size": Parting("g", "a.py:9", "it gives 1", "it gives 2"),
                "size2": Parting("g", "a.py:9", "it gives 1", "it gives 3"),
                "other": Parting("g", "a.py:9", "it gives -5", "it gives 0")}
    monkeypatch.setattr(group, "parting", lambda f, exp, **options: partings.get(f.title))
    findings = [finding("uid"), finding("errno"), finding("size"), finding("size2"), finding("other"), finding("unknown"),
                finding("read", "KASAN", "a.c:3 f", severity="critical"), finding("write", "KASAN", "a.c:3 f"),
                finding("leak", "leak", "a.c:3 f")]
    out = grouped(findings)
    assert sorted(f.title.rstrip("2") for f in out) == ["leak", "other", "read", "size", "unknown", "write"]
    assert set(next(f for f in out if f.title == "read").also) == {"t-uid", "t-errno"}
    size = next(f for f in out if f.title.startswith("size"))
    assert size.function == "g" and "parts from the base in g:" in size.report
    assert any(line.startswith("also seen as: size") for line in size.report)


def test_a_failing_call_keeps_its_cause(exp: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "parting", lambda f, exp, **options: pytest.fail("not asked"))
    a, b = finding("a"), finding("b")
    a.choices = b.choices = ["kmalloc() fails"]
    assert grouped([a, b]) == [a, b]
