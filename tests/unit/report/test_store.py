# SPDX-License-Identifier: GPL-2.0-only
"""Findings, tokens, inputs and unfinished runs on disk: whole or not at all, and found again."""
from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kemu.explore import token
from kemu.explore.chooser import Choice
from kemu.explore.finding import Finding
from kemu.explore.plan import Done
from kemu.explore.progress import Progress
from kemu.report.store import findings, folder, inputs, runs, tokens


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "kemu"


def a_token(n: int, name: str = "t.x") -> str:
    return token.of_choices(name, [Choice(f"c{i}", 0, 1 << 20, 1 + (i * 7919 + n) % (1 << 19)) for i in range(n)])


def a_finding(cause: str = "cause", tok: str = "", small: bool = True) -> Finding:
    return Finding("t.x", f"title of {cause}", "KASAN", "high", "f", "", [f"title of {cause}", "more"], cause,
                   token=tok or a_token(2), small=small)


def test_a_finding_comes_back_as_it_was() -> None:
    f = a_finding()
    kept = findings.save(f, "s", "py", "1")
    back = findings.all_kept()
    assert [k.finding for k in back] == [f] and back[0].id == kept.id and back[0].series == "s" and back[0].version == "1"
    assert findings.find(kept.id).finding == findings.find(kept.id[:3]).finding == findings.find(f.token).finding == f


def test_the_same_cause_is_one_finding_and_the_smaller_trigger_stays() -> None:
    findings.save(a_finding(tok=a_token(1)), "s", "py", "1")
    findings.save(a_finding(tok=a_token(3), small=False), "s", "py", "2")
    findings.save(a_finding("another"), "s", "py", "2")
    findings.save(a_finding(), "another series", "py", "2")
    assert len(findings.all_kept()) == 3
    kept = findings.find(a_token(1))
    assert kept.finding.token == a_token(1) and kept.finding.also == [a_token(3)] and kept.version == "2"


def test_tokens_stay_short_and_are_resolved() -> None:
    long = a_token(40)
    assert len(long) > tokens.LONGEST
    f = a_finding(tok=long)
    findings.save(f, "s", "py", "1")
    short = f.ref(f.token)
    assert len(short) < 40 and tokens.whole(short) == long and tokens.whole(short.upper()) == long
    assert token.decode(tokens.whole(short)).offsets == token.decode(long).offsets
    assert tokens.whole(a_token(2)) == a_token(2)
    assert findings.find(short).finding.token == long


def test_a_short_token_of_elsewhere_says_what_to_do(home: Path) -> None:
    short = token.short(a_token(40))
    with pytest.raises(token.TokenError, match="kemu findings export"):
        tokens.whole(short)
    with pytest.raises(token.TokenError, match="not a token"):
        token.decode("nonsense")
    tokens.keep(a_token(40))
    (home / "tokens" / short).write_text(a_token(41))
    with pytest.raises(token.TokenError, match="damaged"):
        tokens.whole(short)


def test_what_cannot_be_read_is_passed_over(home: Path) -> None:
    findings.save(a_finding(), "s", "py", "1")
    where = home / "findings"
    for name, text in {"aaaaaa": "", "bbbbbb": "{", "cccccc": "[]", "dddddd": "{}",
                       "eeeeee": '{"id": "eeeeee", "finding": {"experiment": 3}}',
                       "ffffff": "[" * 100_000}.items():
        (where / f"{name}.json").write_text(text)
    assert len(findings.all_kept()) == 1


def test_unknown_names_are_one_line() -> None:
    with pytest.raises(findings.UnknownFinding, match="none is kept at all"):
        findings.find("zzzz")
    for i in range(200):
        findings.save(a_finding(str(i)), "s", "py", "1")
    firsts = [k.id[:2] for k in findings.all_kept()]
    twice = next(x for x in firsts if firsts.count(x) > 1)
    with pytest.raises(findings.UnknownFinding, match="findings begin so"):
        findings.find(twice)


def test_confirmed_gone_and_forgotten() -> None:
    kept = findings.save(a_finding(), "s", "py", "1")
    findings.confirm(kept, False, "2")
    assert findings.find(kept.id).gone and findings.find(kept.id).version == "1"
    findings.confirm(kept, True, "3")
    assert not findings.find(kept.id).gone and findings.find(kept.id).version == "3"
    findings.forget(kept)
    assert findings.all_kept() == []


