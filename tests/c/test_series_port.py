# SPDX-License-Identifier: GPL-2.0-only
"""``kemu series port``: C patches as Series that apply, do what the patch does, and say what no rule translates.

The figures are floors: they may rise. ``kemu series port --ports erofs_memback --check`` prints who falls short.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.machine.series import Series, SeriesError
from kemu.machine.stack import stack_of
from kemu.rung.uml.series import read_series
from kemu.rung.uml.tree import Tree
from kemu.series.diff.run import Sides
from kemu.series.port.module import Module
from kemu.series.port.of_series import ported
from kemu.series.port.roundtrip import Row, ask, of_package
from kemu.series.whole import whole

HERE = Path(__file__).parent
PATCHES = sorted((HERE / "review" / "right").glob("*.patch")) + sorted((HERE / "review" / "wrong").glob("*.patch"))
WHOLE = 0.60                           # of the ported functions: translated wholly by rule
EQUAL = 0.85                           # of those that examples reach: they behave as the port
FINISHED = 0.60                        # of the patches of tests/c/review: nothing is left to do


@pytest.fixture(scope="module")
def made(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Module, Path]]:
    folder = tmp_path_factory.mktemp("port")
    out = {}
    for path in PATCHES:
        m = ported(read_series(path), tree)
        file = folder / f"{path.stem.replace('-', '_')}.py"
        file.write_text(m.text)
        out[path.stem] = m, file
    return out


def _series(file: Path) -> Series:
    found = whole(str(file)).python
    assert found is not None
    return found


def test_every_one_applies_or_says_what_is_left(made: dict[str, tuple[Module, Path]]) -> None:
    finished = 0
    for name, (m, file) in made.items():
        series = _series(file)
        if m.unfinished:
            with pytest.raises(SeriesError, match="it is not finished: "):
                stack_of([series])
        elif any(p.how != "same" for p in m.parts):
            stack_of([series])
            finished += 1
        else:
            assert name in ("r-err-cast",), f"{name}: nothing of it changes the port"
            finished += 1
    assert finished >= FINISHED * len(made), sorted(n for n, (m, _) in made.items() if m.unfinished)


SAMPLE = ("r-min", "r-helper", "w-errno", "w-field", "w-leak")


@pytest.mark.parametrize("name", SAMPLE)
def test_port_and_patch_do_the_same(name: str, made: dict[str, tuple[Module, Path]], tree: Tree) -> None:
    m, file = made[name]
    assert m.unfinished == []
    patch = next(p for p in PATCHES if p.stem == name)
    out = Sides(_series(file), read_series(patch).patches, (), tree).compare(15.0, 1)
    assert out.parted is None and out.asked, out.apart


@pytest.mark.parametrize("name", ["w-field-of-name"])
def test_the_wrong_ones_are_found_on_the_side_of_python(name: str, made: dict[str, tuple[Module, Path]]) -> None:
    done = subprocess.run([sys.executable, "-m", "kemu", "-q", "review", str(made[name][1]), "--seconds", "60", "--json"],
                          capture_output=True, text=True, timeout=400)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["findings"]


@pytest.fixture(scope="module")
def rows(tree: Tree) -> list[Row]:
    return of_package("erofs_memback", tree)


def test_ports_are_written_again_by_rule(rows: list[Row]) -> None:
    assert len(rows) > 200
    assert sum(r.whole for r in rows) >= WHOLE * len(rows)
    assert all(r.whole or r.why for r in rows), "and says why"


def test_what_is_written_again_behaves_as_the_port(rows: list[Row]) -> None:
    ask(rows, "erofs_memback")
    equal, different = ([r.name for r in rows if r.verdict == v] for v in ("equal", "different"))
    assert len(equal) > 100 and len(equal) >= EQUAL * (len(equal) + len(different)), different


def _port(*words: str, mail: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "kemu", "-q", "series", "port", *words], capture_output=True, input=mail,
                          timeout=300, env={**os.environ})


@pytest.mark.parametrize(("words", "code", "said"), [
    (["no-such-series"], 3, b"no series 'no-such-series'"), ([], 2, b"one series"), (["a", "b"], 2, b"one series"),
    (["--ports", "nothing_here"], 2, b"no package"), (["--ports", "erofs_memback", "no_such_function"], 2, b"no ported function"),
    ([str(PATCHES[0]), "-o", "/nowhere/at/all.py"], 2, b"no such folder"), ([str(HERE)], 1, b"no patch in it"),
    (["-"], 3, b"no mail"),
])
def test_bad_input_is_one_line(tree: Tree, words: list[str], code: int, said: bytes) -> None:
    done = _port(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr and done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr and done.stdout == b""


def test_a_mail_comes_back_as_a_module(tree: Tree) -> None:
    done = _port("-", mail=(HERE / "review" / "right" / "r-min.patch").read_bytes())
    assert done.returncode == 0, done.stderr
    mail = b"Subject: [PATCH] x\n\n---\n--- a/kernel/fork.c\n+++ b/kernel/fork.c\n@@ -1 +1 @@\n-a\n+b\n"
    other = _port("-", mail=mail)
    other = _port("-", mail=b"Subject: [PATCH] x\n\n---\n--- a/kernel/fork.c\n+++ b/kernel/fork.c\n@@ -1 +1 @@\n-a\n+b\n")
    assert other.returncode == 3 and b"no port of kernel/fork.c" in other.stderr
