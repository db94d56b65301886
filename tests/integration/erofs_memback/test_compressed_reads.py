# SPDX-License-Identifier: GPL-2.0-only
"""Compressed files through the whole pipeline: forged images, page sizes, failures, schedules, the shrinker."""
from __future__ import annotations

import hashlib
import random
from functools import lru_cache

import pytest

from kemu.forge import tree as ft
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.pick import Pick, SeedValues
from kemu.linux.errno import EFAULT, EIO, ENOMEM
from kemu.linux.shrinker import shrink_slab
from kemu.machine.current import this
from kemu.machine.machine import Machine
from tests.integration.erofs_memback.zmount import ZMount

from erofs_memback.internal import EROFS_SYNC_DECOMPRESS_AUTO, EROFS_SYNC_DECOMPRESS_FORCE_ON

COMPRESSED = ("full", "compact")


@lru_cache(None)
def forged(seed: int, suspects: bool = False, bits: tuple[int, ...] = (12, 9, 10, 11)) -> ErofsImage:
    return choose_image(Pick(SeedValues(seed)), ErofsOptions(block_bits=bits, layouts=COMPRESSED, suspects=suspects,
                                                             max_bytes=1 << 17))


def files(image: ErofsImage) -> dict[str, str]:
    """Compressed files: path -> sha256."""
    kinds = {ft.manifest_path(path): image.inodes[id(node)].layout for path, node in image.walk()}
    return {e["path"]: e["sha256"] for e in image.manifest() if e["sha256"] and kinds[e["path"]] in COMPRESSED}


def sha(data: bytes | int) -> str | int:
    return data if isinstance(data, int) else hashlib.sha256(data).hexdigest()


def wrong(z: ZMount, image: ErofsImage, step: int = 131072) -> list[tuple[str, object]]:
    return [(p, got) for p, want in files(image).items() if (got := sha(z.read(p, step))) != want]


@pytest.mark.parametrize("page_size", (4096, 16384, 65536))
@pytest.mark.parametrize("seed", range(12))
def test_forged_images_read_as_written(seed, page_size):
    image = forged(seed)
    with Machine(page_size=page_size) as m:
        z = ZMount(m, image.data)
        assert z.err == 0
        assert wrong(z, image) == []
        assert not any(m.kmap.stacks.values())
        z.umount()
        assert z.live_pclusters() == 0


@pytest.mark.parametrize("strategy", ("disabled", "readahead", "readaround"))
def test_cache_strategies_give_the_same_bytes(strategy):
    image = forged(3, bits=(12,))
    with Machine() as m:
        z = ZMount(m, image.data, f"cache_strategy={strategy}")
        assert wrong(z, image, 4096) == []
        cached = z.sbi.managed_cache.i_mapping.nrpages
        assert (cached == 0) == (strategy == "disabled")


def test_suspect_layout_is_answered_as_linux_does():
    """An inline pcluster whose offset in the page is the block size: Linux 7.2 looks for its start in 0 bytes."""
    image = forged_with("inline-pcluster-at-block-start")
    with Machine() as m:
        z = ZMount(m, image.data)
        bad = wrong(z, image)
        assert bad and all(err == -117 for _, err in bad)
        assert any("compressed data start not found" in line for line in m.log.lines())


def forged_with(what: str) -> ErofsImage:
    from kemu.forge.erofs.suspects import suspects

    for seed in range(400):
        image = forged(seed, True, (9,))
        for s in suspects(image):
            # only the one that a 4 KiB page shows: the data's offset in its page is the block size
            if s.what == what and any(e.pa is not None and e.how.startswith("inline-lz4") and e.pa % 4096 == 512
                                      for e in image.extents()[s.path]):
                return image
    raise AssertionError("the forge makes none")


class Nth:
    """Lets the calls n .. n + many - 1 that can fail fail."""

    def __init__(self, n: int, many: int = 1) -> None:
        self.n, self.many, self.calls = n, many, 0

    def fault(self, kind: str, what: str) -> bool:
        self.calls += 1
        return self.n <= self.calls < self.n + self.many

    def task(self, runnable, current, where) -> int:
        return 0

    def value(self, name, low, high) -> int:
        return low


