# SPDX-License-Identifier: GPL-2.0-only
"""The command's views, and what it says of bad input."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pytest

from kemu.cli.common import CommandError
from tests.trees import DATA, noise

from cramfs.harness import command

IMAGE = str(DATA / "small.cramfs")


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(argparse.Namespace(**{"verbose": 0, **vars(parser.parse_args(words))}))


def test_views(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    def out(*words: str) -> bytes:
        assert run(IMAGE, *words) == 0
        return capfdbinary.readouterr().out

    assert b"mounted as ram0 (bdev), " in out() and json.loads(out("--json"))["inodes"] == 19
    assert out("--manifest") == (DATA / "small.jsonl").read_bytes() == out("--manifest", "--at", "0xffd")
    assert len(json.loads(out("--manifest", "--json"))) == 19
    assert out("--cat", "/noise") == noise(9000) and json.loads(out("--cat", "/one", "--json")) == {
        "path": "/one",
        "size": 1,
        "text": "1",
    }
    assert b" link -> sub/numbers\n" in out("--ls", "/") and re.search(rb"brw.* 8, 17 0.0{9} disk\n", out("--ls", "/"))
    assert [e["path"] for e in json.loads(out("--ls", "/sub", "--json"))] == ["deep", "far", "hole", "nothing", "numbers"]
    assert {"backend": "bdev", "inodes": 19}.items() <= json.loads(out("--stats", "--json")).items()
    assert (out("--dmesg"), json.loads(out("--dmesg", "--json"))) == (b"", [])  # the kernel has nothing to say
    with pytest.raises(CommandError):
        run(__file__, "--dmesg", "--json")
    assert any("cramfs: wrong magic" in line for line in json.loads(capfdbinary.readouterr().out))


@pytest.mark.parametrize(
    "words,said",
    [
        ((IMAGE, "--cat", "/nothing"), "ENOENT (No such file or directory): /nothing"),
        ((IMAGE, "--cat", "/sub"), "EISDIR (Is a directory)"),
        ((IMAGE, "--ls", "/one/two"), "ENOTDIR (Not a directory): /one/two"),
        ((IMAGE, "--page-size", "16384", "--cat", "/noise"), "EIO (Input/output error): /noise: cramfs: "),
        ((__file__,), "EINVAL (Invalid argument): cramfs: wrong magic"),
        ((str(DATA),), "EISDIR (Is a directory)"),
        ((IMAGE, "--read-limit", "100", "--cat", "/noise"), "EFBIG (File too large): /noise: more than 100 bytes of files"),
        ((IMAGE, "--at", "1T"), "--at 1099511627776: the machine's memory ends at "),
    ],
)
def test_bad_input_is_one_line(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError) as info:
        run(*words)
    assert said in str(info.value) and "\n" not in str(info.value)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 600, 4096, 5000])
def test_a_cut_image_gives_errors(size: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut"
    path.write_bytes(Path(IMAGE).read_bytes()[:size])
    try:
        assert run(str(path), "--manifest") == 0
    except CommandError as e:
        assert "EINVAL" in str(e)
    assert "Traceback" not in capfd.readouterr().err


def test_series_stack(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from kemu.linux.port.series import Series\n"
        "from cramfs import inode\n"
        "first = Series('first', ('cramfs',))\n"
        "first.edits(inode.get_cramfs_inode, ('i_uid_write(inode, cramfs_inode.uid)', 'i_uid_write(inode, 7)'))\n"
        "second = Series('second', ('cramfs',))\n"
        "second.edits(inode.get_cramfs_inode, ('i_uid_write(inode, 7)', 'i_uid_write(inode, 8)'))\n"
    )
    first, second = f"{mine}:first", f"{mine}:second"
    assert run(IMAGE, "--manifest", "--series", first) == 0
    assert {json.loads(line)["uid"] for line in capfd.readouterr().out.splitlines()} == {7}
    assert run(IMAGE, "--manifest", "--series", first, "--series", second) == 0
    assert {json.loads(line)["uid"] for line in capfd.readouterr().out.splitlines()} == {8}
    with pytest.raises((CommandError, ValueError), match="second: hunk does not apply to get_cramfs_inode"):
        run(IMAGE, "--series", second)
