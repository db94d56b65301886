# SPDX-License-Identifier: GPL-2.0-only
"""One boot per initrd: the tree at "/", and how the boot ends."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kemu.report import manifest
from kemu.rung.uml import BootError, Oracle, boot_initrd
from kemu.rung.uml.build import Kernel
from tests.uml.conftest import CORPUS, rows
from tests.uml.test_oracle import _compare_trees

pytestmark = pytest.mark.linux
CPIO = CORPUS / "cpio"


def member(name: str, data: bytes = b"", mode: int = 0o100644, nlink: int = 1) -> bytes:
    """One newc member."""
    fields = [1, mode, 0, 0, nlink, 1_500_000_000, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    pad = lambda b: b + bytes(-len(b) % 4)
    return pad(head) + pad(data)


TRAILER = member("TRAILER!!!", mode=0)


@pytest.fixture(scope="session")
def init(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A program that does nothing, for ever."""
    folder = tmp_path_factory.mktemp("init")
    (folder / "init.c").write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
    subprocess.run(["gcc", "-static", "-O2", "-s", "-o", folder / "init", folder / "init.c"], check=True)
    return (folder / "init").read_bytes()


def test_an_init_that_can_be_run(kernel: Kernel, init: bytes) -> None:
    boot = boot_initrd(member("init", init, 0o100755) + TRAILER, kernel=kernel)
    assert (boot.end, boot.init, boot.exit_code) == ("init", "/init", 0)
    assert boot.console.rstrip().splitlines()[-1] == "Run /init as init process"
    assert [e["path"] for e in boot.entries or []] == ["/", "/dev", "/dev/console", "/init", "/root"]


@pytest.mark.parametrize("at", [0, 1, 64, 2049, 4095])
def test_the_offset_in_memory_is_the_one_asked_for(kernel: Kernel, init: bytes, at: int) -> None:
    boot = boot_initrd(member("init", init, 0o100755) + TRAILER, at=at, kernel=kernel)
    assert f"bytes at page offset {at:#x}\n" in boot.console and boot.end == "init"


def test_no_init(kernel: Kernel) -> None:
    boot = boot_initrd(member("x", b"y") + TRAILER, kernel=kernel, builtin="none")
    assert (boot.end, boot.exit_code) == ("panic", 255)
    assert (boot.panic or "").startswith("VFS: Unable to mount root fs on unknown-block(0,0)")
    assert boot.console.rstrip().splitlines()[-1] == f"Kernel panic - not syncing: {boot.panic}"
    assert [e["path"] for e in boot.entries or []] == ["/", "/x"], "the tree is there all the same"


def test_an_init_that_is_no_program(kernel: Kernel) -> None:
    boot = boot_initrd(member("init", b"\x7fELF", 0o100755) + TRAILER, kernel=kernel)
    assert (boot.end, boot.exit_code) == ("panic", 255) and "No working init found" in (boot.panic or "")
    assert "Failed to execute /init (error -8)" in boot.console


def test_the_command_line_reaches_the_kernel(kernel: Kernel, init: bytes) -> None:
    boot = boot_initrd(member("sbin", mode=0o40755) + member("sbin/x", init, 0o100755) + TRAILER, 'rdinit=/sbin/x quoted="a b"',
                       kernel=kernel)
    assert boot.init == "/sbin/x" and "quoted=a b" in boot.console


def test_a_broken_archive_is_said_to_be_one(kernel: Kernel) -> None:
    boot = boot_initrd(b"nonsense", kernel=kernel)
    assert boot.unpack_error == "invalid magic at start of compressed archive" and boot.end == "panic"


def test_the_builtin_archive_can_be_a_file(kernel: Kernel, tmp_path: Path, tree: object) -> None:
    (tmp_path / "b.cpio").write_bytes(member("from-the-builtin", b"1") + TRAILER)
    boot = boot_initrd(member("x", b"y") + TRAILER, builtin=str(tmp_path / "b.cpio"),
                       tree=tree.path)  # type: ignore[attr-defined]
    assert [e["path"] for e in boot.entries or []] == ["/", "/from-the-builtin", "/x"]


def test_every_archive_of_the_corpus_in_a_boot_of_its_own(kernel: Kernel) -> None:
    wrong = []
    for row in rows(CPIO / "index.jsonl"):
        boot = boot_initrd(CPIO / row["name"], kernel=kernel, builtin="none")
        if row["crash"]:
            if boot.end != "panic" or boot.entries is not None:
                wrong.append(f"{row['name']}: {boot.end}")
            continue
        said = [f"Initramfs unpacking failed: {boot.unpack_error}"] if boot.unpack_error else []
        if said != row["kernel_message"]:
            wrong.append(f"{row['name']}: {said}, not {row['kernel_message']}")
        text = _compare_trees(manifest.load(CPIO / f"{row['name']}.jsonl"), boot.entries or [])
        wrong += [f"{row['name']}: {text}"] if text else []
    assert not wrong, "\n".join(wrong)


def test_a_boot_and_the_oracle_agree(kernel: Kernel, oracle: Oracle) -> None:
    archive = b"".join([member("d", mode=0o40700), member("d/f", b"data" * 3000), member("l", b"d/f", 0o120777),
                        member("p", mode=0o10600),
                        member("f2", b"x", nlink=2), TRAILER])
    boot = boot_initrd(archive, kernel=kernel, builtin="none")
    assert manifest.diff(boot.entries or [], oracle.cpio(archive).entries, "boot", "oracle") == ""


def test_a_kernel_that_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "linux").write_text("not a kernel")
    with pytest.raises(BootError):
        boot_initrd(b"", kernel=tmp_path / "linux")
