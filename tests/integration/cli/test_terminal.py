# SPDX-License-Identifier: GPL-2.0-only
"""Terminals get tables that fit and a line that says what is waited for; pipes get plain text; NO_COLOR and --no-color are
honoured.
"""
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.integration.cli.terminal import COLOUR, ESCAPE, KEMU, on_terminal


@pytest.mark.parametrize("columns", (60, 100, 160))
def test_a_table_fits_the_terminal(columns):
    code, out, err = on_terminal([*KEMU, "fuzz", "--list", "memback.*"], columns)
    lines = [ESCAPE.sub("", line).rstrip() for line in out.splitlines()]
    assert code == 0 and lines[0].split()[0] == "experiment"
    assert max(map(len, lines)) <= columns
    assert "memback.ground-truth" in out.replace("\n", "") or columns < 100
    if columns == 160:
        assert len(lines) == 1 + len({line.split()[0] for line in lines[1:]}), "no line is wrapped where there is room"


def test_colours_and_who_does_not_want_them(tmp_path):
    plain = subprocess.run([*KEMU, "doctor"], capture_output=True, text=True, cwd=tmp_path)
    assert "\x1b" not in plain.stdout + plain.stderr
    _, out, _ = on_terminal([*KEMU, "doctor"], env={"NO_COLOR": ""})
    assert COLOUR.search(out)
    for argv, env in (([*KEMU, "--no-color", "doctor"], {}), ([*KEMU, "doctor", "--no-color"], {}),
                      ([*KEMU, "doctor"], {"NO_COLOR": "1"}), ([*KEMU, "doctor"], {"TERM": "dumb"})):
        _, out, _ = on_terminal(argv, env=env)
        styles = {m for m in COLOUR.findall(out) if m not in ("\x1b[0m", "\x1b[1m")}
        assert "cffi" in out and not styles


def test_a_wait_says_what_it_does():
    code, out, err = on_terminal([*KEMU, "fuzz", "memback.ground-truth", "--seconds", "1.5"])
    assert code == 0 and "examples of 1 experiments" in out
    assert "behaviours" in err and "(memback.ground-truth)" in err
    # and takes itself away: nothing stays on the last line
    assert err.rstrip("\r\n").endswith("\x1b[2K")
    code, out, err = on_terminal([*KEMU, "-q", "fuzz", "memback.ground-truth", "--seconds", "1.5"])
    assert (code, err) == (0, "")


def test_results_go_to_standard_output_while_a_build_is_waited_for():
    """Whether the build says that it is over or not."""
    for end in ("say('\\r')", "pass"):
        code, out, err = on_terminal([sys.executable, "-c", f"""
import time
from kemu.rung.uml.build import progress
say = progress()
for step in range(3):
    time.sleep(0.25)
    say(f"\\r{{step}} CC x.o")
{end}
print("a result")
"""])
        assert (code, out) == (0, "a result\n") and "CC x.o" in err and "a result" not in err


def test_pipes_that_end_and_streams_that_are_closed(tmp_path):
    def shell(command: str) -> tuple[int, str]:
        p = subprocess.run(["bash", "-c", command.replace("kemu", " ".join(KEMU))], capture_output=True, text=True, cwd=tmp_path,
                           env={**os.environ, "PYTHON": sys.executable})
        return p.returncode, p.stderr

    assert shell("kemu api | head -n 1") == (0, "")
    assert shell("set -o pipefail; kemu api | head -n 1") == (141, "")
    assert shell("kemu --help | true") == (0, "")
    for command in ("kemu api", "kemu mount sample:demo.erofs --manifest", "kemu boot sample:root.cpio", "kemu boot --help",
                    "kemu --version", "kemu forge erofs --seed 1 -o -"):
        for closed, errno in ((">&-", "EBADF"), (">/dev/full", "ENOSPC")):
            code, err = shell(f"{command} {closed}")
            assert code == 1 and err.count("\n") == 1 and err.startswith("kemu: ") and errno in err, (command, closed, code, err)
    assert shell("kemu mount sample:demo.erofs 2>&- >/dev/null") == (0, "")
    assert shell("kemu mount /nowhere 2>&-")[0] == 1
    assert shell("kemu boot sample:root.cpio <&- >/dev/null") == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_text(tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.erofs"
    with open(name, "wb") as f:
        f.write((__import__("kemu.samples").samples.sample("demo.erofs")).read_bytes())
    for env in ({}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}):
        p = subprocess.run([*map(os.fsencode, KEMU), b"mount", name], capture_output=True, env={**os.environ, **env})
        assert p.returncode == 0 and p.stdout.startswith(name + b": mounted as "), p
    p = subprocess.run([*map(os.fsencode, KEMU), b"mount", name + b"\n"], capture_output=True)
    assert p.returncode == 1 and p.stderr.count(b"\n") == 1 and rb"caf\xe9.erofs\n: ENOENT" in p.stderr


@pytest.mark.parametrize("shell", ("bash", "zsh"))
def test_completion(shell, tmp_path):
    p = subprocess.run([*KEMU, "--print-completion", shell], capture_output=True, text=True, cwd=tmp_path)
    assert (p.returncode, p.stderr) == (0, "")
    for word in ("mount", "review", "--backend", "--cmdline", "--print-completion"):
        assert word in p.stdout
    if shell == "bash":                     # what bash itself makes of it
        (tmp_path / "c").write_text(p.stdout + """
complete_line() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shtab_kemu "$1" "${@: -1}" "${@: -2:1}"; echo "${COMPREPLY[@]}"; }
complete_line kemu mou
complete_line kemu mount --page
complete_line kemu linux orac
complete_line kemu mount --backend mem
""")        # noqa: E501  (bash)
        p = subprocess.run(["bash", str(tmp_path / "c")], capture_output=True, text=True, cwd=tmp_path)
        assert p.stdout.split("\n")[:4] == ["mount", "--page-size", "oracle", "memback memback-rfc"], p


def test_version():
    p = subprocess.run([*KEMU, "--version"], capture_output=True, text=True)
    assert p.returncode == 0 and p.stdout.startswith("kemu ") and p.stdout.count("\n") == 1
