# SPDX-License-Identifier: GPL-2.0-only
"""A mistake in a series of the user's is told in a line, as what a kernel would do there, and not as a mistake of kemu."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kemu.cli import main

HEAD = """
from kemu.linux.port.series import Series
from erofs_memback import super

series = Series("mine", ("erofs_memback",))


def wrong(sb):
    BODY


series.edits(super.erofs_fc_fill_super, ("    sbi.dir_ra_bytes = EROFS_DIR_RA_BYTES\\n", "    wrong(sb)\\n"),
             names={"wrong": wrong})
"""
BOOT = """
from kemu.linux.port.series import Series
from initramfs import initramfs

series = Series("mine", ("initramfs",))


@series.replaces(initramfs.populate_rootfs)
def populate_rootfs():
    BODY
"""


@pytest.mark.parametrize(("body", "says"), [
    ("sb.s_fs_info.nowhere.x", "AttributeError"), ("None.x", "BUG: kernel NULL pointer dereference in wrong"),
    ("(sb, 5)[1](1)", "TypeError"), ("not_there(sb)", "NameError"), ("[1][2]", "array-index-out-of-bounds in wrong"),
    ("1 // 0", "divide error in wrong"), ("{}[3]", "KeyError")])
@pytest.mark.parametrize("what", ["mount", "boot"])
def test_in_a_line(what: str, body: str, says: str, tmp_path: Path, capsys: Any) -> None:
    if what == "boot":
        body = body.replace("sb", "initramfs")         # any name that is there
    name = f"mine_{what}_{len(body)}{says[:3]}.py"
    (tmp_path / name).write_text((HEAD if what == "mount" else BOOT).replace("BODY", body))
    image = "sample:demo.erofs" if what == "mount" else "sample:root.cpio"
    code = main([what, image, "--series", str(tmp_path / name)])
    err = capsys.readouterr().err
    assert code in (1, 255) and err.count("\n") == 1 and err.startswith(f"kemu: {what}: "), err
    if what == "mount" or "wrong" not in says:
        assert says in err and "internal error" not in err and f"{name}:" in err, err


def test_with_verbose_the_traceback_comes_first(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "mine_verbose.py").write_text(HEAD.replace("BODY", "None.x"))
    assert main(["mount", "-v", "sample:demo.erofs", "--series", str(tmp_path / "mine_verbose.py")]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and err.rstrip().split("\n")[-1].startswith("kemu: mount: BUG: kernel NULL pointer")
