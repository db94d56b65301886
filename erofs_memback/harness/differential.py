# SPDX-License-Identifier: GPL-2.0-only
"""The same images through Linux itself and through the port on the emulated kernel: experiments of the Linux rung and of the C
rung.

They are named after the experiments of the py rung that make the same images: ``kemu fuzz bdev.damaged --rung linux`` runs
``bdev.damaged.linux``, ``--rung c`` ``bdev.damaged.c``. The Linux that is asked mounts from a disk; both back ends are compared
with that.
"""
from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kemu.check.leaks import Leaks
from kemu.check.uninit import Uninitialised
from kemu.check.watch import Detectors
from kemu.explore.experiment import experiment
from kemu.explore.run import Run
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.mutate import mutate
from kemu.forge.erofs.streams import choose_streams
from kemu.forge.erofs.writer import fix_checksum
from kemu.forge.pick import Pick
from kemu.forge.placement import Placement, choose_placement
from kemu.machine.machine import Machine
from kemu.machine.splat import HungTask, Splat
from kemu.report import manifest
from kemu.report.walk import walk
from kemu.samples import sample

from erofs_memback.harness.mount import EROFS, MountError, mount_in
from erofs_memback.harness.words import MEMORY

if TYPE_CHECKING:
    from kemu.rung.differential import Seen

__role__ = "harness"
BACKENDS = {"erofs": {"backend": "bdev"}, "erofs-memback": {"backend": "memback"}}
OPTIONS = ("", "cache_strategy=disabled", "cache_strategy=readahead", "noacl", "nouser_xattr", "acl,user_xattr", "dax=never",
           "nonsense")
IMAGES = ErofsOptions(beyond_fsck=True, flaws=True, suspects=True, block_bits=(12, 9, 10, 11, 13))
ROOM = 64 << 20
AT_A_PAGE = Placement()
IOMAP = "WARNING: fs/iomap/"
LARGE = "CONFIG_TRANSPARENT_HUGEPAGE"
CONFIG = {"CONFIG_BUFFER_HEAD": False, LARGE: False}            # as the Linux that is asked


class Case:
    """An image, its place and its mount: what both kernels are given."""

    def __init__(self, data: bytes, place: Placement = AT_A_PAGE, options: str = "", devices: Sequence[bytes] = ()):
        self.data = data
        self.place = place
        self.options = options
        self.devices = list(devices)

    def describe(self) -> str:
        """One line."""
        p = self.place
        return (f"{p.memory} memory, {p.at} bytes behind a page boundary" + (f", -o {self.options}" if self.options else "")
                + (f", extra devices of {', '.join(str(len(d)) for d in self.devices)} bytes" if self.devices else ""))

    def linux(self, rung: str = "linux", **how: Any) -> Seen:
        """What Linux makes of it, booted or its C in this process."""
        from kemu.rung import differential  # noqa: PLC0415  (start-up)

        return differential.ask(rung, self.data, at=self.place.at, memory=self.place.memory, devices=self.devices,
                                options=self.options, **how)

    def here(self, machine: Machine, backend: str, cap: int = 0, reports: bool = False) -> Seen:
        """What the port makes of it. ``cap``: of bytes of a file that are read; ``reports``: a splat is raised."""
        from kemu.rung.differential import CAP, HANG, MOST, Seen, errno_name  # noqa: PLC0415  (start-up)

        entries: list[manifest.Entry] = []
        with machine as m:
            try:
                mounted = mount_in(m, self.data, backend=backend, at=self.place.at, kind=self.place.memory, devices=self.devices,
                                   options=self.options, completion="sync")
                entries = manifest.ordered(walk(mounted.path, cap=cap or CAP, most=MOST))
                mounted.umount()
            except MountError as e:
                return Seen(errno_name(e.errno), [], e.log)
            except Splat as e:
                if reports:
                    raise
                return Seen(None, entries, m.log.lines(), HANG if isinstance(e, HungTask) else e.title)
            return Seen(None, entries, m.log.lines())

    def uninitialised(self, backend: str) -> str | None:
        """The port again, with a detector: does it read what nothing has written?"""
        watch = Detectors([Leaks(), Uninitialised()])
        m = Machine(memory=ROOM, series=EROFS.backend(backend).series(), config=CONFIG, watch=watch)
        watch.attach(m)
        seen = self.here(m, backend)
        return seen.splat if seen.splat is not None and "KMSAN" in seen.splat else None


