# SPDX-License-Identifier: GPL-2.0-only
"""Inputs that are small and ask for much: each ends in time and memory, with one line that names the limit and what raises it."""
from __future__ import annotations

import os
import resource
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.measure import used
from kemu.forge import tree as t
from kemu.forge.compressors import lz4_legacy
from kemu.forge.cpio import Member, Segment, encode, trailer
from kemu.forge.erofs.plan import ImagePlan, InodePlan
from kemu.forge.erofs.writer import build
from kemu.machine.hostmodule import host_module

SECONDS, MEMORY = 10.0, 1 << 30
SIZE = 128 << 20            # what a stream becomes; with less memory than that
HUGE = 8 << 40


def run(*args: str, memory: int = MEMORY) -> tuple[int, bytes, str]:
    """Exit code, output, stderr of ``kemu ARGS`` in a process of its own that may use so much processor time and memory."""
    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS) + 1, int(SECONDS) + 2))

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        end = used("-m", "kemu", *args, stdout=out, stderr=err, before=limits)
        out.seek(0)
        err.seek(0)
        said = err.read().decode()
        assert end.seconds < SECONDS, f"{end.seconds:.1f} s of processor time"
        assert end.memory < memory, f"{end.memory >> 20} MiB"
        assert "Traceback" not in said and "internal error" not in said
        return end.code, out.read(), said


def holes(n: int, size: int, kind: type[t.Node] = t.File) -> bytes:
    """An image of ``n`` files whose size is a number and nothing more."""
    root, plan = t.Dir(), ImagePlan(checksum=False)
    for i in range(n):
        node = root.entries[b"h%02d" % i] = t.File(data=bytes(4096))
        plan.inodes[id(node)] = InodePlan(data="hole", extended=True)
    image = build(root, plan)
    data = bytearray(image.data)
    for node in root.entries.values():
        struct.pack_into("<Q", data, image.inodes[id(node)].pos + 8, size)
    return bytes(data)


def resized(node: t.Node, size: int) -> bytes:
    root, plan = t.Dir(), ImagePlan(checksum=False)
    root.entries[b"x"] = node
    plan.inodes[id(node)] = InodePlan(extended=True)
    image = build(root, plan)
    data = bytearray(image.data)
    struct.pack_into("<Q", data, image.inodes[id(node)].pos + 8, size)
    return bytes(data)


@pytest.mark.parametrize("backend", ["bdev", "memback", "fileio"])
def test_holes_of_terabytes(tmp_path: Path, backend: str) -> None:
    image = tmp_path / "holes"
    image.write_bytes(holes(70, HUGE))
    code, out, err = run("mount", str(image), "--backend", backend, "--read-limit", "256M", "--manifest")
    assert code == 1 and out.count(b"\n") == 71
    assert (err
            == "kemu: mount: EFBIG (File too large): /h00: more than 268435456 bytes of files; the rest was not read: "
               "--read-limit SIZE raises that\n")


def test_the_default_limit_of_a_walk(tmp_path: Path) -> None:
    (tmp_path / "holes").write_bytes(holes(1, (1 << 63) - 1))
    code, _, err = run("mount", str(tmp_path / "holes"), "--manifest")
    assert code == 1 and "more than 1073741824 bytes of files" in err


def test_a_file_in_reach_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "holes").write_bytes(holes(1, 100 << 20))
    code, out, err = run("mount", str(tmp_path / "holes"), "--manifest")
    # 100 MiB of zeros
    assert code == 0 and err == "" and b"20492a4d0d84f8beb1767f6616229f85d44c2827b64bdbfb260ee12fa1109e0e" in out


def test_a_hole_as_one_text(tmp_path: Path) -> None:
    (tmp_path / "holes").write_bytes(holes(1, HUGE))
    code, out, err = run("mount", str(tmp_path / "holes"), "--json", "--cat", "/h00")
    assert code == 1 and out == b"" and "more than 33554432 bytes" in err and "--read-limit SIZE" in err and err.count("\n") == 1


@pytest.mark.parametrize("size", [1 << 40, (1 << 63) - 1, (1 << 64) - 1])
@pytest.mark.parametrize("node", [lambda: t.Dir(entries={b"a": t.File(data=b"x")}), lambda: t.Symlink(target=b"y" * 100)],
                         ids=["folder", "symlink"])
def test_sizes_of_other_things(tmp_path: Path, node: Callable[[], t.Node], size: int) -> None:
    (tmp_path / "image").write_bytes(resized(node(), size))
    for view in (["--manifest"], ["--ls", "/"], ["--ls", "/x"], ["--stats"]):
        code, _, err = run("mount", str(tmp_path / "image"), *view)
        assert code in (0, 1) and err.count("\n") == code


