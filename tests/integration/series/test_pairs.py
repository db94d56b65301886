# SPDX-License-Identifier: GPL-2.0-only
"""Pairs of Series on the ports, through ``kemu boot --series``: what the log then says, or the one line that refuses them."""
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemu.cli import main

HEAD = """
from kemu.linux.port.series import Series
from kemu.linux.printk import pr_info
from initramfs import initramfs as base
from initramfs import main, unpack

series = Series("NAME", ("initramfs",))
POP = "def populate_rootfs() -> int:\\n"
FREE = "def free_initrd_mem(start: int, end: int) -> None:\\n"
names = {"pr_info": pr_info}


def say(text, indent=4):
    return " " * indent + "pr_info('pair: " + text + "\\\\n')\\n"
"""
AT_POP = "series.edits(base.populate_rootfs, (POP, POP + say('NAME')), names=names)\n"
AT_RETURN = "series.edits(base.populate_rootfs, ('    return 0\\n', say('NAME end') + '    return 0\\n'), names=names)\n"
AT_FREE = "series.edits(base.free_initrd_mem, (FREE, FREE + say('NAME free')), names=names)\n"
WHOLE = """
@series.replaces(base.free_initrd_mem)
def free_initrd_mem(start, end):
    pr_info('pair: NAME instead\\n')
"""
IMPORT = "import pair_a as a\n"

