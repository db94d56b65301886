# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the emulated kernel and the EROFS port."""
from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.images import NO_TOOLS, fsck_extract, lz4_images
from benchmarks.measure import Figure, in_child, in_turn, ratio, times

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"

_READ_ALL = """
import sys, time, resource
from erofs_memback.harness.mount import mounted
from erofs_memback.harness.readall import read_tree
image, backend, at = sys.argv[1], sys.argv[2], int(sys.argv[3])
io_opt = int(sys.argv[5]) if len(sys.argv) > 5 else 0
t = time.perf_counter()
with mounted(image, backend=backend, at=at, io_opt=io_opt) as m:
    up = time.perf_counter() - t
    t = time.process_time()
    n = read_tree(m.path) if len(sys.argv) != 5 else 0
    print(up, n, time.process_time() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def machine() -> list[Figure]:
    """Making and leaving a machine."""
    from kemu.machine.machine import Machine

    def many() -> None:
        for _ in range(500):
            with Machine():
                pass

    best, median = times(many)
    return [Figure("making a Machine", f"{median / 500 * 1e6:.0f} us (best {best / 500 * 1e6:.0f})", "< 200 us",
                   "python -m benchmarks machine")]


def mounts() -> list[Figure]:
    """Mounts with every file read, one core: small images as a fuzzer makes them."""
    from erofs_memback.harness.mount import mounted
    from erofs_memback.harness.readall import read_tree

    out = []
    for name in ("small.erofs", "small-lz4.erofs", "demo.erofs"):
        image = (DATA / name).read_bytes()
        for backend in ("bdev", "memback"):
            def some(image: bytes = image, backend: str = backend) -> None:
                for at in range(100):
                    with mounted(image, backend=backend, at=at * 41) as m:
                        read_tree(m.path)

            best, median = times(some)
            with mounted(image, backend=backend) as m:
                inodes = read_tree(m.path, count=True)
            out.append(Figure(f"mounts with full read, {name} ({len(image) // 1024} KiB, {inodes} inodes), {backend}",
                              f"{100 / median:.0f}/s (best {100 / best:.0f})", "1,000/s for 8-16 KiB",
                              "python -m benchmarks mounts"))
    return out


def _read_all(image: Path, ahead: int, read: list[int]) -> float:
    """Seconds in which the port reads all files; adds their bytes to a list."""
    _, n, seconds, _ = in_child(_READ_ALL, str(image), "bdev", "0", "read", str(ahead)).split()
    read.append(int(n))
    return float(seconds)


def lz4() -> list[Figure]:
    """Reading all files of a 100 MB LZ4 image, against fsck.erofs --extract of the same image in the same run: both write nothing
    out.
    """
    how, aim = "python -m benchmarks lz4", "within 3 times"
    out = []
    with lz4_images(240 << 20, ("-C65536", "-C4096")) as images:
        for option, ahead in (("-C65536", 0), ("-C65536", 1 << 19), ("-C4096", 0)) if images else ():
            read: list[int] = []
            seen = in_turn({"py": partial(_read_all, images[option], ahead, read),
                            "fsck": partial(fsck_extract, images[option], written=False)}, 3)
            words = f", read ahead by {2 * ahead >> 10} KiB" if ahead else ""
            out.append(Figure(f"reading all files, {images[option].stat().st_size >> 20} MiB image, mkfs.erofs -zlz4 "
                              f"{option}{words}",
                              f"{read[0] / statistics.median(seen['py']) / 1e6:.0f} MB/s; {ratio(seen['py'], seen['fsck'])} "
                              f"fsck.erofs --extract", aim, how))
    return out or [Figure("100 MB LZ4 image", NO_TOOLS, aim, how)]


def sparse() -> list[Figure]:
    """Mounting a 10 GB sparse image."""
    image = (DATA / "demo.erofs").read_bytes()
    out = []
    with tempfile.TemporaryDirectory() as tmp:
        big = Path(tmp, "big.erofs")
        with open(big, "wb") as f:
            f.write(image)
            f.truncate(10 << 30)
        for backend, at in (("bdev", "0"), ("memback", "1536")):
            base = int(in_child("import resource, erofs_memback.harness.mount; "
                                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)")[0])
            runs = sorted(float(in_child(_READ_ALL, str(big), backend, at, "x").split()[0]) for _ in range(5))
            peak = int(in_child(_READ_ALL, str(big), backend, at, "x").split()[3])
            out.append(Figure(f"mounting a 10 GB sparse image, {backend} at {at}",
                              f"{runs[2] * 1e3:.1f} ms, {peak / 1024:.0f} MB ({(peak - base) / 1024:.0f} MB over the bare "
                              f"imports)",
                              "< 50 ms, < 100 MB", "python -m benchmarks sparse"))
    return out


ALL = {"machine": machine, "mounts": mounts, "lz4": lz4, "sparse": sparse}
