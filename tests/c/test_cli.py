# SPDX-License-Identifier: GPL-2.0-only
"""``--rung c`` on the command line: the same views as of the port, and one line for what goes wrong."""
from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kemu.cli import main
from kemu.rung.asked import asked
from kemu.rung.c.build import Library
from tests.conftest import DATA

DEMO = str(DATA / "demo.erofs")
INITRD = str(DATA / "root.cpio")


def kemu(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kemu", "-q", *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(autouse=True)
def there_is_a_library(library: Callable[[str], Library]) -> None:
    library("plain")


@pytest.mark.parametrize("view", [["--manifest"], ["--ls", "/"], ["--ls", "/bin"], ["--ls", "/bin/init"], ["--cat", "/bin/init"]])
def test_a_view_is_the_same_on_both_rungs(view: list[str]) -> None:
    py, c = kemu("mount", DEMO, *view), kemu("mount", DEMO, "--rung", "c", *view)
    assert (c.returncode, c.stdout, c.stderr) == (py.returncode, py.stdout, py.stderr)
    py, c = kemu("mount", DEMO, "--json", *view), kemu("mount", DEMO, "--rung", "c", "--json", *view)
    assert json.loads(c.stdout) == json.loads(py.stdout)


def test_a_summary_says_where_it_was_mounted() -> None:
    done = kemu("mount", DEMO, "--rung", "c")
    assert done.stdout.endswith("mounted (bdev, rung c), 3 blocks of 4096 bytes, 7 inodes\n")
    assert json.loads(kemu("mount", DEMO, "--rung", "c", "--json").stdout)["inodes"] == 7


@pytest.mark.parametrize("args, code, said", [
    (["mount", DEMO, "--rung", "c", "--cat", "/nope"], 1, "kemu: mount: ENOENT (No such file or directory): /nope"),
    (["mount", INITRD, "--rung", "c"], 1, "kemu: mount: EINVAL (Invalid argument): erofs (device kemu0): cannot find valid erofs "
                                          "superblock"),
    (["mount", DEMO, "--rung", "c", "--backend", "memback"], 2, "kemu: mount: --backend memback: a port without C; "),
    (["mount", DEMO, "--rung", "c", "--at", "4096"], 2, "kemu: mount: --at 4096: --rung c places the image"),
    (["mount", DEMO, "--rung", "c", "--page-size", "65536"], 2, "kemu: mount: --page-size 65536: --rung c has pages"),
    (["boot", INITRD, "--rung", "c", "--memory"], 2, "kemu: boot: --memory: --rung c unpacks an initrd"),
    (["boot", INITRD, "--rung", "c", "--memory-size", "64M"], 2, "kemu: boot: --memory-size: --rung c unpacks an initrd"),
    (["mount", DEMO, "--flavour", "asan"], 2, "kemu: mount: --flavour asan: of --rung c, and this is --rung py"),
    (["boot", INITRD, "--rung", "linux", "--flavour", "asan"], 2, "kemu: boot: --flavour asan: of --rung c"),
    (["mount", DEMO, "--rung", "c", "--read-limit", "10", "--cat", "/etc/text"], 1, "kemu: mount: EFBIG (File too large)"),
    (["mount", DEMO, "--rung", "c", "--read-limit", "10", "--manifest"], 2, "kemu: mount: --read-limit: --rung c"),
    (["boot", "--rung", "c"], 2, "kemu: boot: --rung c unpacks an initrd, and none is given"),
    (["mount", DEMO, "--rung", "c", "--config", "CONFIG_NO_SUCH=y"], 3, "kemu: mount: Kconfig does not take CONFIG_NO_SUCH=y"),
])
def test_what_goes_wrong_is_one_line(args: list[str], code: int, said: str) -> None:
    done = kemu(*args)
    assert done.returncode == code
    assert done.stderr.startswith(said) and done.stderr.count("\n") == 1, done.stderr


@pytest.mark.parametrize("builtin", ["default", "none"])
def test_an_initrd_is_unpacked_as_in_the_port(builtin: str) -> None:
    c = kemu("boot", INITRD, "--rung", "c", "--manifest", "--builtin", builtin)
    py = kemu("boot", INITRD, "--manifest", "--builtin", builtin)
    assert c.returncode == 0, c.stderr
    assert c.stdout == py.stdout


def test_a_broken_archive_says_what_the_kernel_says(tmp_path: Path) -> None:
    bad = tmp_path / "bad.cpio"
    bad.write_bytes((DATA / "root.cpio").read_bytes() + b"no archive, and no compression either")
    done = kemu("boot", str(bad), "--rung", "c", "--dmesg")
    assert done.returncode == 1
    assert done.stderr.startswith("kemu: boot: Initramfs unpacking failed: ")
    lines = done.stdout.splitlines()
    assert lines[0] == "Unpacking initramfs..." and lines[1].startswith("Initramfs unpacking failed: ")
    assert len(lines) == 3 and lines[2].startswith("Freeing initrd memory: ")


def test_parameters_of_the_initrd(tmp_path: Path) -> None:
    said = [kemu("boot", INITRD, "--rung", "c", "--dmesg", "--cmdline", words)
            for words in ("initramfs_async=0", "retain_initrd", "initrdmem=0,4096", "no_such_word=1")]
    freed = ["Freeing initrd memory" in done.stdout for done in said]
    assert freed == [True, False, False, False]
    assert "INITRD: 0x00000000+0x00001000 overlaps in-use memory region" in said[2].stdout
    assert said[3].returncode == 2 and said[3].stderr.startswith("kemu: boot: --cmdline no_such_word=1: --rung c"), said[3].stderr


def test_a_root_that_cannot_be_entered_is_an_entry_with_its_error(tmp_path: Path) -> None:
    data = bytearray((DATA / "demo.erofs").read_bytes())
    nid = int.from_bytes(data[1024 + 14:1024 + 16], "little")
    mode = nid * 32 + 4
    data[mode:mode + 2] = (0o40000).to_bytes(2, "little")       # nobody may: but root may
    data[nid * 32 + 8:nid * 32 + 12] = bytes(4)                 # and it has nothing in it
    bad = tmp_path / "bad.erofs"
    bad.write_bytes(data)
    py, c = kemu("mount", str(bad), "--manifest"), kemu("mount", str(bad), "--rung", "c", "--manifest")
    assert (c.returncode, c.stdout) == (py.returncode, py.stdout)


def test_a_command_leaves_no_flavour_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """Another search in the same process asks the kernel that it would have asked."""
    before = asked("c").flavour
    assert main(["fuzz", "bdev.ground-truth", "--rung", "c", "--flavour", "asan", "--examples", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 2
    assert asked("c").flavour == before == "plain"