# name, a, b; what a boot says with a,b and with b,a: lines of the log, or a part of the refusal
PAIRS: list[tuple[str, str, str, list[str] | str, list[str] | str]] = [
    ("two functions", AT_POP, AT_FREE, ["a", "b free"], ["a", "b free"]),
    ("two places of one function", AT_POP, AT_RETURN, ["a", "b end"], ["a", "b end"]),
    ("one place, the later one first", AT_POP, AT_POP, ["b", "a"], ["a", "b"]),
    ("the same words", AT_FREE.replace("NAME", "x"), AT_FREE.replace("NAME", "x"), ["x free", "x free"], ["x free", "x free"]),
    ("a line that the first has brought", AT_POP,
     "series.edits(base.populate_rootfs, ('pair: a\\\\n', 'pair: b of a\\\\n'))\n", ["b of a"],
     "series b: hunk does not apply to populate_rootfs(): "),
    ("a line that the first has taken",
     "series.edits(base.populate_rootfs, ('    usermodehelper_enable()\\n', ''))\n",
     "series.edits(base.populate_rootfs, ('    usermodehelper_enable()\\n', say('b')), names=names)\n",
     "series b: hunk does not apply to populate_rootfs() as a left it: ",
     "series a: hunk does not apply to populate_rootfs() as b left it: "),
    ("a line that the first has doubled",
     "series.edits(base.populate_rootfs, ('    return 0\\n', '    if 0:\\n        return 0\\n"
     "    return 0\\n'))\n", AT_RETURN, "series b: hunk does not apply to populate_rootfs() as a left it: it matches 2 times",
     ["b end"]),
    ("an edit and a replacement", AT_FREE, WHOLE,
     "series b: it replaces free_initrd_mem as a whole, which a has changed: that would be lost",
     "series a: hunk does not apply to free_initrd_mem() as b left it: "),
    ("two replacements", WHOLE, WHOLE, "series b: it replaces free_initrd_mem as a whole, which a has changed",
     "series a: it replaces free_initrd_mem as a whole, which b has changed"),
    ("an edit of a replacement", WHOLE, "series.edits(base.free_initrd_mem, ('a instead', 'b in a'))\n", ["b in a"],
     "series b: hunk does not apply to free_initrd_mem(): nothing in it is like 'a instead'"),
    ("an edit of it by its own name", WHOLE, IMPORT + "series.edits(a.free_initrd_mem, ('a instead', 'b in a'))\n", ["b in a"],
     "series b: it changes free_initrd_mem of a, which comes later: b, a"),
    ("a replacement of an edit, which says so", AT_FREE, IMPORT + """
below = a.series.made(base.free_initrd_mem)
@series.replaces(below)
def free_initrd_mem(start, end):
    pr_info('pair: b around\\n')
    below(start, end)
""", ["b around", "a free"], "series b: it changes free_initrd_mem of a, which comes later: b, a"),
    ("a helper of the first", "def helper():\n    pr_info('pair: helper\\n')\n"
     "series.edits(base.populate_rootfs, (POP, POP + '    helper()\\n'), names={'helper': helper})\n",
     IMPORT + "series.edits(a.helper, ('pair: helper', 'pair: b helps'))\n", ["b helps"],
     "series b: it changes helper of a, which comes later: b, a"),
    ("one name with two values",
     "series.edits(base.populate_rootfs, (POP, POP + '    note()\\n'), names={'note': lambda: None})\n",
     "series.edits(base.free_initrd_mem, (FREE, FREE + '    note()\\n'), names={'note': lambda: pr_info('pair: b\\n')})\n",
     "series b: names= of free_initrd_mem: note is there already, of a and with another value",
     "series a: names= of populate_rootfs: note is there already, of b and with another value"),
    ("a name that the port has", AT_POP,
     "series.edits(base.free_initrd_mem, (FREE, FREE + '    initrd()\\n'), names={'initrd': lambda: None})\n",
     "series b: names= of free_initrd_mem: initramfs.initramfs has initrd already", "series b: names= of free_initrd_mem: "),
    ("an initcall and what it calls", AT_POP, "series.edits(main.kernel_init_freeable, ('    wait_for_initramfs()\\n', "
     "say('b waits') + '    wait_for_initramfs()\\n'), names=names)\n", ["a", "b waits"], ["a", "b waits"]),
    ("a handler of a parameter", AT_POP, "series.edits(base.retain_initrd_param, ('    g.do_retain_initrd = 1\\n', "
     "say('b retains') + '    g.do_retain_initrd = 1\\n'), names=names)\n", ["b retains", "a"], ["b retains", "a"]),
    ("an entry of a list",
     "series.edits(unpack.do_name, ('def do_name() -> int:\\n', 'def do_name() -> int:\\n    seen.append(1)\\n'), "
     "names={'seen': []})\n",
     AT_POP, ["b"], ["b"]),
    ("a new list", "series.replaces(unpack.actions)([*unpack.actions])\n",
     "seen = []\nseries.edits(unpack.do_name, ('def do_name() -> int:\\n', 'def do_name() -> int:\\n    told()\\n'), "
     "names={'told': lambda: seen or (seen.append(1), pr_info('pair: b in the list\\n'))})\n",
     ["b in the list"], ["b in the list"]),
    ("nothing that it reaches", AT_POP, "series.packages = ('erofs_memback',)\n" + AT_FREE,
     *2 * ["series b: it changes free_initrd_mem of initramfs.initramfs, to which nothing in erofs_memback refers: it reaches no "
           "place"]),
    ("what is no Python then", AT_POP, "series.edits(base.free_initrd_mem, ('\"initrd\")', '\"initrd\"'))\n",
     "series b: free_initrd_mem() with its hunks in it: ", "series b: free_initrd_mem() with its hunks in it: "),
    ("two hunks, of which the last is for another text", AT_RETURN,
     "series.edits(base.populate_rootfs, (POP, POP + say('b')), ('pair: a end', 'pair: b end'), names=names)\n", ["b", "b end"],
     "series b: hunk 2 of 2 does not apply to populate_rootfs(): "),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    for name in ("pair_a", "pair_b"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("turned", [False, True], ids=["a,b", "b,a"])
@pytest.mark.parametrize("pair", PAIRS, ids=lambda p: p[0])
def test_pair(here: Path, pair: tuple[str, str, str, list[str] | str, list[str] | str], turned: bool,
              capsys: pytest.CaptureFixture[str]) -> None:
    for name, body in zip("ab", pair[1:3]):
        (here / f"pair_{name}.py").write_text((HEAD + body).replace("NAME", name))
    order = ["--series", "./pair_a.py", "--series", "./pair_b.py"]
    wanted = pair[3 + turned]
    if turned:
        order = [*order[2:], *order[:2]]
    cmdline = ["--cmdline", "retain_initrd"] if "parameter" in pair[0] else []
    code = main(["boot", "sample:root.cpio", "--dmesg", *cmdline, *order])
    said = capsys.readouterr()
    if isinstance(wanted, str):
        assert (code, said.out, said.err.count("\n")) == (3, "", 1) and said.err.startswith(f"kemu: boot: {wanted}"), said.err
        assert main(["boot", "sample:root.cpio", "--dmesg"]) == 0 and "pair: " not in capsys.readouterr().out
    else:
        assert code == 0, said.err
        assert [line.removeprefix("pair: ") for line in said.out.splitlines() if line.startswith("pair: ")] == wanted


def test_there_are_twenty_and_more() -> None:
    assert len(PAIRS) >= 20