def test_what_other_rungs_show_is_noted() -> None:
    f = a_finding()
    kept = findings.save(f, "s", "py", "1")
    assert findings.find(kept.id).as_json()["confirmed"]["linux"] is None
    f.confirmed = {"c": None, "linux": True, "why": "so"}
    findings.note_confirmed(f, "s")
    assert findings.find(kept.id).as_json()["confirmed"] == {"c": None, "linux": True, "why": "so"}
    findings.forget(kept)
    findings.note_confirmed(f, "s")         # nobody keeps it any more
    assert findings.all_kept() == []


FULL = """
import sys
from kemu.report.store.folder import write
from pathlib import Path
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write(Path(sys.argv[1]), "x" * 100_000)
except OSError as e:
    print(e.errno)
"""


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    folder.write(path, "old")
    p = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    assert p.stdout.strip() == "27", p.stderr           # EFBIG
    assert path.read_text() == "old" and [x.name for x in path.parent.iterdir()] == ["file"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


def test_a_torn_line_does_not_take_the_next_one_with_it(home: Path) -> None:
    i = inputs.Inputs(["t.x"], "1")
    i.add("t.x", a_token(2), {"one"})
    path = home / "inputs" / "t.x.jsonl"
    path.write_text(path.read_text() + '{"token": "half')
    i.add("t.x", a_token(3), {"two", "one"})
    i.add("t.x", a_token(4), {"two"})
    assert [(r["token"], r["new"]) for r in inputs.of_experiment("t.x")] == [(a_token(2), ["one"]), (a_token(3), ["two"])]


def test_a_search_begins_with_kept_findings_and_inputs() -> None:
    inputs.Inputs(["t.x"], "1").add("t.x", a_token(3), {"new"})
    findings.save(a_finding(tok=a_token(2)), "s", "py", "1")
    findings.save(a_finding("other", tok=a_token(4)), "not this series", "py", "1")
    first = inputs.Inputs(["t.x", "t.y"], "1").first(["s"])
    assert first == {"t.x": [token.decode(a_token(2)).offsets, token.decode(a_token(3)).offsets]}


def test_a_name_cannot_leave_the_folder(home: Path) -> None:
    inputs.Inputs(["../../evil/x"], "1").add("../../evil/x", a_token(2), {"one"})
    assert [p.parent for p in home.rglob("*.jsonl")] == [home / "inputs"]
    assert not list(home.parent.glob("evil*"))


def test_an_unfinished_run_is_found_again_and_a_finished_one_is_not() -> None:
    asked: dict[str, object] = {"command": "fuzz", "experiments": ["t.x"], "rung": "py", "seed": 0}
    run = runs.begin(asked, 2)
    p = Progress(examples=7, behaviours={"t.x:a"}, seconds=3.0, per_experiment={"t.x": 7},
                 done={0: {"t.x": Done(True, 5)}, 1: {}})
    run.note(p)
    back = runs.last_like(asked)
    assert back is not None and back.id == run.id and back.workers == 2
    again = back.progress()
    assert ((again.examples, again.behaviours, again.seconds, again.per_experiment,
             again.done) == (7, {"t.x:a"}, 3.0, {"t.x": 7}, p.done))
    assert runs.last_like({**asked, "seed": 1}) is None
    run.end()
    assert runs.last_like(asked) is None


def test_the_run_of_a_living_kemu_is_left_alone(home: Path) -> None:
    run = runs.begin({"command": "fuzz"}, 1)
    run.note(Progress())
    with subprocess.Popen([sys.executable, "-c", "import sys, time; time.sleep(60)", "kemu"]) as other:
        row = json.loads(run.path.read_text())
        run.path.write_text(json.dumps({**row, "pid": other.pid}))
        while b"kemu" not in Path(f"/proc/{other.pid}/cmdline").read_bytes():
            time.sleep(0.01)
        assert runs.last_like({"command": "fuzz"}) is None
        other.kill()
        other.wait()
    assert runs.last_like({"command": "fuzz"}) is not None
    assert os.listdir(home / "runs") == [f"{run.id}.json"]