@pytest.mark.parametrize("many", (1, 20))
def test_nth_failure(many):
    """A failure gives an errno or nothing at all, never other bytes; afterwards everything can be read, and nothing is left
    behind.
    """
    image = forged(5, bits=(12,))
    some = dict(list(files(image).items())[:2])
    n = 0
    while True:
        n += 1
        with Machine() as m:
            z = ZMount(m, image.data)
            z.read("/")                                 # nothing, but the root is there
            this.chooser = nth = Nth(n, many)
            for path, want in some.items():
                assert sha(z.read(path)) in (want, -ENOMEM, -EIO, -EFAULT), n
            this.chooser = None
            assert {p: sha(z.read(p)) for p in some} == some, n
            z.umount()
            assert z.live_pclusters() == 0, n
        if nth.calls < n or n > 60:
            break
    assert n > 20


class Anything:
    """Random schedules."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)

    def fault(self, kind: str, what: str) -> bool:
        return False

    def task(self, runnable, current, where) -> int:
        return self.r.randrange(len(runnable)) if self.r.random() < 0.5 else 0

    def value(self, name, low, high) -> int:
        return self.r.randint(low, high)


@pytest.mark.parametrize("completion", ("sync", "kworker", "softirq"))
@pytest.mark.parametrize("seed", range(4))
def test_readers_and_shrinker_in_any_order(seed, completion):
    image = forged(seed + 20, bits=(12, 9))
    with Machine() as m:
        z = ZMount(m, image.data, completion=completion)
        this.chooser = Anything(seed)
        bad: list[tuple[str, object]] = []
        running = 3

        def reader(step: int) -> None:
            nonlocal running
            bad.extend(wrong(z, image, step))
            running -= 1

        def shrinker() -> None:
            while running:
                shrink_slab(4)
                m.sched.relax("shrinker")

        for step in (4096, 20000, 131072):
            m.sched.spawn(f"reader-{step}", lambda step=step: reader(step))
        m.sched.spawn("kswapd0", shrinker)
        while running:
            m.sched.relax("test")
        this.chooser = None
        m.sched.run_others()
        assert bad == []
        z.umount()
        assert z.live_pclusters() == 0


def test_shrinker_frees_idle_pclusters_and_data_comes_back():
    image = forged(3, bits=(12,))
    with Machine() as m:
        z = ZMount(m, image.data)
        assert wrong(z, image) == []
        assert z.live_pclusters() > 0
        assert shrink_slab(1) == 1
        shrink_slab(1 << 20)
        m.idle()
        assert z.live_pclusters() == 0 and not z.sbi.managed_pslots.d
        assert wrong(z, image) == []


def test_background_decompression_turns_to_the_caller():
    """Bios that end where sleeping is forbidden: a kworker decompresses, and from then on small reads are decompressed by who
    reads.
    """
    image = forged(3, bits=(12,))
    with Machine() as m:
        z = ZMount(m, image.data)
        assert z.sbi.sync_decompress == EROFS_SYNC_DECOMPRESS_AUTO
        assert wrong(z, image) == []
        assert z.sbi.sync_decompress == EROFS_SYNC_DECOMPRESS_FORCE_ON
        assert m.counters.task_switches > 0


@pytest.mark.parametrize("option", ("LZMA", "DEFLATE", "ZSTD"))
def test_algorithm_that_is_not_in_this_kernel(option):
    """The bit of an algorithm whose option is off: the mount is refused with its number."""
    number = {"LZMA": 1, "DEFLATE": 2, "ZSTD": 3}[option]
    image = bytearray(forged(3, bits=(12,)).data)
    incompat = int.from_bytes(image[1024 + 80:1024 + 84], "little") | 0x2           # COMPR_CFGS
    image[1024 + 80:1024 + 84] = incompat.to_bytes(4, "little")
    image[1024 + 84:1024 + 86] = (1 << number).to_bytes(2, "little")
    image[1024 + 8:1024 + 12] = (int.from_bytes(image[1024 + 8:1024 + 12], "little") & ~1).to_bytes(4, "little")    # no checksum
    with Machine(config={f"CONFIG_EROFS_FS_ZIP_{option}": False}) as m:
        assert ZMount(m, bytes(image)).err == -95
        assert any(f"algorithm {number} isn't enabled on this kernel" in line for line in m.log.lines())
