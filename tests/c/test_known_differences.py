# SPDX-License-Identifier: GPL-2.0-only
"""The rows of tests/data/known-differences, as the kernel's C in this process shows them."""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from kemu.forge.erofs.shared import MOUNT_OPTIONS
from kemu.machine.machine import Machine
from kemu.rung.c.build import Library
from kemu.rung.c.kernel import Kernel
from kemu.rung.differential import Seen, difference, seen
from tests.conftest import DATA

from erofs_memback.harness.differential import CONFIG, ROOM, Case
from erofs_memback.harness.mount import EROFS
from initramfs.harness.differential import by_linux, by_port, disagreement, known

FOLDER = DATA / "known-differences"
ARCHIVES = sorted(p for p in FOLDER.iterdir() if p.suffix in (".cpio", ".lz4", ".lzma"))


def case(name: str) -> Case:
    return Case((FOLDER / f"{name}.erofs").read_bytes())


def here(c: Case, backend: str) -> Seen:
    return c.here(Machine(memory=ROOM, series=EROFS.backend(backend).series(), config=CONFIG), backend)


def contents(s: Seen) -> str:
    return str(next(e["sha256"] for e in s.entries if e["path"] == "/f"))


@pytest.mark.parametrize("name, what", [
    ("deflate-short", lambda old: b"A" * 16 + old[16:2000]),
    ("lz4-offset-0", lambda old: b"sixteen literals" + old[16:20] * 4 + b"sixteen literals"),
])
def test_memory_that_nobody_has_written(library: Callable[[str], Library], name: str, what: Callable[[bytes], bytes]) -> None:
    c = case(name)
    for fill in (None, 0x5A, 0xA5):
        with Kernel(library=library("plain"), fill=fill) as k:
            assert contents(seen(k.erofs(c.data))) == hashlib.sha256(what(bytes([fill or 0]) * 4096)).hexdigest()
    assert contents(here(c, "bdev")) == hashlib.sha256(what(bytes(4096))).hexdigest()


def test_a_position_that_no_loff_t_holds(kernel: Kernel) -> None:
    c = case("nid-beyond-loff_t")
    kernel.close()                          # it warns once in its life
    s = seen(kernel.erofs(c.data))
    assert any(line.startswith("WARNING: fs/iomap/iter.c:") for line in s.log) and s.splat is None
    assert [(e["path"], e["error"]) for e in s.entries] == [("/", None), ("/f", "EIO")]
    assert difference(s, here(c, "bdev"), "kemu") is None
    found = difference(s, here(c, "memback"), "kemu", kernel="C")
    assert found is not None and found[0] == "C: WARNING, kemu: no splat"


@pytest.mark.parametrize("name, error", [("lz4-pclusters-of-1m", None), ("lz4-pclusters-of-128k", "EINVAL")])
def test_pclusters_that_are_too_large(kernel: Kernel, name: str, error: str | None) -> None:
    c = case(name)
    s = seen(kernel.erofs(c.data))
    assert s.mount_error == error
    for backend in ("bdev", "memback"):
        assert difference(s, here(c, backend), "kemu") is None


def test_a_shared_page_cache_and_blocks_smaller_than_a_page(kernel: Kernel) -> None:
    """Four extents of a page: the first is taken for the whole of it, the second comes into the next page."""
    right = b"".join(letter * 1024 for letter in (b"A", b"B", b"C", b"D", b"E", b"F", b"G", b"H"))
    wrong = b"A" * 1024 + bytes(4096) + b"B" * 1024 + bytes(2048)
    plain, shared = case("shared-small-blocks"), Case(case("shared-small-blocks").data, options=MOUNT_OPTIONS)
    kernel.close()                          # it warns once in its life
    s = seen(kernel.erofs(plain.data, options=MOUNT_OPTIONS))
    assert any(line.startswith("WARNING: fs/iomap/buffered-io.c:") for line in s.log)
    assert contents(s) == hashlib.sha256(wrong).hexdigest() == contents(here(shared, "bdev"))
    ways = seen(kernel.erofs(plain.data)), seen(kernel.erofs(plain.data, options=MOUNT_OPTIONS, backend="file"))
    for others in (*ways, here(plain, "bdev"), here(shared, "fileio")):
        assert contents(others) == hashlib.sha256(right).hexdigest()


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda p: p.name)
def test_archives(kernel: Kernel, path: Path) -> None:
    data = path.read_bytes()
    port, c = by_port(data), by_linux(kernel, data)
    assert not disagreement(port, c) or known(kernel, data, port, c), (str(port), str(c), c.detail)
