# SPDX-License-Identifier: GPL-2.0-only
"""kemu mount: views, formats, exit codes, and one line for everything that goes wrong."""
from __future__ import annotations

import json

import pytest

from kemu.cli import main
from kemu.report import manifest
from tests.conftest import DATA

IMAGES = DATA / "erofs"
PLAIN = str(IMAGES / "tiny-plain.erofs")


def run(capfdbinary, *args: str) -> tuple[int, bytes, str]:
    try:
        code = main(["mount", *args])
    except SystemExit as e:
        code = int(e.code or 0)
    out, err = capfdbinary.readouterr()
    return code, out, err.decode()


def test_manifest(capfdbinary):
    code, out, err = run(capfdbinary, PLAIN, "--manifest")
    assert (code, err) == (0, "")
    assert out.decode() == (IMAGES / "tiny-plain.jsonl").read_text()
    code, out, _ = run(capfdbinary, PLAIN, "--manifest", "--json")
    assert manifest.diff(json.loads(out), manifest.load(IMAGES / "tiny-plain.jsonl")) == ""


@pytest.mark.parametrize("backend", ("memback", "fileio", "dax"))
def test_backends_agree(capfdbinary, backend):
    assert (run(capfdbinary, PLAIN, "--manifest", "--backend", backend, "--at",
                "0")[1].decode() == (IMAGES / "tiny-plain.jsonl").read_text())


@pytest.mark.parametrize("at", ("1", "4095", "4097"))
def test_memory_at_any_offset(capfdbinary, at):
    code, out, err = run(capfdbinary, PLAIN, "--manifest", "--backend", "memback", "--at", at)
    assert (code, err) == (0, "") and out.decode() == (IMAGES / "tiny-plain.jsonl").read_text()


def test_listing_and_contents(capfdbinary):
    code, out, _ = run(capfdbinary, PLAIN, "--ls", "/")
    lines = out.decode().splitlines()
    assert code == 0 and len(lines) == 6
    assert lines[0].startswith("drwxr-xr-x") and lines[0].endswith(" d0")
    assert lines[-1].startswith("lrwxrwxrwx") and lines[-1].endswith(" ln -> d0/f0.txt")
    code, out, _ = run(capfdbinary, PLAIN, "--ls", "/d0/f0.txt", "--json")
    assert [e["size"] for e in json.loads(out)] == [20]
    assert run(capfdbinary, PLAIN, "--cat", "/ln")[:2] == (0, b"* system to runtime\n")
    assert json.loads(run(capfdbinary, PLAIN, "--cat", "d0/f0.txt", "--json")[1])["text"] == "* system to runtime\n"
    code, out, err = run(capfdbinary, PLAIN, "--cat", "/nothing")
    assert (code, out, err) == (1, b"", "kemu: mount: ENOENT (No such file or directory): /nothing\n")
    assert run(capfdbinary, PLAIN, "--cat", "/d0")[0] == 1


def test_stats_and_log(capfdbinary):
    stats = json.loads(run(capfdbinary, PLAIN, "--stats", "--json")[1])
    assert stats["block_size"] == 4096 and stats["inodes"] == 17 and stats["bios"] >= 1
    text = run(capfdbinary, PLAIN, "--stats")[1].decode()
    assert "block_size" in text and "bytes_copied" in text
    assert (json.loads(run(capfdbinary, PLAIN, "--dmesg", "--json")[1])
            == ["erofs (device ram0): mounted with root inode @ nid 36."])
    assert b"17 inodes" in run(capfdbinary, PLAIN)[1]


def test_devices_and_options(capfdbinary):
    code, out, _ = run(capfdbinary, str(IMAGES / "tiny-off.erofs"), "-o", "fsoffset=4096", "-o", "noacl", "--manifest")
    assert code == 0 and out.decode() == (IMAGES / "tiny-off.jsonl").read_text()
    code, _, err = run(capfdbinary, PLAIN, "--device", PLAIN)
    assert (code == 1
            and err == "kemu: mount: EINVAL (Invalid argument): erofs (device ram0): extra devices don't match (ondisk 0, given "
                       "1)\n")


def test_page_size(capfdbinary):
    big = str(IMAGES / "tiny-b16384.erofs")
    code, _, err = run(capfdbinary, big)
    assert code == 1 and err == "kemu: mount: EINVAL (Invalid argument): erofs (device ram0): blkszbits 14 isn't supported\n"
    assert run(capfdbinary, big, "--page-size", "16384", "--cat", "/ln")[1] == b"* system to runtime\n"


@pytest.mark.parametrize("args, code, message", [
    ((PLAIN, "--at", "-1"), 2, "--at '-1' is not a number of bytes"),
    ((PLAIN, "--backend", "memback", "--device", PLAIN), 2, "has no extra devices"),
    ((PLAIN, "--backend", "floppy"), 2, "invalid choice"),
    ((PLAIN, "--page-size", "8192"), 2, "--page-size '8192' is not a page size"),
    ((PLAIN, "-o", "nonsense"), 1, "EINVAL (Invalid argument): erofs: Unknown parameter 'nonsense'"),
    (("/nonexistent.erofs",), 1, "/nonexistent.erofs: ENOENT"),
    (("/dev/null",), 1, "/dev/null: EINVAL (Invalid argument): not a regular file"),
    (("/",), 1, "EISDIR"),
])
def test_what_goes_wrong_is_one_line(capfdbinary, args, code, message):
    got, out, err = run(capfdbinary, *args)
    assert got == code and message in err and "Traceback" not in err
    assert code == 2 or err.count("\n") == 1


@pytest.mark.parametrize("content", (b"", b"\0" * 100, b"\0" * 8192, b"hello"))
def test_files_that_are_no_images(capfdbinary, tmp_path, content):
    image = tmp_path / "x"
    image.write_bytes(content)
    code, out, err = run(capfdbinary, str(image), "--manifest")
    assert code == 1 and out == b"" and err.startswith("kemu: mount: E") and err.count("\n") == 1


def test_the_log_of_a_refused_mount_is_shown(capfdbinary, tmp_path):
    image = tmp_path / "x"
    image.write_bytes(bytes(8192))
    code, out, _ = run(capfdbinary, str(image), "--dmesg")
    assert code == 1 and out == b"erofs (device ram0): cannot find valid erofs superblock\n"
