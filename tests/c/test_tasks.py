# SPDX-License-Identifier: GPL-2.0-only
"""Several tasks in one mount: each sees what it sees alone, in every order; and where the C is wrong about that, it is found."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kemu.explore import token
from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.run import replay
from kemu.explore.search import search
from kemu.rung.asked import asked
from kemu.rung.c.build import Library, build
from kemu.rung.c.errands import DROP, LIST, MEMORY, MOUNTED, READ, XATTRS, Done, Errand, with_tasks
from kemu.rung.c.kernel import Kernel
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.tree import Tree
from tests.c.planted import Plant
from tests.conftest import DATA

load_entry_points()
TASKS = registry["erofs.tasks.c"]
IMAGE = (DATA / "erofs" / "tiny-lz4hc-allfrag.erofs").read_bytes()
# where an inode is in its block is kept in a static variable over the sleep in erofs_read_metabuf(), and used behind it
SLEPT = Plant("used-behind-a-sleep", "fs/erofs/inode.c",
              """	unsigned int ofs = erofs_blkoff(sb, erofs_iloc(inode));
	bool in_mbox = erofs_inode_in_metabox(inode);
""", """	static unsigned int ofs;
	bool in_mbox = (ofs = erofs_blkoff(sb, erofs_iloc(inode)), erofs_inode_in_metabox(inode));
""", "plain", "", "erofs_read_inode")


@pytest.fixture(scope="module", autouse=True)
def one_kernel(library: Callable[[str], Library]) -> Iterator[None]:
    library("plain")
    yield
    asked("c").close()


def test_each_gets_what_it_gets_alone_at_once_and_late(kernel: Kernel) -> None:
    entries = kernel.erofs(IMAGE).entries
    files = [e for e in entries if e["type"] == "file"]
    errands = [Errand(READ, files[0]["path"]), Errand(LIST), Errand(XATTRS, files[1]["path"]), Errand(MOUNTED, files[2]["path"]),
               Errand(READ, "/not there")]
    _, [alone] = with_tasks(kernel, IMAGE, [errands])
    assert [d.result for d in alone][::4] == [files[0]["size"], -2] and alone[3].result == files[2]["size"]
    switches = []
    for late in (False, True):
        before = kernel.instance.counters()["switches"]
        answer, got = with_tasks(kernel, IMAGE, [errands, errands, [Errand(MEMORY), Errand(DROP), *errands]], late)
        assert answer.crash is None, answer.console
        assert got[0] == got[1] == got[2][2:] == alone
        switches.append(kernel.instance.counters()["switches"] - before)
    assert switches[1] > switches[0]                        # they did sleep


def test_an_order_is_chosen_and_the_same_order_gives_the_same(library: Callable[[str], Library]) -> None:
    seen: list[tuple[list[tuple[int, int]], list[list[Done]]]] = []
    with Kernel(library=library("plain")) as kernel:
        file = next(e["path"] for e in kernel.erofs(IMAGE).entries if e["type"] == "file")
        for salt in (0, 0, 1, 2):
            asked_for: list[tuple[int, int]] = []

            def choose(kind: int, n: int, salt: int = salt, asked_for: list[tuple[int, int]] = asked_for) -> int:
                asked_for.append((kind, n))
                return (len(asked_for) * salt) % n

            answer, got = with_tasks(kernel, IMAGE, [[Errand(READ, file), Errand(LIST)]] * 3, True, choose)
            assert answer.crash is None, answer.console
            seen.append((asked_for, got))
    assert seen[0] == seen[1] and seen[2][0] != seen[0][0] != seen[3][0]
    assert all(got == seen[0][1] for _, got in seen)


@pytest.mark.parametrize("flavour", ["plain", "asan"])
def test_a_short_campaign_finds_nothing(flavour: str, library: Callable[[str], Library], monkeypatch: pytest.MonkeyPatch) -> None:
    library(flavour)
    monkeypatch.setattr(asked("c"), "flavour", flavour)
    p = search([TASKS], examples=700, rung="c", detect=False)
    assert p.examples == 700 and not p.findings, "\n".join(f"{f.title}\n{f.token}\n" + "\n".join(f.report) for f in p.findings)
    seen = {b.partition(":")[2] for b in p.behaviours}
    assert any(b.startswith("1 of ") for b in seen), "two bios at once: which ends first"
    assert {f"errand {what}" for what in (READ, LIST, XATTRS, DROP, MEMORY, MOUNTED)} <= seen and "0 of 4" in seen, seen


def test_what_is_used_behind_a_sleep_is_found_shrunk_and_replayed(tree: Tree, library: Callable[[str], Library],
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    library("plain")
    wrong = build(Recipe(tree, patches=(SLEPT.patch(Path(tree.path)),), slot="planted"), SLEPT.flavour)
    kernels = asked("c")
    kernels.close()
    monkeypatch.setattr(kernels, "_library", wrong)
    monkeypatch.setattr(kernels, "_built", kernels.recipe)
    p = search([TASKS], examples=1500, shrink_seconds=4.0, rung="c", detect=False)
    assert p.findings
    f = min(p.findings, key=lambda f: len(f.offsets))
    assert f.trigger.count("task 1: ") == 1 and "bios end when somebody sleeps" in f.trigger, f.trigger
    assert sum(map(bool, f.offsets)) <= 12, f.offsets
    kernels.close()
    again = replay(TASKS, token.decode(f.token), rung="c", detect=False)
    assert again.finding is not None and again.finding.cause == f.cause and not again.diverged
    kernels.close()
    monkeypatch.undo()
    assert replay(TASKS, token.decode(f.token), rung="c", detect=False).finding is None, "the bug is the plant's"
