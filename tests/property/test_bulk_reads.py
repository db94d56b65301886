# SPDX-License-Identifier: GPL-2.0-only
"""What is read with nothing attached is what is read when somebody listens: same bytes, same counters, same messages.

Every image is read three times: with nothing attached, with a watch that is told everything and does nothing, and with a chooser
that always chooses what happens without one.
"""
from __future__ import annotations

import errno
import hashlib
import random
from pathlib import Path as HostPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.pick import Pick, SeedValues
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.fcntl import O_LARGEFILE, O_RDONLY
from kemu.linux.fs import fput, vfs_read
from kemu.linux.fs.open import file_open_root
from kemu.linux.types import Ref
from kemu.machine.current import this
from kemu.report.walk import walk
from tests.integration.erofs_memback.test_compressed_reads import COMPRESSED
from tests.property.left import Told, Unmoved

from erofs_memback.harness.mount import MountError, mounted, settle

DATA = HostPath(__file__).resolve().parent.parent / "data"
ATTACHED: list[dict[str, Any]] = [{}, {"watch": Told()}, {"chooser": Unmoved()}]


def _reads(m: Any, paths: list[str], seed: int) -> list[Any]:
    """Reads of pieces in any order, and what was left in the page cache by them."""
    r = random.Random(seed)
    out: list[Any] = []
    for _ in range(6 if paths else 0):
        f = file_open_root(m.path, r.choice(paths), O_RDONLY | O_LARGEFILE, 0)
        if IS_ERR(f):
            out.append(PTR_ERR(f))
            continue
        for _ in range(r.randint(1, 3)):
            pos = Ref(r.randrange(0, max(1, f.f_mapping.host.i_size)) if r.random() < 0.7 else 0)
            buf = bytearray(r.choice((1, 4096, 10000, 131072)))
            got = vfs_read(f, buf, len(buf), pos)
            out.append((got, hashlib.sha256(buf[:max(got, 0)]).hexdigest()))
        pages = f.f_mapping.i_pages
        out.append(sorted((i, p.flags, p.refcount, p.order, p.private if p.private.__class__ is int else 1)
                          for i, p in pages.items()))
        fput(f)
        settle()
    return out


def _all_of(image: bytes, seed: int, backend: str, page_size: int, at: int, attached: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    extra = dict(attached)
    try:
        with mounted(image, backend=backend, at=at, page_size=page_size, **extra) as m:
            assert (this.watch, this.chooser) == (attached.get("watch"), attached.get("chooser"))
            if seed & 1:
                out["tree"] = list(walk(m.path))
            paths = [e["path"] for e in walk(m.path, contents=False) if e["type"] == "file"]
            out["reads"] = _reads(m, paths, seed)
            out["again"] = list(walk(m.path))
            out["counters"] = m.machine.counters.as_dict()
            out["log"] = m.machine.log.lines()
            out["in use"] = sorted((p.pfn, p.kind, p.refcount, p.flags) for p in m.machine.alloc.pages.values())
            out["states"] = {pfn: bytes(c) if isinstance(c, bytearray) else c for pfn, c in this.mem.state.items()}
        out["left"] = m.machine.counters.as_dict()
    except MountError as e:
        out["error"] = e.errno, e.message, e.log
    return out


def _addressable(states: dict[int, Any]) -> dict[int, Any]:
    """Without what only a watch is told: which bytes were never written, where a decoder failed."""
    whole = {pfn: c if isinstance(c, int) else c.replace(b"\1", b"\0") for pfn, c in states.items()}
    return {pfn: c if isinstance(c, int) else c if c.strip(b"\0") else 0 for pfn, c in whole.items()}


def _same(image: bytes, seed: int, backend: str, page_size: int = 4096, at: int = 0) -> dict[str, Any]:
    want = _all_of(image, seed, backend, page_size, at, ATTACHED[0])
    for attached in ATTACHED[1:]:
        got = _all_of(image, seed, backend, page_size, at, attached)
        for key in want.keys() | got.keys():
            if key == "states" and "watch" in attached:
                assert _addressable(got[key]) == _addressable(want[key])
                continue
            assert got.get(key) == want.get(key), (key, attached)
    return want


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from(("bdev", "memback", "fileio")), st.sampled_from((4096, 16384)),
       st.integers(0, 4095))
def test_forged_images(seed: int, backend: str, page_size: int, at: int) -> None:
    options = ErofsOptions(block_bits=(12, 12, 9), layouts=COMPRESSED, max_bytes=1 << 18, max_blocks=40, max_devices=0)
    image = choose_image(Pick(SeedValues(seed)), options)
    _same(bytes(image.data), seed, backend, page_size, at)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1,
                                         max_size=8))
def test_damaged_images(seed: int, damage: list[tuple[float, int]]) -> None:
    image = bytearray(choose_image(Pick(SeedValues(seed)),
                                   ErofsOptions(block_bits=(12,), layouts=COMPRESSED, max_devices=0)).data)
    for where, what in damage:
        i = 1200 + int(where * (len(image) - 1200))
        image[i] ^= what
    _same(bytes(image), seed, "bdev")


@pytest.mark.parametrize("backend", ("bdev", "memback"))
@pytest.mark.parametrize("name", ("demo.erofs", "small-lz4.erofs", "root.erofs"))
def test_images_of_mkfs(name: str, backend: str) -> None:
    for seed in range(2):
        out = _same((DATA / name).read_bytes(), seed, backend, at=1537 * seed)
        assert "error" not in out or out["error"][0] == errno.EINVAL
