# SPDX-License-Identifier: GPL-2.0-only
"""What fuzz, review and replay print: order, KTAP that kunit.py accepts, JSON, exit codes."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.check.location import default_tree
from kemu.explore.experiment import Experiment
from kemu.explore.progress import Progress
from kemu.explore.search import search
from kemu.report import json_out, ktap_out, splat_report
from kemu.report.table import table
from tests.unit.explore.test_search import BUFFERS, LOST

PORT = '''
from kemu.explore.experiment import experiment
from kemu.linux.slab import kfree, kmalloc

@experiment("mine.leaks")
def leaks(run):
    """Nothing is left."""
    n = run.pick.int("n", 1, 50)
    run.show(f"n={n}")
    with run.machine() as m, run.balanced(m):
        p = kmalloc(n)
        if n < 20:
            kfree(p)

@experiment("mine.fine")
def fine(run):
    """Nothing is left."""
    with run.machine() as m, run.balanced(m):
        kfree(kmalloc(run.pick.int("n", 1, 50)))
'''


@pytest.fixture
def progress() -> Progress:
    return search([BUFFERS, LOST], examples=1500)


def kemu(where: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kemu", *args], cwd=where, capture_output=True, text=True, timeout=60,
                          env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/bin:/bin", "HOME": str(where)})


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mineport.py").write_text(PORT)
    return tmp_path


def test_a_report_has_its_parts_in_order(progress: Progress) -> None:
    f = next(f for f in progress.findings if f.detector == "leak")
    text = "\n".join(splat_report.lines(f))
    parts = ["BUG: memory leak", "unreferenced object", "minimal input:", "n=1 at=0", "minimal schedule and fault:",
             "fallible call 3 fails", "in C:",
             f"kemu replay {f.token}"]
    at = [text.index(p) for p in parts]
    assert at == sorted(at)


def test_the_json_object(progress: Progress) -> None:
    o = json.loads(json_out.review("t", progress))
    assert o["name"] == "t" and o["examples"] == progress.examples
    assert {"title", "severity", "detector", "function", "c_location", "trigger", "report", "token"} <= set(o["findings"][0])
    order = [f["severity"] for f in o["findings"]]
    assert order == sorted(order, key=["critical", "high", "medium", "low"].index)


def test_ktap_is_what_kunit_py_reads(progress: Progress) -> None:
    never = Experiment("t.never", "t", BUFFERS.fn)
    lines = ktap_out.document([BUFFERS, LOST, never], progress)
    assert (lines[0] == "KTAP version 1" and "  not ok 1 t.buffers" in lines
            and "  ok 3 t.never # SKIP not run: the time was over" in lines)
    tree = default_tree() / "tools" / "testing" / "kunit"
    if not (tree / "kunit_parser.py").exists():
        pytest.skip("no kernel tree: kunit.py is not there to read it")
    script = ("import sys; sys.path.insert(0, sys.argv[1])\nimport kunit_parser, kunit_printer\n"
              "t = kunit_parser.parse_run_tests(sys.stdin.read().splitlines(), kunit_printer.null_printer)\n"
              "c = t.counts\nprint(c.passed, c.failed, c.skipped, c.crashed, c.errors)")
    out = subprocess.run([sys.executable, "-c", script, str(tree)], input="\n".join(lines), capture_output=True, text=True)
    assert out.stdout.split() == ["0", "2", "1", "0", "0"], out.stdout + out.stderr


def test_fuzz_in_a_pipe_prints_ktap_and_ends_with_1(mine: Path) -> None:
    p = kemu(mine, "fuzz", "./mineport.py", "--examples", "200")
    assert (p.returncode == 1 and p.stdout.startswith("KTAP version 1\n1..1\n") and "  not ok 2 mine.leaks" in p.stdout
            and "  ok 1 mine.fine" in p.stdout)
    assert "# n=20" in p.stdout.replace("#   ", "# ")
    assert p.stderr == ""
    word = next(line.split()[3] for line in p.stdout.splitlines() if "kemu replay" in line)
    r = kemu(mine, "replay", word, "./mineport.py")
    assert r.returncode == 1 and r.stdout.startswith("BUG: memory leak in leaks") and "n=20" in r.stdout
    j = json.loads(kemu(mine, "replay", word, "./mineport.py", "--json").stdout)
    assert j["finding"]["token"] == word and len(j["trace"]) == 16


def test_nothing_found_ends_with_0(mine: Path) -> None:
    p = kemu(mine, "review", "./mineport.py", "--examples", "20", "--json")
    assert p.returncode in (0, 1)
    p = kemu(mine, "fuzz", "./mineport.py", "--list")
    assert p.returncode == 0 and "mine.fine" in p.stdout and "Nothing is left." in p.stdout
    (mine / "good.py").write_text(PORT.replace("if n < 20", "if n < 2000").replace("mine.", "good."))
    assert kemu(mine, "fuzz", "./good.py", "--examples", "100").returncode == 0


@pytest.mark.parametrize("args,code,words", [
    (("fuzz", "nosuch"), 2, "no experiment"), (("review", "nosuch"), 2, "no experiment"), (("replay", "zzz"), 2, "not a token"),
    (("replay", "7fq2-s0zz"), 2, "token"), (("fuzz", "./mineport.py", "--rung", "linux"), 3, "py"),
    (("fuzz", "./mineport.py", "--seconds", "-1"), 2, "above 0"),
    (("fuzz", "./mineport.py", "--examples", "x"), 2, "--examples 'x' is not a number"),
    (("fuzz", "./broken.py"), 3, "cannot import"), (("review",), 2, "NAME")])
def test_bad_input_is_one_line(mine: Path, args: tuple[str, ...], code: int, words: str) -> None:
    (mine / "broken.py").write_text("import nothing_of_that_name\n")
    p = kemu(mine, *args)
    assert p.returncode == code and words in p.stderr and "Traceback" not in p.stderr and p.stdout == "", p


def test_tables_wrap() -> None:
    out = table(["a", "what"], [["x", "word " * 40]], 60)
    assert all(len(line) <= 60 for line in out) and len(out) > 3
