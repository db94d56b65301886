# SPDX-License-Identifier: GPL-2.0-only
"""How many cases per second the Linux rung answers, on one core.

    python benchmarks/oracle.py [--seconds S] [--flavour F] [--json]
    python -m benchmarks oracle

The images are forged here: one small tree each, all different. The first runs the kernel on one CPU, this process on whichever is
free; the second both on one.
"""
from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.measure import Figure
from kemu.rung.uml import Oracle, RungError, boot_initrd
from kemu.rung.uml.build import Recipe, build, progress
from kemu.rung.uml.cases import Case
from kemu.rung.uml.tree import find_tree


def small_image(n: int, files: int = 4) -> bytes:
    """An EROFS image of two blocks: a root directory with a few small files, their contents inline."""
    image = bytearray(8192)
    struct.pack_into("<I", image, 1024, 0xE0F5E1E2)
    image[1024 + 12] = 12
    struct.pack_into("<HQ", image, 1024 + 14, 36, files + 1)
    struct.pack_into("<I", image, 1024 + 36, 2)
    names = sorted([b".", b"..", *(b"file%d" % i for i in range(files))])
    nids = {b".": 36, b"..": 36} | {b"file%d" % i: 48 + 4 * i for i in range(files)}
    dirents, text, at = b"", b"", 12 * len(names)
    for name in names:
        dirents += struct.pack("<QHBB", nids[name], at + len(text), 2 if name[:1] == b"." else 1, 0)
        text += name
    def inode(nid: int, mode: int, nlink: int, data: bytes) -> None:
        struct.pack_into("<HHHHIIIIHHI", image, nid * 32, 2 << 1, 0, mode, nlink, len(data), 0, 0, nid, 0, 0, 0)
        image[nid * 32 + 32:nid * 32 + 32 + len(data)] = data
    inode(36, 0o40755, 2, dirents + text)
    for i in range(files):
        inode(48 + 4 * i, 0o100644, 1, b"image %d file %d\n" % (n, i))
    return bytes(image)


def small_archive(n: int, files: int = 4) -> bytes:
    """A newc archive of a few small files."""
    def member(name: bytes, mode: int, data: bytes) -> bytes:
        head = (b"070701" + b"".join(b"%08X" % f for f in (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)) + name
                + b"\0")
        return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return (b"".join(member(b"file%d" % i, 0o100644, b"archive %d file %d\n" % (n, i)) for i in range(files))
            + member(b"TRAILER!!!", 0, b""))


def rate(action: Callable[[int], object], seconds: float, parts: int = 5) -> Iterator[float]:
    """Calls per second, measured in several parts."""
    n = 0
    for _ in range(parts):
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds / parts:
            action(n)
            n += 1
            count += 1
        yield count / (time.perf_counter() - begin)


def spent(oracle: Oracle) -> float:
    """Seconds of processor time that this process and a kernel have had."""
    group = str(oracle.boot().popen.pid)
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[2] == group:
                ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def in_turn(oracle: Oracle, cases: list[Case], count: int) -> None:
    """One after the other."""
    for n in range(count):
        assert not oracle.ask(cases[n % len(cases)]).mount_error


def under_way(oracle: Oracle, cases: list[Case], count: int) -> None:
    """Several at a time."""
    for answer in oracle.many(cases[n % len(cases)] for n in range(count)):
        assert not answer.mount_error