def against_linux(run: Run, backend: str, case: Case) -> None:
    """Both answers, compared. The Linux that is asked has no large folios; with some, errors have other positions, which only the
    log shows.
    """
    from kemu.rung import differential  # noqa: PLC0415  (start-up)

    large = run.pick.rare("large folios", 3)
    linux = case.linux(run.rung)
    here = case.here(run.machine(memory=ROOM, series=EROFS.backend(backend).series(), config={**CONFIG, LARGE: large}), backend)
    run.saw(f"mount {linux.mount_error}", *(f"{e['type']}:{e['error']}" for e in linux.entries))
    without_iomap(backend, linux)
    differential.judge(run, linux, here, "kemu", lambda zeroed: case.linux(run.rung, afresh=True, zeroed=zeroed),
                       lambda: case.uninitialised(backend), log=not large)


def without_iomap(backend: str, linux: Seen) -> None:
    """Take out of an answer what only the page cache of the block device says: other back ends have none."""
    from kemu.rung import differential  # noqa: PLC0415  (start-up)

    if backend != "bdev" and differential.ended(linux) == "WARNING" and any(IOMAP in x for x in (linux.splat or "", *linux.log)):
        linux.splat, linux.log = None, [line for line in linux.log if not line.startswith("WARNING:")]


def options_of(pick: Pick) -> str:
    """Mount options, mostly none."""
    return pick.one_of("options", OPTIONS) if pick.rare("with options", 6) else ""


def apart(image: ErofsImage, data: bytes) -> tuple[bytes, list[bytes]]:
    """The devices of a (damaged) flat image, each on its own."""
    bs = image.block_size
    return data[:image.features["blocks"] * bs], [data[first * bs:(first + n) * bs] or bytes(512) for first, n in image.devices]


def _with_devices(pick: Pick, backend: str, image: ErofsImage, data: bytes) -> tuple[bytes, list[bytes]]:
    if backend == "bdev" and image.devices and pick.rare("apart", 2):
        primary, extra = apart(image, data)
        if primary:
            return primary, extra
    return data, []


@experiment("{backend}.ground-truth.{rung}", variants=BACKENDS, rungs=("linux", "c"), base="erofs")
def ground_truth(run: Run, backend: str) -> None:
    """Linux and the port read the same from a sound image."""
    image = choose_image(run.pick, IMAGES)
    data, devices = _with_devices(run.pick, backend, image, image.data)
    case = Case(data, choose_placement(run.pick, (4096,), MEMORY), options_of(run.pick), devices)
    run.show(case.describe(), image.describe())
    against_linux(run, backend, case)


@experiment("{backend}.damaged.{rung}", variants=BACKENDS, rungs=("linux", "c"), base="erofs", weight=2.0)
def damaged(run: Run, backend: str) -> None:
    """Linux and the port make the same of a damaged image: errnos, what can still be read, and what they say."""
    image = choose_image(run.pick, IMAGES)
    bad = mutate(image, run.pick)
    if not bad.data:
        return
    data, devices = _with_devices(run.pick, backend, image, bad.data)
    case = Case(data, choose_placement(run.pick, (4096,), MEMORY), options_of(run.pick), devices)
    run.show(case.describe(), bad.describe())
    against_linux(run, backend, case)


@experiment("{backend}.cut-short.{rung}", variants=BACKENDS, rungs=("linux", "c"), base="erofs", weight=0.5)
def cut_short(run: Run, backend: str) -> None:
    """Linux and the port make the same of an image that ends early."""
    image = choose_image(run.pick, IMAGES)
    place = choose_placement(run.pick, (4096,), MEMORY)
    data = image.data[:len(image.data) - run.pick.int("cut", 0, len(image.data))]
    if not data:
        return
    case = Case(data, place)
    run.show(case.describe(), image.describe(), f"cut to {len(data)} of {len(image.data)} bytes")
    against_linux(run, backend, case)


