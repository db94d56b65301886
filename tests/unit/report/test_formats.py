# SPDX-License-Identifier: GPL-2.0-only
"""A review in the forms that other tools take."""
from __future__ import annotations

import json
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from kemu.explore.experiment import Experiment
from kemu.explore.finding import Finding
from kemu.explore.progress import Progress
from kemu.report.formats import FORMATS
from kemu.report.formats.mail import COLUMNS
from kemu.report.formats.place import Place, place_of

EXPERIMENTS = [Experiment(name, "s", lambda run: None) for name in ("t.one", "t.two", "t.three")]


def finding(experiment: str, title: str, severity: str, place: str) -> Finding:
    return Finding(experiment, title, "KASAN", severity, "erofs_f", place, [title, "Call Trace:", " f+0x1 <&>", *["line"] * 20],
                   f"cause of {title}", token="abcd-" + "x" * 30, input=["an image \udcff", "more"],
                   headlines=["an image \udcff"], config=["CONFIG_X=y"])


@pytest.fixture
def progress() -> Progress:
    p = Progress(examples=7, seconds=2.5, per_experiment={"t.one": 4, "t.two": 3})
    p.add(finding("t.one", "BUG: <out> & \x01 of bounds", "critical", "fs/erofs/data.c:29 erofs_bread"))
    p.add(finding("t.one", "later " + "word " * 40, "low", "fs/erofs/memback.c erofs_x (as posted)"))
    p.of_base.append(finding("t.two", "known", "high", ""))
    return p


def test_places() -> None:
    def at(text: str) -> Place | None:
        return place_of(finding("t", "t", "low", text))

    assert at("fs/erofs/data.c:29 erofs_bread") == ("fs/erofs/data.c", 29, "erofs_bread")
    assert at("fs/erofs/memback.c erofs_x (as posted)") == ("fs/erofs/memback.c", 0, "erofs_x")
    assert at("") is None and at("somewhere") is None


def test_junit_has_a_test_for_each_experiment(progress: Progress) -> None:
    suite = ET.fromstring(FORMATS["junit"]("s", progress, EXPERIMENTS))[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    cases = {c.get("name"): [m.tag for m in c] for c in suite}
    assert cases == {"t.one": ["failure", "failure"], "t.two": [], "t.three": ["skipped"]}
    assert "kemu replay abcd-" in (suite[0][0].text or "") and suite[0][0].get("message") == "BUG: <out> & ? of bounds"


def test_sarif_has_a_result_at_each_line(progress: Progress) -> None:
    run = json.loads(FORMATS["sarif"]("s", progress, EXPERIMENTS))["runs"][0]
    first, second = run["results"]
    assert (first["level"], second["level"]) == ("error", "note")
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "fs/erofs/data.c", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 29}}
    assert second["locations"][0]["logicalLocations"] == [{"name": "erofs_x", "kind": "function"}]
    assert {r["id"] for r in run["tool"]["driver"]["rules"]} >= {"t.one", "t.two", "t.three"}
    assert first["partialFingerprints"] != second["partialFingerprints"]


def test_a_mail_fits_and_says_all(progress: Progress) -> None:
    text = FORMATS["mail"]("s", progress, EXPERIMENTS)
    assert all(len(line) <= COLUMNS for line in text.split("\n"))
    flat = " ".join(text.split())
    for part in ("1. [critical] BUG: <out>", "in fs/erofs/data.c:29 erofs_bread", "depends on CONFIG_X=y", "kemu replay abcd-",
                 "not tried on Linux: not tried on another rung", "more lines", "1 more are shown by what it stands on as well"):
        assert part in flat, part
    assert "Nothing is wrong" in FORMATS["mail"]("s", Progress(examples=1), EXPERIMENTS)


def test_a_page_is_well_formed_and_escaped(progress: Progress) -> None:
    text = FORMATS["html"]("<s>", progress, EXPERIMENTS)
    open_: list[str] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag != "meta":
                open_.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_.pop() == tag

    Parser().feed(text)
    assert not open_ and "<out>" not in text and "&lt;out&gt; &amp;" in text and "http" not in text


def test_json_and_ktap_are_as_ever(progress: Progress) -> None:
    assert len(json.loads(FORMATS["json"]("s", progress, EXPERIMENTS))["findings"]) == 2
    assert FORMATS["ktap"]("s", progress, EXPERIMENTS).startswith("KTAP version 1\n")
