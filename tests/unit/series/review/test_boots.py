# SPDX-License-Identifier: GPL-2.0-only
"""In what two boots part, and what a token of a boot holds."""
from __future__ import annotations

from dataclasses import replace
from typing import Any

from kemu.explore.run import Run, execute
from kemu.explore.source import ListSource
from kemu.rung.uml.initrd import Boot
from kemu.rung.uml.patches import Patch
from kemu.series.review import boots
from kemu.series.review.boots import Asked, Case, Parting, partings

ROOT: Any = {"path": "/", "type": "dir", "mode": 493, "uid": 0, "gid": 0, "size": None, "nlink": 2, "mtime": None, "rdev": None,
             "target": None, "xattrs": {}, "sha256": None, "error": None}


def boot(end: str = "init", log: str = "", **more: Any) -> Boot:
    return Boot(more.pop("entries", [ROOT]), log, end, kmsg=log.splitlines(), init="/init" if end == "init" else None, **more)


def test_equal_boots_do_not_part() -> None:
    assert partings(boot(log="Memory: 12K\nmajor 253"), boot(log="Memory: 13K\nmajor 254")) == []


def test_a_splat_is_one_whatever_else_is_said() -> None:
    now = boot("panic", "before\nBUG: KASAN: x\ntrace\nKernel panic", panic="it failed", splat="BUG: KASAN: x")
    [p] = partings(boot(), now)
    assert (p.kind, p.title, p.judged()) == ("splat", "BUG: KASAN: x", ("KASAN", "critical"))
    assert p.details[:2] == ("BUG: KASAN: x", "trace")


def test_a_splat_of_the_base_is_none() -> None:
    both = [boot("panic", panic="p", splat=f"WARNING: CPU: 0 PID: {n}") for n in (1, 17)]
    assert partings(*both) == []


def test_an_end_that_is_worse_and_one_that_is_better() -> None:
    bad = boot("panic", panic="no root")
    assert partings(boot(), bad) == [Parting("panic", "panic: no root, instead of /init is run")]
    assert partings(bad, boot()) == [Parting("new", "/init is run, instead of panic: no root")]
    assert partings(boot(), boot("hang"))[0].judged() == ("boot", "high")


def test_a_tree_that_differs() -> None:
    [p] = partings(boot(), boot(entries=[ROOT | {"mode": 511}]))
    assert (p.kind, p.title) == ("tree", "/: mode: 511 instead of 493")


def test_the_log() -> None:
    was, now = boot(log="Freeing initrd memory: 36K"), boot(log="x: mount failed (-22)\nall is well")
    assert [(p.kind, p.title) for p in partings(was, now)] == [
        ("log", "x: mount failed (-22)"), ("lost", "not said any more: Freeing initrd memory: 36K")]


def test_a_token_holds_what_is_asked() -> None:
    asked = Asked((Patch("patch 1", "patch 1", b"--- a\n"),), ("CONFIG_X=y",), (Patch("below 1", "below 1", b"+++ b"),), "kasan",
                  Case("an archive", b"070701" * 3, "retain_initrd", 0))
    seen: list[Asked] = []

    def look(run: Run) -> None:
        seen.append(boots.drawn(run.pick))

    execute(replace(boots.registry[boots.NAME], fn=look), ListSource(boots.offsets_of(asked)), rung="linux", detect=False)
    assert seen == [asked]


def test_what_a_boot_concerns() -> None:
    def of(path: str) -> list[Patch]:
        return [Patch("p", "p", f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+b\n".encode())]

    assert boots.concerns(of("init/initramfs.c")) and not boots.concerns(of("fs/erofs/super.c"))


def test_the_boots_are_told_apart() -> None:
    every = boots.cases()
    assert len({c.name for c in every}) == len(every) == len({(c.data, c.cmdline, c.at) for c in every})