@experiment("{backend}.streams.{rung}", variants=BACKENDS, rungs=("linux", "c"), base="erofs", weight=1.5)
def streams(run: Run, backend: str) -> None:
    """Linux and the port make the same of compressed streams that are short, long, cut, damaged, in every format."""
    image = choose_streams(run.pick)
    case = Case(image.data, choose_placement(run.pick, (4096,), MEMORY), options_of(run.pick))
    run.show(case.describe(), image.describe())
    against_linux(run, backend, case)


# ------------------------------------------------------------------------- images by mkfs.erofs

def real_folder() -> Path:
    """Where images by mkfs.erofs are: $KEMU_IMAGES, else those of the tests, else those that come with kemu."""
    if os.environ.get("KEMU_IMAGES"):
        return Path(os.environ["KEMU_IMAGES"])
    tests = Path(__file__).resolve().parents[2] / "tests" / "data" / "erofs"
    return tests if tests.is_dir() else sample("demo.erofs").parent


@functools.lru_cache(maxsize=1)
def real_images(most: int = 1 << 17) -> list[tuple[str, bytes]]:
    """(name, image), by name: those without extra devices that are not large."""
    out = []
    for path in sorted(real_folder().glob("*.erofs")):
        if path.stat().st_size <= most:
            out.append((path.stem, path.read_bytes()))
    return out


def spoil(pick: Pick, image: bytes) -> tuple[bytes, list[str]]:
    """One to three changes that know nothing of the format but where the superblock is; its checksum is mostly made good again.
    """
    data = bytearray(image)
    notes: list[str] = []

    def one() -> None:
        form = pick.int("change", 0, 5)
        if form == 0:
            at = min(1024 + pick.int("byte of the superblock", 0, 143), len(data) - 1)
        elif form == 1:
            at = pick.int("at", 0, min(len(data), 8192) - 1)           # inodes are often near the beginning
        else:
            at = pick.int("at", 0, len(data) - 1)
        if form == 5:
            n = pick.one_of("length", (512, 4096, 1))
            src = pick.int("from", 0, (len(data) - 1) // n) * n
            at = at // n * n
            part = data[src:src + n][:len(data) - at]
            data[at:at + len(part)] = part
            notes.append(f"{n} bytes of {src:#x} at {at:#x}")
        elif form == 4 and pick.rare("cut", 2):
            del data[max(at, 1):]
            notes.append(f"cut to {len(data)} bytes")
        else:
            width = pick.one_of("width", (1, 2, 4, 8))
            raw = data[at:at + width]
            old = int.from_bytes(raw, "little")
            top = (1 << 8 * len(raw)) - 1
            how = pick.int("how", 0, 2)
            new = (old ^ 1 << pick.int("bit", 0, 8 * len(raw) - 1) if how == 0
                   else old + pick.one_of("step", (1, -1, 8, -8, 4096)) if how == 1
                   else pick.one_of("value", (0, 1, top, top >> 1))) & top
            data[at:at + len(raw)] = new.to_bytes(len(raw), "little")
            notes.append(f"{len(raw)} bytes at {at:#x}: {old:#x} -> {new:#x}")

    pick.several("changes", 1, 3, one)
    if not pick.rare("bad checksum", 6):
        fix_checksum(data)
        notes.append("checksum made good")
    return bytes(data), notes


@experiment("{backend}.mkfs-damaged.{rung}", variants=BACKENDS, rungs=("linux", "c"), base="erofs", run_seconds=120.0)
def mkfs_damaged(run: Run, backend: str) -> None:
    """Linux and the port make the same of damaged images by mkfs.erofs: compressors, fragments, dedupe, metabox."""
    images = real_images()
    if not images:
        return
    name, image = run.pick.one_of("image", images)
    data, notes = spoil(run.pick, image)
    case = Case(data, choose_placement(run.pick, (4096,), MEMORY), options_of(run.pick))
    run.show(case.describe(), f"{name}: " + "; ".join(notes))
    against_linux(run, backend, case)