def one_core() -> list[Figure]:
    """Kernel and this process on one CPU; in the same run, in turns, a kernel whose cases a program serves over pipes."""
    how, aim = "python -m benchmarks oracle", "3,000/s on one core"
    try:
        kernel = build(Recipe(find_tree()), progress())
    except RungError as e:
        return [Figure("Linux rung: small images", f"not measured: {e}", aim, how)]
    before = os.sched_getaffinity(0)
    cpu = max(before)
    rates: dict[str, list[float]] = {}
    clock: dict[str, list[float]] = {}
    os.sched_setaffinity(0, {cpu})
    try:
        with Oracle(kernel=kernel, cpu=cpu) as o, Oracle(kernel=kernel, cpu=cpu, inside=False) as pipes:
            images = [o.erofs_case(small_image(n)) for n in range(64)]
            archives = [o.cpio_case(small_archive(n)) for n in range(64)]
            for asked in (o, pipes):
                assert [len(asked.ask(c[0]).entries) for c in (images, archives)] == [5, 5]
            for _ in range(7):
                for name, asked, cases, ask, count in (("several under way", o, images, under_way, 3000),
                                                       ("one after the other", o, images, in_turn, 2000),
                                                       ("archives", o, archives, under_way, 2000),
                                                       ("pipes", pipes, images, in_turn, 600)):
                    cpu_time, begin = spent(asked), time.perf_counter()
                    ask(asked, cases, count)
                    clock.setdefault(name, []).append(count / (time.perf_counter() - begin))
                    rates.setdefault(name, []).append(count / (spent(asked) - cpu_time))
            assert o.boots == pipes.boots == 1
    finally:
        os.sched_setaffinity(0, before)

    def said(name: str) -> str:
        ratio = statistics.median(a / b for a, b in zip(rates[name], rates["pipes"]))
        return (f"{statistics.median(rates[name]):.0f}/s of processor time ({min(rates[name]):.0f} to {max(rates[name]):.0f}), "
                f"{statistics.median(clock[name]):.0f}/s by the clock at a load of {os.getloadavg()[0]:.1f}; {ratio:.1f} times "
                f"those served by a program over pipes ({statistics.median(rates['pipes']):.0f}/s)")
    what = "Linux rung: small images (8 KiB, 5 inodes) mounted, read whole, unmounted, Python and the kernel on one core"
    return [Figure(f"{what}, several under way", said("several under way"), aim, how),
            Figure(f"{what}, one after the other", said("one after the other"), aim, how),
            Figure("Linux rung: small archives (4 files) unpacked and read, several under way",
                   said("archives").partition(";")[0], aim, how)]


ALL = {"oracle": one_core}


def main() -> int:
    """Measure one kernel for each image against one for many."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="per row")
    parser.add_argument("--flavour", default="fast")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    kernel = build(Recipe(find_tree(), args.flavour), progress())
    images = [small_image(n) for n in range(64)]
    archives = [small_archive(n) for n in range(64)]
    results: dict[str, list[float]] = {}
    with Oracle(kernel=kernel) as o:
        first = o.erofs(images[0])
        assert len(first.entries) == 5 and not first.mount_error, first
        assert len(o.cpio(archives[0]).entries) == 5
        for name, action in {
            "erofs, disk": lambda n: o.erofs(images[n % 64]),
            "erofs, disk, in eights": lambda n: list(o.many(o.erofs_case(images[(n + i) % 64]) for i in range(8))),
            "erofs, disk at 1": lambda n: o.erofs(images[n % 64], at=1),
            "erofs, vmalloc": lambda n: o.erofs(images[n % 64], memory="vmalloc"),
            "erofs, loop": lambda n: o.erofs(images[n % 64], backend="loop"),
            "erofs, file": lambda n: o.erofs(images[n % 64], backend="file"),
            "cpio": lambda n: o.cpio(archives[n % 64]),
        }.items():
            results[name] = list(rate(action, args.seconds))
        assert o.boots == 1
    results["erofs, disk, in eights"] = [8 * x for x in results["erofs, disk, in eights"]]
    results["boots with an archive"] = list(rate(lambda n: boot_initrd(archives[n % 64], kernel=kernel), args.seconds))
    if args.json:
        print(json.dumps({"flavour": args.flavour, "rates": results}))
        return 0
    for name, rates in results.items():
        print(f"{name:24} {statistics.median(rates):7.0f} /s   ({min(rates):.0f} .. {max(rates):.0f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
