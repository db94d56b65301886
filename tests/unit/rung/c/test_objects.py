# SPDX-License-Identifier: GPL-2.0-only
"""Which objects are made again."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kemu.rung.c.objects import command, stale
from kemu.rung.uml.errors import BuildError

CMD = """savedcmd_fs/a.o := gcc -Wp,-MMD,fs/.a.o.d -I../include -c -o fs/a.o ../fs/a.c

source_fs/a.o := ../fs/a.c

deps_fs/a.o := \\
    $(wildcard include/config/SMP) \\
  ../include/x.h \\
  include/generated/y.h \\

fs/a.o: $(deps_fs/a.o)

$(deps_fs/a.o):
"""
MADE = 1_700_000_000_000_000_000


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    out = tmp_path / "kemu-build-fast"
    for name in ("../fs/a.c", "../include/x.h", "include/generated/y.h", "fs/a.o"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("")
        os.utime(out / name, ns=(MADE, MADE))
    (out / "fs/.a.o.cmd").write_text(CMD)
    return out


def test_an_object_is_good_while_nothing_is_newer(objects: Path) -> None:
    assert command(objects, "fs/a.o").startswith("gcc -Wp,")
    assert not stale(objects, "fs/a.o", {})


@pytest.mark.parametrize("name", ["../fs/a.c", "../include/x.h", "include/generated/y.h"])
@pytest.mark.parametrize("how", ["newer", "gone"])
def test_a_file_that_it_was_made_of(objects: Path, name: str, how: str) -> None:
    if how == "gone":
        (objects / name).unlink()
    else:
        os.utime(objects / name, ns=(MADE + 1, MADE + 1))
    times: dict[str, int] = {}
    assert stale(objects, "fs/a.o", times)
    assert stale(objects, "fs/a.o", times), "what has been looked at once is known"


@pytest.mark.parametrize("name", ["fs/a.o", "fs/.a.o.cmd"])
def test_an_object_that_is_not_there_or_of_which_nothing_is_known(objects: Path, name: str) -> None:
    (objects / name).unlink()
    assert stale(objects, "fs/a.o", {})


def test_an_object_whose_command_is_gone_is_an_error_of_the_build(objects: Path) -> None:
    (objects / "fs/.a.o.cmd").unlink()
    assert stale(objects, "fs/a.o", {})
    with pytest.raises(BuildError, match="kbuild kept no command"):
        command(objects, "fs/a.o")
