# SPDX-License-Identifier: GPL-2.0-only
"""kemu mount -o: what mount(8) keeps to itself, what the file system gets, which part of the image it is; --config; what a
refusal says.
"""
from __future__ import annotations

from pathlib import Path

import pytest

from kemu.cli import main
from kemu.cli._mount_options import parse

DATA = Path(__file__).parents[2] / "data"
SMALL = DATA / "small.erofs"


@pytest.mark.parametrize(("text", "data"), [
    ("ro,loop", ""), ("defaults,noatime,nodev,nosuid,noexec,ro", ""),
    ("X-mount.mkdir,x-systemd.automount,_netdev,nofail,user=me", ""),
    ("loop=/dev/loop3,ro,dax=never", "dax=never"), ('user_xattr,ro,domain_id="a,b",noacl', 'user_xattr,domain_id="a,b",noacl'),
    (",,ro,", ""),
    ("rox", "rox"), ("ro=1", "ro=1"), ("cache_strategy=disabled,rw,relatime,lazytime,silent", "cache_strategy=disabled"),
])
def test_what_the_file_system_gets(text: str, data: str) -> None:
    assert parse([text]).data == data


@pytest.mark.parametrize(("text", "offset", "size"), [
    ("offset=4096", 4096, None), ("offset=4K,sizelimit=8KiB", 4096, 8192), ("offset=1KB", 1000, None),
    ("offset=0x200,sizelimit=0", 512, None),
    ("sizelimit=1M,ro", 0, 1 << 20),
])
def test_the_part_of_the_image(text: str, offset: int, size: int | None) -> None:
    got = parse([text])
    assert (got.data, got.offset, got.size) == ("", offset, size)


@pytest.mark.parametrize("text", ["remount,ro", "bind", "offset=x", "offset=", "offset=-1", "sizelimit=1Q",
                                  "offset=9999999999999999999", 'domain_id="a'])
def test_what_no_mount_takes_is_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mount", str(SMALL), "-o", text]) == 2
    err = capsys.readouterr().err
    assert err.startswith("kemu: mount: -o ") and err.count("\n") == 1


def test_a_bug_reports_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mount", str(SMALL), "-o", "ro,loop,noatime,user_xattr", "--manifest"]) == 0
    with_options = capsys.readouterr().out
    assert main(["mount", str(SMALL), "--manifest"]) == 0
    assert with_options == capsys.readouterr().out


@pytest.mark.parametrize("backend", ["bdev", "memback", "fileio"])
def test_an_image_within_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str) -> None:
    image = SMALL.read_bytes()
    (tmp_path / "disk").write_bytes(b"\xff" * 5120 + image + b"\xff" * 100)
    assert (main(["mount", str(tmp_path / "disk"), "--backend", backend, "-o", f"loop,offset=5K,sizelimit={len(image)}",
                  "--manifest"]) == 0)
    inside = capsys.readouterr().out
    assert main(["mount", str(SMALL), "--backend", backend, "--manifest"]) == 0
    assert inside == capsys.readouterr().out
    assert main(["mount", str(tmp_path / "disk"), "-o", "offset=1M"]) == 1
    assert "EINVAL (Invalid argument)" in capsys.readouterr().err


def test_config(capsys: pytest.CaptureFixture[str]) -> None:
    image = str(DATA / "small-lz4.erofs")
    assert main(["mount", image, "--config", "CONFIG_EROFS_FS_ZIP=n"]) == 1
    assert "compression disabled, unable to mount compressed EROFS" in capsys.readouterr().err
    assert main(["mount", image, "--config", "CONFIG_X=m"]) == 3
    capsys.readouterr()
    assert main(["mount", image, "--config", "CONFIG_NO_SUCH_THING=y"]) == 0
    assert "no code here asks for it" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["bdev", "memback", "memback-rfc", "fileio", "dax"])
@pytest.mark.parametrize(("damage", "said"), [
    (lambda d: d[:1024] + bytes(4) + d[1028:], "cannot find valid erofs superblock"),
    (lambda d: d[:1036] + b"\x07" + d[1037:], "blkszbits 7 isn't supported"),
])
def test_a_refusal_has_the_kernels_line_about_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str, damage,
                                                 said: str) -> None:
    (tmp_path / "bad").write_bytes(damage(SMALL.read_bytes()))
    assert main(["mount", str(tmp_path / "bad"), "--backend", backend]) == 1
    err = capsys.readouterr().err
    assert err.startswith("kemu: mount: EINVAL (Invalid argument): erofs (device ") and err.endswith(f": {said}\n")


@pytest.mark.parametrize("backend", ["bdev", "memback", "memback-rfc", "fileio", "dax"])
def test_where_the_kernel_says_nothing_that_is_said(capsys: pytest.CaptureFixture[str], backend: str) -> None:
    assert main(["mount", str(DATA / "public" / "metabox-short.erofs"), "--backend", backend]) == 1
    assert capsys.readouterr().err == "kemu: mount: EUCLEAN (Structure needs cleaning): the kernel logged nothing about it\n"