def test_a_sparse_image_is_only_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.write_bytes((Path(__file__).parents[1] / "data" / "small.erofs").read_bytes())
    os.truncate(path, HUGE)
    for backend in ("bdev", "memback", "fileio"):
        code, _, err = run("mount", str(path), "--backend", backend, "--manifest")
        assert (code, err) == (0, "")
    code, _, err = run("boot", str(path), "--design", "layered")
    assert (code == 1 and "EFBIG (File too large): 8796093022208 bytes" in err and "--memory-size SIZE raises that" in err
            and err.count("\n") == 1)
    assert run("compare", str(path))[0] == 1


def pieces(pack: str) -> bytes:
    """A member of SIZE zeros, compressed with little memory."""
    head = encode([Segment(members=[Member(b"big", 0o100644, b"", filesize=SIZE)])])
    zeros = bytes(1 << 20)
    if pack == "lz4":
        return lz4_legacy(head + bytes((8 << 20) - len(head))) + lz4_legacy(bytes(8 << 20))[4:] * 15
    if pack == "gzip":
        c = host_module("zlib", "gzip").compressobj(9, 8, 31)
    elif pack == "bzip2":
        c = host_module("bz2", "bzip2").BZ2Compressor(9)
    elif pack == "zstd":
        c = host_module("zstandard", "zstd").ZstdCompressor().compressobj()
    else:
        lzma = host_module("lzma", pack)
        c = (lzma.LZMACompressor(lzma.FORMAT_ALONE, preset=0) if pack == "lzma"
             else lzma.LZMACompressor(check=lzma.CHECK_CRC32, preset=0))
    return b"".join([c.compress(head), *(c.compress(zeros) for _ in range(SIZE >> 20)), c.flush()])


@pytest.mark.parametrize("pack", ["gzip", "xz", "zstd", "lz4", "bzip2", "lzma"])
def test_a_stream_that_becomes_more_than_there_is(tmp_path: Path, pack: str) -> None:
    data = pieces(pack)
    assert len(data) < 5 << 20
    (tmp_path / "bomb").write_bytes(data)
    code, _, err = run("boot", str(tmp_path / "bomb"), "--memory-size", "64M", "--manifest", memory=256 << 20)
    assert code == 255
    assert ("kemu: boot: ENOMEM (Cannot allocate memory): the machine's 64M of memory were used up: --memory-size SIZE gives it "
            "more\n" in err)


def test_many_members(tmp_path: Path) -> None:
    (tmp_path / "many").write_bytes(b"".join(encode([Segment(members=[Member(b"f%06d" % i, 0o100644, b"")])])
                                             for i in range(40_000)) + trailer().encode())
    code, out, _ = run("boot", str(tmp_path / "many"), "--builtin", "none", "--manifest")
    assert code == 255 and out.count(b"\n") == 40_001


def test_a_deep_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").write_bytes(encode([Segment(members=[*(Member(b"d/" * n + b"d", 0o040755) for n in range(2000)),
                                                             trailer()])]))
    code, out, _ = run("boot", str(tmp_path / "deep"), "--builtin", "none", "--manifest")
    assert code == 255 and out.count(b"\n") == 2001


def test_a_member_of_four_gigabytes_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "cut").write_bytes(encode([Segment(members=[Member(b"huge", 0o100644, b"x", filesize=0xFFFFFFF0)])]))
    code, _, err = run("boot", str(tmp_path / "cut"), "--read-limit", "64M", "--manifest")
    assert code == 255 and "EFBIG (File too large): /huge: more than 67108864 bytes of files" in err


@pytest.mark.parametrize("args", [("boot",), ("mount",), ("compare",), ("boot", "--image"), ("boot", "--builtin"),
                                  ("boot", "--table"), ("mount", "x", "--device")],
                         ids=" ".join)
def test_what_never_ends_is_not_read(tmp_path: Path, args: tuple[str, ...]) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "x").write_bytes(bytes(4096))
    for path in ("/dev/zero", str(tmp_path / "fifo"), str(tmp_path)):
        code, out, err = run(*(str(tmp_path / a) if a == "x" else a for a in args), path)
        assert code in (1, 2) and out == b"" and err.startswith(f"kemu: {args[0]}: ") and err.count("\n") == 1


@pytest.mark.parametrize(("cmdline", "size", "want"), [("", "64M", 64), ("mem=48M", "", 48), ("mem=48M", "64M", 48),
                                                       ("mem=96M", "64M", 64), ("mem=", "64M", 64)])
def test_memory_size(cmdline: str, size: str, want: int) -> None:
    from initramfs.harness.boots import boot_initrd

    r = boot_initrd(None, cmdline=cmdline, memory=int(size[:-1] or 0) << 20 if size else 0)
    assert r.machine.mem.nr_pages * 4096 == want << 20
    assert not any("Unknown kernel command line parameters" in line for line in r.log)
