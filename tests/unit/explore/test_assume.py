# SPDX-License-Identifier: GPL-2.0-only
"""What is behind a fault is found once that is assumed to be mended."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kemu.cli import main
from kemu.explore import token
from kemu.explore.experiment import experiment, registry
from kemu.explore.run import Outcome, Run, execute
from kemu.explore.source import ListSource
from kemu.linux.slab import kfree, kmalloc, kzalloc
from kemu.linux.string import mem_read, mem_write, memset


def reads_behind(p: int) -> bytes:
    return bytes(mem_read(p + 4, 8))


def writes_behind(p: int) -> None:
    memset(p, 0x41, 12)


def forgets() -> None:
    kmalloc(16)


def body(run: Run) -> None:
    """Reads four bytes too many, writes four too many, forgets a buffer, and comes back with a wrong answer."""
    with run.machine() as m, run.balanced(m):
        p, other = kzalloc(8), kzalloc(8)
        mem_write(p, b"abcdefgh")
        got = reads_behind(p)
        assert got[:4] == b"efgh"
        writes_behind(p)
        assert bytes(mem_read(other, 8)) == bytes(8), "what is written behind goes nowhere"
        kfree(other)
        kfree(p)
        forgets()
    run.fail("a wrong answer")


@pytest.fixture
def exp() -> Iterator[Any]:
    made = experiment("t.one-behind-the-other", series="t")(body)
    yield registry["t.one-behind-the-other"]
    del made, registry["t.one-behind-the-other"]


def ran(exp: Any, assumed: set[str]) -> Outcome:
    return execute(exp, ListSource([]), assumed=dict.fromkeys(assumed, "x"))


def test_each_is_found_behind_the_one_before(exp: Any) -> None:
    assumed: set[str] = set()
    titles = []
    while (found := ran(exp, assumed).finding) is not None:
        titles.append(found.title)
        assert found.cause not in assumed
        assumed.add(found.cause)
    assert [t.split(" in ")[0] for t in titles[:2]] == ["BUG: KASAN: slab-out-of-bounds"] * 2
    assert "reads_behind" in titles[0] and "writes_behind" in titles[1]
    assert titles[2].startswith("BUG: memory leak in forgets") and titles[3] == "a wrong answer" and len(titles) == 4


def test_what_is_not_assumed_still_stops_the_run(exp: Any) -> None:
    first = ran(exp, set()).finding
    assert first is not None and "reads_behind" in first.title
    assert ran(exp, {"something else"}).finding.title == first.title     # type: ignore[union-attr]


def test_a_page_that_is_not_there_reads_as_zeros() -> None:
    def nowhere(run: Run) -> None:
        with run.machine():
            got = bytes(mem_read(0x10, 8))
            assert got == bytes(8)
            run.saw("behind")

    experiment("t.nowhere", series="t")(nowhere)
    try:
        exp = registry["t.nowhere"]
        found = ran(exp, set()).finding
        assert found is not None
        out = ran(exp, {found.cause})
        assert out.finding is None and "behind" in out.behaviour
    finally:
        del registry["t.nowhere"]


def test_the_command_says_what_it_assumes_and_refuses_what_shows_nothing(capsys: Any) -> None:
    code = main(["fuzz", "memback-rfc.ends-early", "--examples", "20", "--json", "--assume-fixed", "pp13-cq8ygd"])
    out, err = capsys.readouterr()
    assert "assumed to be mended: BUG: KASAN: out-of-bounds in erofs_superblock_csum_verify" in err
    assert "erofs_superblock_csum_verify" not in out.split('"findings"')[1].split('"report"')[0] and code in (0, 1)
    for word, says in (("zzzz", "--assume-fixed: "), (token.of_choices("bdev.ground-truth", []), "nothing is wrong on this run")):
        assert main(["fuzz", "memback-rfc.ground-truth", "--assume-fixed", word, "--examples", "1"]) == 2
        assert says in capsys.readouterr().err


def test_a_replay_behind_it(exp: Any, capsys: Any) -> None:
    """What is found behind a fault says what it was behind, and comes again so."""
    word = token.of_choices(exp.name, [])
    for times, says in enumerate(("reads_behind", "writes_behind", "forgets", "a wrong answer")):
        args = ["--assume-fixed", word] * times
        assert main(["replay", word, *args]) == 1
        out = capsys.readouterr().out.rstrip().split("\n")
        assert says in out[0] and out[-1].endswith(" ".join(args))
