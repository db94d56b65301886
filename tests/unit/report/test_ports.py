# SPDX-License-Identifier: GPL-2.0-only
"""The registry of ported functions: every one is pinned, and drift is noticed."""
from __future__ import annotations

from pathlib import Path

import pytest

from kemu.check.location import default_tree
from kemu.report import ports
from kemu.report.csource import find_function, pin

C = '''
static int other(void) { return helper(1); }

/* what helper does */
static inline int
helper(int a) /* } */
{
	if (a == '}')
		return 1; // "{"
	return other2(a);
}
#define MACRO(x) \\
	((x) + 1)
#ifdef X
int twice(int a)
{
	return a + a;
}
#else
static inline int twice(int a) { return 0; }
#endif
'''


def test_every_port_of_linux_is_pinned():
    rows = ports.ported()
    assert len(rows) > 300
    assert [f"{p.path}: {p.c_name}" for p in rows if not p.hash and not p.posted] == []


def test_every_dup_is_pinned():
    """To a function or a macro; those whose C is something else are listed as such in pins.json."""
    rows = ports.cited()
    assert len(rows) > 1000
    assert [f"{d.path}: {d.c_name}" for d in rows if not d.hash] == []
    loose = [d for d in rows if d.hash == ports.NO_FUNCTION]
    assert len(loose) < 140 and not any(d.name == "iomap_fail_buffered_read" for d in loose)


def test_a_dup_that_nobody_pinned_is_seen(monkeypatch):
    from kemu.linux.port import honesty

    extra = honesty.Symbol("kemu.linux.bug", "nothing_like_it", "dup", "lib/bug.c", "nothing_like_it", "")
    monkeypatch.setitem(honesty.symbols, ("kemu.linux.bug", "nothing_like_it"), extra)
    assert [d.name for d in ports.cited() if not d.hash] == ["nothing_like_it"]


def test_a_function_is_found_by_its_definition():
    fn = find_function(C, "helper")
    assert fn is not None and fn.text.startswith("static inline int\nhelper(") and fn.text.rstrip().endswith("}") and fn.line == 5
    assert find_function(C, "twice").text.count("return a + a") == 1
    assert find_function(C, "MACRO").text.endswith("((x) + 1)") and find_function(C, "other2") is None


def test_the_pin_sees_code_and_not_comments():
    fn = find_function(C, "helper").text
    assert pin(fn) == pin(fn.replace("\t", "    ").replace("/* } */", "/* changed */")) != pin(fn.replace("return 1", "return 2"))


def test_drift_against_a_changed_tree(tmp_path, monkeypatch, capsys):
    from kemu.cli import main

    p = next(p for p in ports.ported() if p.c_name == "erofs_put_metabuf" and not p.posted)
    (tmp_path / "Makefile").write_text("VERSION = 7\n")
    f = tmp_path / p.path
    f.parent.mkdir(parents=True)
    f.write_text("void erofs_put_metabuf(struct erofs_buf *buf)\n{\n\tfree(buf);\n}\n")
    assert main(["port", "drift", "--tree", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "changed     fs/erofs/data.c: erofs_put_metabuf" in out and "gone" in out
    assert "gone        fs/iomap/bio.c: iomap_fail_buffered_read" in out      # a @dup of the emulated kernel
    assert main(["port", "diff", "erofs_put_metabuf", "--tree", str(tmp_path)]) == 0
    assert main(["port", "diff", "nothing_like_it", "--tree", str(tmp_path)]) == 1
    assert main(["port", "drift", "--tree", str(Path(tmp_path, "nowhere"))]) == 3


def test_rebase_wants_a_newer_tree(tmp_path, capsys):
    from kemu.cli import main

    for words, code, says in ((["rebase"], 2, "rebase needs the newer tree: --tree"),
                              (["rebase", "--tree", str(tmp_path)], 3, "is no kernel tree"),
                              (["list", "--check"], 2, "--check: list takes none")):
        assert main(["port", *words]) == code
        text = capsys.readouterr().err
        assert says in text and text.count("\n") == 1


def test_check_takes_a_function_and_knows_an_unknown_one(capsys):
    from kemu.cli import main

    if not (default_tree() / "Makefile").is_file():
        pytest.skip("no kernel tree")
    assert main(["port", "check", "bdev_open"]) == 0
    assert "explained   block/bdev.c: bdev_open" in capsys.readouterr().out
    assert main(["port", "check", "no_such_function"]) == 1
    assert capsys.readouterr().err.startswith("kemu: port: no port of 'no_such_function'")
    assert main(["port", "list", "bdev_open"]) == 2
