# SPDX-License-Identifier: GPL-2.0-only
"""``kemu boot`` as a command: views, exit codes, bad input."""
from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from kemu.cli import main
from kemu.report import manifest
from tests.unit.initramfs.archive import ELF, archive, record

GOOD = archive(record("init", 0o100755, ELF), record("etc", 0o040755, nlink=2), record("etc/f", data=b"hello"))


@pytest.fixture
def good(tmp_path: Path) -> str:
    p = tmp_path / "initrd"
    p.write_bytes(GOOD)
    return str(p)


def run(capsys: Any, *args: str) -> tuple[int, str, str]:
    code = main(["boot", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_manifest(capsys: Any, good: str) -> None:
    code, out, err = run(capsys, good, "--manifest", "--builtin", "none")
    assert (code, err) == (0, "")
    entries = manifest.loads(out)
    assert [e["path"] for e in entries] == ["/", "/etc", "/etc/f", "/init"]
    assert [e["size"] for e in entries] == [None, None, 5, len(ELF)]
    assert json.loads(run(capsys, good, "--manifest", "--json", "--builtin", "none")[1]) == entries


def test_manifest_of_a_boot_that_fails(capsys: Any, tmp_path: Path) -> None:
    p = tmp_path / "x"
    p.write_bytes(archive(record("only")))
    code, out, err = run(capsys, str(p), "--manifest", "--builtin", "none")
    assert code == 255
    assert [e["path"] for e in manifest.loads(out)] == ["/", "/only"]
    assert err == "kemu: boot: Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n"


def test_dmesg_ends_with_how_it_ended(capsys: Any, good: str, tmp_path: Path) -> None:
    assert run(capsys, good, "--dmesg")[1].splitlines()[-1] == "Run /init as init process"
    p = tmp_path / "x"
    p.write_bytes(b"")
    code, out, _ = run(capsys, str(p), "--dmesg")
    assert code == 255 and out.splitlines()[-1].startswith("Kernel panic - not syncing: ")


def test_other_views(capsys: Any, good: str) -> None:
    code, out, _ = run(capsys, good, "--initcalls")
    lines = out.splitlines()
    assert code == 0 and lines[0] == "entering initcall level: early" and "calling  populate_rootfs @ 1" in lines
    assert lines[lines.index("calling  populate_rootfs @ 1") + 1] == "initcall populate_rootfs returned 0 after 0 usecs"
    code, out, _ = run(capsys, good, "--memory", "--at", "100")
    assert "at offset 100 of a page" in out and "reserved" in out
    d = json.loads(run(capsys, good, "--memory", "--json")[1])
    assert d["initrd"]["size"] == len(GOOD) and d["initrd"]["events"][0]["what"] == "loaded"
    m = json.loads(run(capsys, good, "--mounts", "--json")[1])
    assert [x["type"] for x in m] == ["nullfs", "rootfs"]
    s = json.loads(run(capsys, good, "--json")[1])
    assert s["ended"] == "init" and s["reports"] == []


def test_the_table_of_another_build(capsys: Any, good: str, tmp_path: Path) -> None:
    t = tmp_path / "System.map"
    t.write_text("c1 d __initcall__kmod_initramfs__1_792_populate_rootfsrootfs\nc2 d __initcall__kmod_x__2_1_other7\n")
    code, out, _ = run(capsys, good, "--initcalls", "--table", str(t))
    names = [x.split()[1] for x in out.splitlines() if x.startswith("calling")]
    assert code == 0 and names.index("populate_rootfs") < names.index("other") and "spawn_ksoftirqd" not in names
    code, out, _ = run(capsys, good, "--compare-table", str(t))
    assert code == 0 and "- early     spawn_ksoftirqd" in out.splitlines() and "+ late      other, first" in out.splitlines()
    t.write_text("nothing")
    assert run(capsys, good, "--initcalls", "--table", str(t))[0] == 1


@pytest.mark.parametrize(("args", "code", "error"), [
    (["/nowhere"], 1, "ENOENT"), (["/"], 1, "EISDIR"), (["GOOD", "--builtin", "/nowhere"], 1, "ENOENT"),
    (["GOOD", "--config", "FOO"], 3, "CONFIG_X=VALUE"),
    (["GOOD", "--config", "CONFIG_X="], 3, "y, n, a number"),
    (["GOOD", "--at", "-1"], 2, "'-1' is not a number of bytes from 0 on"), (["GOOD", "--image", "x"], 2, "--design"),
    (["GOOD", "--table", "/nowhere"], 1, "ENOENT"),
])
def test_bad_input_is_one_line(capsys: Any, good: str, args: list[str], code: int, error: str) -> None:
    got, out, err = run(capsys, *[good if a == "GOOD" else a for a in args])
    assert got == code and out == ""
    assert err.count("\n") == 1 and err.startswith("kemu: boot: ") and error in err


def test_a_reported_over_read_fails_the_boot(capsys: Any, tmp_path: Path) -> None:
    import bz2
    import random

    p = tmp_path / "cut"
    p.write_bytes(bz2.compress(random.Random(1).randbytes(50_000))[:-20_000])
    code, out, err = run(capsys, str(p), "--dmesg")
    assert code == 255
    assert "BUG: KASAN: out-of-bounds in" in out and "Initramfs unpacking failed: decompressor failed" in out
    assert err.startswith("kemu: boot: BUG: KASAN: out-of-bounds in")


def test_a_kernel_without_initrds(capsys: Any, good: str) -> None:
    """init/noinitramfs.c: the same three names, and nothing of the initrd is looked at."""
    code, out, _ = run(capsys, good, "--manifest", "--config", "CONFIG_BLK_DEV_INITRD=n")
    assert code == 255 and [json.loads(x)["path"] for x in out.splitlines()] == ["/", "/dev", "/dev/console", "/root"]
    _, out, _ = run(capsys, good, "--initcalls", "--config", "CONFIG_BLK_DEV_INITRD=n")
    assert any(x.startswith("calling  default_rootfs @") for x in out.splitlines()) and "populate_rootfs" not in out


def test_a_method_that_is_off(capsys: Any, good: str, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(Path(good).read_bytes()))
    _, out, _ = run(capsys, str(packed), "--dmesg", "--config", "CONFIG_RD_GZIP=n")
    lines = out.splitlines()
    assert (lines.index("compression method gzip not configured") + 1
            == lines.index("Initramfs unpacking failed: decompressor failed"))


def test_options_with_values(capsys: Any, tmp_path: Path) -> None:
    path = tmp_path / "initrd"
    path.write_bytes(archive(record("init", 0o100755, b"no program"), record("other", 0o100755, ELF)))
    code, out, err = run(capsys, str(path), "--dmesg", "--config", 'CONFIG_DEFAULT_INIT="/other"', "--config",
                         "CONFIG_NOBODY_ASKS=y")
    assert code == 0 and out.splitlines()[-1] == "Run /other as init process" and "Failed to execute /init (error -8)" in out
    assert "CONFIG_NOBODY_ASKS: no code here asks for it" in err
    code, out, err = run(capsys, "--dmesg", "--cmdline", "a b", "--config", "CONFIG_INIT_ENV_ARG_LIMIT=1")
    assert code == 255 and out.splitlines()[-1] == "Kernel panic - not syncing: Too many boot init vars at `b'"


def test_every_call_that_can_fail(capsys: Any, good: str) -> None:
    """--faults: a row for each; what is told as --fail-nth N is what that row says."""
    code, out, _ = run(capsys, good, "--faults", "--json")
    rows = json.loads(out)
    assert code == 0 and [r["n"] for r in rows] == list(range(1, len(rows) + 1)) and len(rows) > 100
    ends = {r["end"] for r in rows}
    assert {"Run /init as init process", "Kernel panic - not syncing: Can't create rootfs",
            "Kernel panic - not syncing: can't allocate buffers"} <= ends
    one = next(r for r in rows if r["end"].endswith("can't allocate buffers"))
    assert one["site"].startswith("unpack_to_rootfs (initramfs/unpack.py:") and one["tree"] == "none"
    code, out, err = run(capsys, good, "--dmesg", "--fail-nth", str(one["n"]))
    assert code == 255 and out.splitlines()[-1] == one["end"] and f"fallible call {one['n']} fails" in err
    code, _, err = run(capsys, good, "--dmesg", "--fail-nth", "99999")
    assert code == 0 and "none has failed" in err
    code, out, _ = run(capsys, good, "--faults")
    assert code == 0 and out.splitlines()[0].startswith(f"{len(rows)} calls can fail")
