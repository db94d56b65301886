# SPDX-License-Identifier: GPL-2.0-only
"""The types of the options' values, and files that are written whole, never through a link, never in the place of something else.
"""
from __future__ import annotations

import argparse
import os
import stat

import pytest

from kemu.cli import main, values
from kemu.cli.common import CommandError


@pytest.mark.parametrize("kind, text, value", [
    (values.count(), "1", 1), (values.count(), "0x10", 16), (values.count(0), "0", 0),
    (values.seed, "18446744073709551615", (1 << 64) - 1),
    (values.byte_size(), "4K", 4096), (values.byte_size(), "4k", 4096), (values.byte_size(), "2M", 2 << 20),
    (values.byte_size(), "0x2G", 2 << 30),
    (values.byte_offset, "0", 0), (values.byte_offset, "0x601", 1537), (values.byte_offset, "1T", 1 << 40),
    (values.page_size, "64K", 65536), (values.page_size, "0x1000", 4096),
    (values.page_offset, "4095", 4095), (values.seconds, "12", 12.0), (values.seconds, "0.5", 0.5), (values.seconds, ".5", 0.5),
    (values.name_of_file, "a\nb", "a\nb"),
])
def test_values(kind, text, value):
    assert kind(text) == value and type(kind(text)) is type(value)


@pytest.mark.parametrize("kind", [values.count(), values.seed, values.byte_size(), values.byte_offset, values.page_size,
                                  values.page_offset, values.seconds])
@pytest.mark.parametrize("text", ["", " 1", "1 ", "-1", "+1", "1_0", "010", "1e3", "0x", "0xg", "nan", "inf", "1.5.2", "\u0661",
                                  "\uff11", "K", "1KK", "1KiB", "9" * 400, "1\n", "x"])
def test_what_is_no_value(kind, text):
    if (kind, text) == (values.seconds, "010"):
        return                          # a time may begin with a 0
    with pytest.raises(argparse.ArgumentTypeError) as e:
        kind(text)
    assert repr(text) in str(e.value)


@pytest.mark.parametrize("kind, text", [(values.count(), "0"), (values.page_offset, "4096"), (values.page_size, "8192"),
                                        (values.byte_offset, "0x8000000000000000"), (values.seconds, "0"),
                                        (values.seed, "18446744073709551616"), (values.name_of_file, ""),
                                        (values.name_of_file, "a\0b"), (values.name_of_file, "sample:none")])
def test_what_is_out_of_range(kind, text):
    with pytest.raises(argparse.ArgumentTypeError):
        kind(text)


@pytest.mark.parametrize("text, value", [("CONFIG_EROFS_FS=y", True), ("CONFIG_EROFS_FS=n", False), ("CONFIG_EROFS_FS", True),
                                         ("CONFIG_BLK_DEV_RAM_SIZE=0x10", 16),
                                         ("CONFIG_DEFAULT_INIT=/sbin/x", "/sbin/x"),
                                         ('CONFIG_DEFAULT_INIT="/sbin/x y"', "/sbin/x y"), ("CONFIG_NOBODY_ASKS=12", 12),
                                         ('CONFIG_NOBODY_ASKS="t"', "t")])
def test_kernel_options(text, value):
    assert values.config_value(text) == (text.partition("=")[0], value)


@pytest.mark.parametrize("text", ["X=maybe", "CONFIG_EROFS_FS=maybe", "CONFIG_EROFS_FS=", "CONFIG_EROFS_FS=m",
                                  "CONFIG_EROFS_FS=1", "CONFIG_BLK_DEV_RAM_SIZE=y", "CONFIG_BLK_DEV_RAM_SIZE=-1",
                                  'CONFIG_DEFAULT_INIT="', "CONFIG_DEFAULT_INIT=", "CONFIG_NOBODY_ASKS=maybe", "config_x=y",
                                  "CONFIG_=y", "CONFIG_X\n=y", ""])
def test_what_is_no_kernel_option(text):
    with pytest.raises(CommandError) as e:
        values.config_value(text)
    assert e.value.code == 3


def test_an_option_that_is_given_twice():
    assert values.parse_config(["CONFIG_RD_XZ=n", "CONFIG_RD_XZ=n"]) == {"CONFIG_RD_XZ": False, "CONFIG_DECOMPRESS_XZ": False}
    with pytest.raises(CommandError, match="twice"):
        values.parse_config(["CONFIG_RD_XZ=n", "CONFIG_RD_XZ=y"])


def test_a_file_is_written_whole_and_not_over_another(tmp_path):
    path = tmp_path / "f"
    values.write_new(str(path), b"one")
    values.write_new(str(path), b"one")                 # it has these bytes already
    with pytest.raises(CommandError, match="EEXIST.*--force"):
        values.write_new(str(path), b"two")
    assert path.read_bytes() == b"one"
    values.write_new(str(path), b"two", force=True)
    assert path.read_bytes() == b"two" and os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("force", (False, True))
def test_never_through_a_link_and_never_over_something_else(tmp_path, force):
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "made-by-nobody")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    os.link(target, tmp_path / "hard")
    for name in ("link", "dangling", "folder", "fifo"):
        with pytest.raises(CommandError, match="EEXIST"):
            values.write_new(str(tmp_path / name), b"x", force)
    with pytest.raises(CommandError, match="EEXIST"):
        values.write_new("/dev/null", b"x", force)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    if force:
        # a new file under that name; the other name keeps its bytes
        values.write_new(str(tmp_path / "hard"), b"x", force)
    assert target.read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["dangling", "fifo", "folder", "hard", "link", "target"]


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    for path, error in ((tmp_path / "no" / "f", FileNotFoundError), (tmp_path / ("n" * 300), OSError)):
        with pytest.raises(error) as e:
            values.write_new(str(path), b"x")
        assert e.value.filename == str(path)
    monkeypatch.setattr(os, "link", lambda *a, **k: (_ for _ in ()).throw(FileExistsError(17, "File exists")))
    with pytest.raises(FileExistsError):                # somebody else was faster
        values.write_new(str(tmp_path / "f"), b"x")
    assert os.listdir(tmp_path) == []


def test_forge_by_its_options(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["forge", "erofs", "--seed", "1", "-o", "a", "-q"]) == 0
    (tmp_path / "b").symlink_to("a")
    assert main(["forge", "erofs", "--seed", "2", "-o", "b", "--force"]) == 1
    assert main(["forge", "erofs", "--seed", "2", "-o", "a"]) == 1
    assert main(["forge", "erofs", "--seed", "2", "-o", "-", "--manifest"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert [line.startswith("kemu: forge: ") for line in err] == [True] * 3 and "neither followed nor replaced" in err[0]
    first = (tmp_path / "a").read_bytes()
    assert main(["forge", "erofs", "--seed", "2", "-o", "a", "--force", "-q"]) == 0
    assert (tmp_path / "a").read_bytes() != first and (tmp_path / "b").is_symlink()
