# SPDX-License-Identifier: GPL-2.0-only
"""The command's views, and what it says of bad input."""

from __future__ import annotations

import argparse
import json
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

    assert b"mounted as ram0, " in out() and json.loads(out("--json"))["inodes"] == 19
    assert out("--manifest") == (DATA / "small.jsonl").read_bytes() == out("--manifest", "--at", "0xffd")
    assert len(json.loads(out("--manifest", "--json"))) == 19
    assert out("--cat", "/noise") == noise(9000) and json.loads(out("--cat", "/one", "--json")) == {
        "path": "/one",
        "size": 1,
        "text": "1",
    }
    assert b"symlink  0777     0   0       11 link -> sub/numbers\n" in out("--ls", "/") and b"8, 17 disk\n" in out("--ls", "/")
    assert [e["path"] for e in json.loads(out("--ls", "/sub", "--json"))] == ["deep", "far", "hole", "nothing", "numbers"]
    assert out("--dmesg") and isinstance(json.loads(out("--dmesg", "--json")), list)


@pytest.mark.parametrize(
    "words,said",
    [
        ((IMAGE, "--cat", "/nothing"), "ENOENT (No such file or directory): /nothing"),
        ((IMAGE, "--cat", "/sub"), "EISDIR (Is a directory)"),
        ((IMAGE, "--ls", "/one/two"), "ENOTDIR (Not a directory): /one/two"),
        ((IMAGE, "--page-size", "16384", "--cat", "/noise"), "EIO (Input/output error): /noise: cramfs: "),
        ((__file__,), "EINVAL (Invalid argument): cramfs: wrong magic"),
        ((str(DATA),), "EISDIR (Is a directory)"),
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
