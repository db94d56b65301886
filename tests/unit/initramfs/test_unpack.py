# SPDX-License-Identifier: GPL-2.0-only
"""init/initramfs.c: what an archive becomes, and what is said about a broken one."""
from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.unit.initramfs.archive import archive, record, trailer

from initramfs.harness.boots import boot_initrd


def boot(data: bytes, **kw: Any) -> Any:
    kw.setdefault("builtin", "none")
    return boot_initrd(data, **kw)


def entries(data: bytes, **kw: Any) -> dict[str, dict[str, Any]]:
    return {e["path"]: e for e in boot(data, **kw).tree}


def test_every_kind_of_file() -> None:
    e = entries(archive(record("d", 0o042751, nlink=2, uid=1, gid=2), record("d/f", 0o104755, b"hello", uid=1000, gid=100),
                        record("d/l", 0o120777, b"f"), record("c", 0o020600, rdev=(5, 1)), record("b", 0o060640, rdev=(8, 300)),
                        record("p", 0o010644), record("s", 0o140755)))
    assert e["/d"]["mode"] == 0o2751 and e["/d"]["uid"] == 1 and e["/d"]["gid"] == 2 and e["/d"]["nlink"] == 2
    assert e["/d"]["mtime"] == [1_600_000_000, 0]           # set after what is inside was made
    assert e["/d/f"]["mode"] == 0o4755 and e["/d/f"]["size"] == 5 and e["/d/f"]["uid"] == 1000
    assert e["/d/l"]["target"] == "f"
    assert e["/c"]["rdev"] == [5, 1] and e["/b"]["rdev"] == [8, 300]
    assert e["/p"]["type"] == "fifo" and e["/s"]["type"] == "socket"


def test_hard_links_share_an_inode_and_their_data_may_come_last() -> None:
    e = entries(archive(record("a", ino=9, nlink=3), record("b", ino=9, nlink=3), record("c", data=b"xyz", ino=9, nlink=3)))
    assert [e[p]["size"] for p in ("/a", "/b", "/c")] == [3, 3, 3]
    assert {e[p]["nlink"] for p in ("/a", "/b", "/c")} == {3}
    assert len({e[p]["sha256"] for p in ("/a", "/b", "/c")}) == 1


def test_the_link_hash_is_emptied_by_the_trailer() -> None:
    e = entries(archive(record("a", data=b"1", ino=9, nlink=2)) + archive(record("b", data=b"2", ino=9, nlink=2)))
    assert e["/a"]["nlink"] == e["/b"]["nlink"] == 1


@pytest.mark.parametrize(("data", "message"), [
    (record("f", magic=b"070707"), "incorrect cpio method used: use -H newc option"),
    (record("f", magic=b"070703"), "no cpio magic"),
    (record("f").replace(b"000081A4", b"0000 1A4"), "damaged header"),
    (record("f", data=b"abc", magic=b"070702", csum=1), "bad data checksum"),
    (record("f", namesize=1) + bytes(4), "malformed archive"),
    (b"not an archive", "invalid magic at start of compressed archive"),
    (gzip.compress(archive(record("f")) + b"junk", mtime=0), "junk within compressed archive"),
    (gzip.compress(b"", mtime=0), "junk at the end of compressed archive"),
    (gzip.compress(archive(record("f", data=bytes(range(256)) * 40)), mtime=0)[:90], "read error"),
    (archive(record("f")) + b"\0" + archive(record("g")), "broken padding"),
], ids=lambda x: x if isinstance(x, str) else "")
def test_messages(data: bytes, message: str) -> None:
    r = boot(data)
    assert r.unpack_error == message
    assert r.splats == []


def test_a_right_checksum_is_accepted() -> None:
    data = bytes(range(256))
    r = boot(archive(record("f", data=data, magic=b"070702", csum=sum(data))))
    assert r.unpack_error is None


def test_a_name_without_nul_is_shown() -> None:
    r = boot(record("abcdefg", namesize=4))
    assert r.unpack_error == "malformed archive"
    assert "initramfs name without nulterm: abcd" in r.log


def test_what_was_unpacked_before_an_error_stays() -> None:
    r = boot(record("good", data=b"x") + b"junk")
    assert r.unpack_error
    assert "/good" in {e["path"] for e in r.tree}


def test_what_is_there_of_another_type_is_replaced() -> None:
    e = entries(archive(record("x", 0o120777, b"target"), record("x", data=b"now a file"), record("y", 0o040755, nlink=2),
                        record("y", 0o120777, b"now a link")))
    assert e["/x"]["type"] == "file" and e["/x"]["size"] == 10
    assert e["/y"]["type"] == "symlink"


def test_a_directory_that_is_not_empty_stays() -> None:
    e = entries(archive(record("d", 0o040755, nlink=2), record("d/f"), record("d", 0o120777, b"elsewhere")))
    assert e["/d"]["type"] == "dir" and "/d/f" in e


def test_the_second_archive_wins_and_zeros_between_do_not_matter() -> None:
    e = entries(archive(record("f", data=b"first, and longer")) + bytes(512) + gzip.compress(archive(record("f", data=b"second")))
                + bytes(9))
    assert e["/f"]["size"] == 6


def test_symlink_targets_of_every_length() -> None:
    for n in (1, 60, 127, 128, 4095):
        e = entries(archive(record("l", 0o120777, b"t" * n)), cmdline="root=0:0")
        assert e["/l"]["target"] == "t" * n, n
        if n < 4095:
            e = entries(archive(record("l", 0o120777, b"t" * n)), cmdline="root=0:0 rootfstype=tmpfs")
            assert e["/l"]["target"] == "t" * n, n


def test_a_truncated_file_keeps_its_size_and_gets_zeros() -> None:
    whole = record("f", data=b"\xff" * 10000)
    e = entries(whole[:-5000])
    assert e["/f"]["size"] == 10000


def test_the_builtin_archive() -> None:
    e = entries(archive(record("dev/null", 0o020666, rdev=(1, 3))), builtin="default")
    assert e["/dev/console"]["rdev"] == [5, 1] and e["/dev/null"]["rdev"] == [1, 3] and e["/root"]["mode"] == 0o700
    r = boot(b"", builtin=b"not an archive either")
    assert r.ended == "panic"
    assert "invalid magic at start of compressed archive" in r.error.title


def test_large_padding_is_quick_and_right() -> None:
    r = boot(archive(record("a")) + bytes(1 << 20) + archive(record("b")))
    assert {"/a", "/b"} <= {e["path"] for e in r.tree}


def test_not_an_initramfs_with_a_ram_disk_becomes_an_image() -> None:
    r = boot(b"-rom1fs-" + bytes(5000), config={"CONFIG_BLK_DEV_RAM": True})
    assert any("rootfs image is not initramfs (invalid magic at start of compressed archive); looks like an initrd" in x
               for x in r.log)
    image = next(e for e in r.tree if e["path"] == "/initrd.image")
    assert image["size"] == 5008 and image["mode"] == 0o700


def test_initramfs_force_ignores_the_initrd() -> None:
    r = boot(archive(record("f")), config={"CONFIG_INITRAMFS_FORCE": True})
    assert [e["path"] for e in r.tree] == ["/"]


def test_a_trailer_alone_is_an_archive() -> None:
    assert boot(trailer()).unpack_error is None
