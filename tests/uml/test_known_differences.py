# SPDX-License-Identifier: GPL-2.0-only
"""The rows of tests/data/known-differences/README.md, each still true."""
from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from types import ModuleType

import pytest

from kemu.forge.erofs.shared import MOUNT_OPTIONS
from kemu.forge.erofs.streams import Extent, compress, stream_image
from kemu.machine.machine import Machine
from kemu.rung.differential import Seen, difference
from kemu.rung.uml import Oracle
from kemu.rung.uml.build import Kernel
from tests.conftest import DATA

from erofs_memback.harness.differential import ROOM, Case
from erofs_memback.harness.mount import EROFS

pytestmark = pytest.mark.linux
FOLDER = DATA / "known-differences"
SECRET = b"secret! " * 512


def maker() -> ModuleType:
    """make.py of the folder."""
    spec = importlib.util.spec_from_file_location("make_known_differences", FOLDER / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def case(name: str) -> Case:
    return Case((FOLDER / f"{name}.erofs").read_bytes())


def linux(oracle: Oracle, c: Case) -> Seen:
    r = oracle.erofs(c.data, options=c.options)
    return Seen(r.mount_error, r.entries, r.kmsg, r.message if r.crash else None)


def here(c: Case, backend: str, page_size: int = 4096) -> Seen:
    return c.here(Machine(memory=ROOM, page_size=page_size, series=EROFS.backend(backend).series()), backend)


def contents(seen: Seen) -> str:
    return next(e["sha256"] for e in seen.entries if e["path"] == "/f")


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_folder_is_what_make_py_makes() -> None:
    made = {name: make() for name, make in maker().IMAGES.items()}
    assert made == {p.stem: p.read_bytes() for p in FOLDER.glob("*.erofs")}
    assert all(len(data) < 20_000 for data in made.values())
    readme = (FOLDER / "README.md").read_text()
    assert all(f"| {name} |" in readme for name in made)


def after_a_secret(kernel: Kernel, image: bytes, init_on_alloc: int) -> set[str]:
    """Digests of /f, each time after a large file of other contents was read and its pages were freed."""
    other = stream_image("deflate", [Extent(60 * 4096, compress("deflate", SECRET * 60))])
    with Oracle(kernel=kernel, args=[f"init_on_alloc={init_on_alloc}"]) as o:
        found = set()
        for _ in range(5):
            assert o.erofs(other).entries[-1]["sha256"] == sha(SECRET * 60)
            found.add(o.erofs(image).entries[-1]["sha256"])
        return found


@pytest.mark.parametrize("name, what", [
    ("deflate-short", lambda old: b"A" * 16 + old[16:2000]),
    # four bytes are copied onto themselves, then from there on in steps of eight
    ("lz4-offset-0", lambda old: b"sixteen literals" + old[16:20] * 4 + b"sixteen literals"),
])
def test_old_memory_becomes_file_contents(oracle: Oracle, kernel: Kernel, name: str, what: Callable[[bytes], bytes]) -> None:
    c = case(name)
    zeros = sha(what(bytes(4096)))
    assert contents(linux(oracle, c)) == zeros
    assert after_a_secret(kernel, c.data, 1) == {zeros}
    # the pages of the other file, mostly: which of the free ones is given out is the allocator's business
    assert sha(what(SECRET)) in after_a_secret(kernel, c.data, 0)
    for backend in ("bdev", "memback"):
        assert contents(here(c, backend)) == zeros
        assert c.uninitialised(backend) == "BUG: KMSAN: kernel-infoleak in erofs_file_read_iter"


def test_a_position_that_no_loff_t_holds(oracle: Oracle) -> None:
    c = case("nid-beyond-loff_t")
    seen = linux(oracle, c)
    assert seen.splat is not None and seen.splat.startswith("WARNING: fs/iomap/iter.c:")
    assert [(e["path"], e["error"]) for e in seen.entries] == [("/", None), ("/f", "EIO")]
    assert difference(seen, here(c, "bdev"), "kemu") is None
    found = difference(seen, here(c, "memback"), "kemu")
    assert found is not None and found[0] == "Linux: WARNING, kemu: no splat"


def test_pclusters_that_are_too_large_for_large_pages(oracle: Oracle) -> None:
    c = case("lz4-pclusters-of-1m")
    seen = linux(oracle, c)
    assert contents(seen) == sha(b"hello")
    for backend in ("bdev", "memback"):
        assert difference(seen, here(c, backend), "kemu") is None
        for page_size in (16384, 65536):
            large = here(c, backend, page_size)
            assert large.mount_error == "EINVAL" and large.log[-1].endswith("too large lz4 pclusterblks 256")


def test_pclusters_that_are_too_large_for_small_blocks(oracle: Oracle) -> None:
    c = case("lz4-pclusters-of-128k")
    seen = linux(oracle, c)
    assert seen.mount_error == "EINVAL" and seen.log[-1].endswith("too large lz4 pclusterblks 257")
    for backend in ("bdev", "memback"):
        assert difference(seen, here(c, backend), "kemu") is None


def test_a_shared_page_cache_and_blocks_smaller_than_a_page(oracle: Oracle) -> None:
    plain = case("shared-small-blocks")
    shared = Case(plain.data, options=MOUNT_OPTIONS)
    right = linux(oracle, plain)
    assert right.splat is None and contents(right) == contents(here(plain, "bdev"))
    seen = linux(oracle, shared)
    assert seen.splat is not None and seen.splat.startswith("WARNING: fs/iomap/buffered-io.c:")
    assert contents(seen) == contents(here(shared, "bdev")) != contents(right)
