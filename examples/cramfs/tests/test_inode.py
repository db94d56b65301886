# SPDX-License-Identifier: GPL-2.0-only
"""inode.c, function by function."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kemu.linux.fs import DirContext
from kemu.linux.port.honesty import ports
from kemu.linux.statfs import kstatfs
from kemu.report.csource import find_function, pin
from kemu.report.walk import walk
from kemu.rung.py.mount import start, umount

import cramfs
from cramfs import inode
from cramfs.harness.mount import Mounted, MountError, machine_for, mount_in, mounted
from cramfs.harness.writer import EXT_POINTERS, HOLES, SORTED, VERSION_2, Node, Plan, build

TREE = Path.home() / ".cache/kemu/linux/linux-source-7.2"


def image(root: Node, **plan: Any) -> bytes:
    return build(root, Plan(**plan)).data


def one(data: bytes, *forms: str, flags: int = VERSION_2 | SORTED) -> bytes:
    return image(
        Node("dir", 0o755, entries={b"f": Node("file", data=data, forms=list(forms))}),
        flags=flags | (EXT_POINTERS if forms else 0),
    )


def entries(m: Mounted) -> dict[str, dict[str, Any]]:
    return {e["path"]: e for e in walk(m.path)}


@pytest.fixture
def m() -> Iterator[Mounted]:
    names = [b"a", b"b", b"bb", b"c" * 252]
    with mounted(image(Node("dir", 0o700, entries={n: Node("file", data=n * 3000) for n in names}))) as m:
        yield m


@pytest.mark.parametrize(
    "mode,size,offset,ino",
    [
        (0o100644, 5, 100, 400),
        (0o040755, 12, 19, 76),
        (0o120777, 1, 20, 80),
        (0o100644, 0, 100, 33),
        (0o100644, 5, 0, 33),
        (0o020600, 0x103, 100, 33),
        (0o010600, 7, 100, 33),
    ],
)
def test_cramino(mode: int, size: int, offset: int, ino: int) -> None:
    assert inode.cramino(SimpleNamespace(mode=mode, size=size, offset=offset), 32) == ino  # type: ignore[arg-type]


def test_blocks_are_read_once_while_a_buffer_has_them(m: Mounted) -> None:
    sb, counters = m.mnt.mnt_sb, m.machine.counters
    first = inode.cramfs_blkdev_read(sb, 0, 76)
    before = counters.bytes_copied
    assert inode.cramfs_blkdev_read(sb, 4096, 4096 * 3) == first + 4096 and counters.bytes_copied == before
    assert inode.cramfs_blkdev_read(sb, 4096, 4096 * 3 + 1) == inode.g.read_buffers[1]  # not all of it is in the first
    assert counters.bytes_copied > before and inode.g.next_buffer == 0
    assert inode.cramfs_blkdev_read(sb, 0, 0) == 0


def test_what_is_behind_the_device_reads_as_zeros(m: Mounted) -> None:
    from kemu.linux.string import mem_read

    p = inode.cramfs_blkdev_read(m.mnt.mnt_sb, 1 << 20, 300)
    assert mem_read(p, 300) == bytes(300)


def test_a_mount_forgets_what_the_buffers_had() -> None:
    with machine_for(b"") as machine:
        a = mount_in(machine, one(b"first"))
        assert entries(a)["/f"]["size"] == 5
        umount(a.mnt)
        assert entries(mount_in(machine, one(b"another")))["/f"]["size"] == 7


def test_statfs(m: Mounted) -> None:
    buf = kstatfs()
    assert inode.cramfs_statfs(m.path.dentry, buf) == 0
    assert (buf.f_type, buf.f_bsize, buf.f_blocks, buf.f_files, buf.f_namelen, buf.f_bfree) == (0x28CD3D45, 4096, 189, 5, 252, 0)


def test_the_root_can_be_read_by_everybody(m: Mounted) -> None:
    assert entries(m)["/"]["mode"] == 0o755


def readdir(m: Mounted, pos: int) -> tuple[int, list[bytes], int]:
    names: list[bytes] = []

    def actor(ctx: Any, name: bytes, namelen: int, offset: int, ino: int, d_type: int) -> bool:
        names.append(name)
        return len(names) < 2

    ctx = DirContext(actor)
    ctx.pos = pos
    file = SimpleNamespace(f_inode=m.path.dentry.d_inode)
    return inode.cramfs_readdir(file, ctx), names, ctx.pos  # type: ignore[arg-type]


def test_readdir_goes_on_where_it_was(m: Mounted) -> None:
    assert readdir(m, 0) == (0, [b"a", b"b"], 16)  # the second one did not fit
    assert readdir(m, 32) == (0, [b"bb", b"c" * 252], 48)
    assert readdir(m, 2)[0] == -22 and readdir(m, 1 << 20) == (0, [], 1 << 20)


@pytest.mark.parametrize("flags", [VERSION_2, VERSION_2 | SORTED])
def test_lookup(flags: int) -> None:
    from kemu.linux.namei import filename_lookup, getname
    from kemu.linux.path import Path as KPath
    from kemu.linux.path import path_put

    names = [b"a", b"ab", b"abc", b"abcd", b"b\xff", b"\xff"]
    with mounted(image(Node("dir", 0o755, entries={n: Node("fifo") for n in names}), flags=flags)) as m:
        for name in (*names, b"aa", b"abd", b"zz", b"abcde", b"c" * 252):
            path = KPath()
            err = filename_lookup(-100, getname(name), 0, path, m.path)
            assert err == (0 if name in names else -2), name
            if not err:
                path_put(path)


def test_a_name_of_zeros_is_an_error() -> None:
    data = bytearray(image(Node("dir", 0o755, entries={b"abcd": Node("fifo")})))
    data[88:92] = bytes(4)
    with mounted(bytes(data)) as m:
        assert entries(m)["/"]["error"] == "EIO"


def test_an_unknown_type_is_an_error() -> None:
    data = bytearray(image(Node("dir", 0o755, entries={b"abcd": Node("fifo")})))
    data[77] = 0x30
    with mounted(bytes(data)) as m:
        assert entries(m)["/abcd"]["error"] == "EIO"
        assert any("CRAMFS: Invalid file type" in line for line in m.machine.log.lines())


@pytest.mark.parametrize(
    "forms",
    [
        (),
        ("zlib", "zlib"),
        ("stored", "zlib"),
        ("direct zlib", "zlib"),
        ("direct stored", "stored"),
        ("direct stored", "direct stored"),
        ("zlib", "direct zlib"),
    ],
    ids=" ".join,
)
def test_the_forms_of_blocks(forms: tuple[str, ...]) -> None:
    import hashlib

    data = bytes(range(256)) * 30
    with mounted(one(data, *forms)) as m:
        assert entries(m)["/f"]["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_hole_takes_no_room() -> None:
    root = Node("dir", 0o755, entries={b"f": Node("file", data=bytes(8192), forms=["hole", "hole"])})
    with mounted(image(root, flags=VERSION_2 | HOLES)) as m:
        assert m.region.size == 4096 and entries(m)["/f"]["error"] is None


@pytest.mark.parametrize("size", [4096, 8192])
def test_linux_reads_the_last_block_that_is_direct_stored_and_whole_as_zeros(size: int) -> None:
    """As it is in Linux (tests/linux says so too): block_len = offset_in_page(inode->i_size) is 0 then, which is taken for a
    hole."""
    from kemu.linux.namei import filename_lookup, getname
    from kemu.linux.path import Path as KPath
    from kemu.report.walk import contents

    with mounted(one(b"x" * size, *["direct stored"] * (size // 4096))) as m:
        path = KPath()
        assert filename_lookup(-100, getname(b"f"), 0, path, m.path) == 0
        assert b"".join(p for p in contents(path) if isinstance(p, bytes)) == b"x" * (size - 4096) + bytes(4096)


def test_bad_block_sizes_are_errors() -> None:
    data = bytearray(one(b"y" * 5000, "zlib", "zlib"))
    at = 76 + 12 + 4  # its block pointers
    data[at : at + 4] = (at + 8 + 8193).to_bytes(4, "little")
    with mounted(bytes(data)) as m:
        assert entries(m)["/f"]["error"] == "EIO"
        assert any(line.endswith("cramfs: bad data blocksize 8193") for line in m.machine.log.lines())


def test_without_a_block_device_half_there_is_no_mount() -> None:
    with pytest.raises(MountError) as info, mounted(one(b""), config={"CONFIG_CRAMFS_BLOCKDEV": False}):
        pass
    assert info.value.errno == 92  # ENOPROTOOPT


def test_loading_and_unloading_leave_nothing() -> None:
    with machine_for(b"") as machine:
        start()
        before = machine.counters.pages_in_use, set(machine.slab.live)
        assert inode.init_cramfs_fs() == 0 and inode.init_cramfs_fs() == -16  # -EBUSY, and the stream is given back once
        inode.exit_cramfs_fs()
        assert inode.init_cramfs_fs() == 0
        inode.exit_cramfs_fs()
        assert (machine.counters.pages_in_use, set(machine.slab.live)) == before


def test_every_function_is_pinned_to_its_c() -> None:
    pins = json.loads((Path(cramfs.__file__).parent / "pins.json").read_text())
    mine = {f"{p.path}:{p.c_name}" for p in ports if p.module.startswith("cramfs.")}
    assert mine == pins.keys() and len(mine) == 24
    if not (TREE / "fs/cramfs").is_dir():
        pytest.skip(f"the hashes are not checked: no kernel tree at {TREE} (kemu linux fetch)")
    for key, want in pins.items():
        path, name = key.split(":")
        fn = find_function((TREE / path).read_text(), name)
        assert fn is not None and pin(fn.text) == want, key
