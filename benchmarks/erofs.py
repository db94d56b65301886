# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the emulated kernel and the EROFS port."""
from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Figure, in_child, times, tool

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
    t = time.perf_counter()
    n = read_tree(m.path) if len(sys.argv) != 5 else 0
    print(up, n, time.perf_counter() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
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


def _tree(into: Path, size: int) -> int:
    """Copy files of this machine's /usr until ``size`` bytes are there."""
    total = 0
    for base in ("/usr/lib", "/usr/share", "/usr/bin"):
        for d, _, files in os.walk(base):
            for f in sorted(files):
                p = Path(d, f)
                if p.is_symlink() or not p.is_file() or not os.access(p, os.R_OK):
                    continue
                n = p.stat().st_size
                if not 0 < n < 20 << 20:
                    continue
                to = into / str(p)[1:]
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(p, to)
                total += n
                if total >= size:
                    return total
    return total


def lz4() -> list[Figure]:
    """Reading all files of a 100 MB LZ4 image, against fsck.erofs --extract of the same image in the same run."""
    mkfs, fsck = tool("mkfs.erofs"), tool("fsck.erofs")
    if not mkfs or not fsck:
        return [Figure("100 MB LZ4 image", "not measured: no erofs-utils here", "within 3x of fsck.erofs --extract",
                       "python -m benchmarks lz4")]
    out = []
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp, "root")
        root.mkdir()
        _tree(root, 240 << 20)
        for opts, ahead in (("-C65536", 0), ("-C65536", 1 << 19), ("-C4096", 0)):
            image = str(Path(tmp, "image" + opts))
            if not os.path.exists(image):
                subprocess.run([mkfs, "-zlz4", opts, "--quiet", image, str(root)], check=True, capture_output=True)
            size = os.stat(image).st_size
            ratios, rates = [], []
            for _ in range(3):
                ex = Path("/dev/shm" if os.path.isdir("/dev/shm") else tmp, f"kemu-bench-{os.getpid()}")
                t = time.perf_counter()
                subprocess.run([fsck, f"--extract={ex}", image], check=True, capture_output=True)
                peer = time.perf_counter() - t
                shutil.rmtree(ex, ignore_errors=True)
                _, n, secs, _ = in_child(_READ_ALL, image, "bdev", "0", "read", str(ahead)).split()
                ratios.append(float(secs) / peer)
                rates.append(int(n) / float(secs) / 1e6)
            ratios.sort()
            rates.sort()
            how = f", read ahead by {2 * ahead >> 10} KiB" if ahead else ""
            out.append(Figure(f"reading all files, {size >> 20} MiB image, mkfs.erofs -zlz4 {opts}{how}",
                              f"{rates[1]:.0f} MB/s; {ratios[1]:.1f} times fsck.erofs --extract ({ratios[0]:.1f} to "
                              f"{ratios[2]:.1f})",
                              "within 3 times", "python -m benchmarks lz4"))
    return out


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
