# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the unpacker: against cpio, and against Linux."""
from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Figure, in_child

_UNPACK = """
import sys, time, resource
from initramfs.harness.boots import boot_initrd
from initramfs.harness.short import forms
from initramfs import initramfs as port
begin = time.perf_counter()
unpack = port.unpack_to_rootfs
def timed(buf, size):
    global wall, cpu
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        return unpack(buf, size)
    finally:
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
port.unpack_to_rootfs = timed
r = boot_initrd(sys.argv[1], builtin="none", tree=False, config={"CONFIG_EROFS_FS": False}, short=forms())
assert r.unpack_error is None, r.unpack_error
print(wall, cpu, time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _tree(into: Path, files: int, size: int) -> None:
    """``files`` files of together ``size`` bytes, of very different sizes, in directories of a hundred."""
    import random

    rng = random.Random(5)
    sizes = [rng.paretovariate(1.1) for _ in range(files)]
    scale = size / sum(min(s, 4000) for s in sizes)
    text = rng.randbytes(1 << 20)
    for i, s in enumerate(sizes):
        d = into / f"dir{i // 100:03}"
        d.mkdir(exist_ok=True)
        n = int(min(s, 4000) * scale)
        with open(d / f"file{i:05}", "wb") as f:
            while n > 0:
                f.write(text[:n])
                n -= len(text)


def unpack() -> list[Figure]:
    """A cpio of 250 MB and 10,000 files: unpack_to_rootfs() of the port against ``cpio -idm`` to a tmpfs in the same run."""
    name, how, aim = "unpacking a 250 MB cpio of 10,000 files", "python -m benchmarks unpack", "no slower than cpio -idm to tmpfs"
    cpio = shutil.which("cpio")
    shm = Path("/dev/shm")
    if not cpio:
        return [Figure(name, "not measured: no cpio here", aim, how)]
    if not shm.is_dir() or shutil.disk_usage(shm).free < 320 << 20:
        return [Figure(name, "not measured: no tmpfs with room at /dev/shm", aim, how)]
    with tempfile.TemporaryDirectory() as tmp:
        root, archive = Path(tmp, "root"), Path(tmp, "archive.cpio")
        root.mkdir()
        _tree(root, 10_000, 250_000_000)
        names = subprocess.run(["find", ".", "-print0"], cwd=root, capture_output=True, check=True).stdout
        with open(archive, "wb") as f:
            subprocess.run([cpio, "-0", "-o", "-H", "newc", "--quiet"], cwd=root, input=names, stdout=f, check=True)
        shutil.rmtree(root)
        peers, ours, boots, cpus, peak = [], [], [], [], 0
        for _ in range(5):
            into = shm / f"kemu-bench-{os.getpid()}"
            into.mkdir()
            try:
                t, before = time.perf_counter(), os.times()
                with open(archive, "rb") as f:
                    subprocess.run([cpio, "-idm", "--quiet"], cwd=into, stdin=f, check=True)
                peers.append(time.perf_counter() - t)
                after = os.times()
                peer = after.children_user - before.children_user + after.children_system - before.children_system
            finally:
                shutil.rmtree(into)
            secs, cpu, whole, rss = in_child(_UNPACK, str(archive)).split()
            ours.append(float(secs))
            cpus.append(float(cpu) / peer)
            boots.append(float(whole))
            peak = max(peak, int(rss))
        size = archive.stat().st_size
    ratios = sorted(a / b for a, b in zip(ours, peers))
    mid = len(ours) // 2
    return [Figure(name,
                   f"{sorted(ours)[mid]:.2f} s ({size / sorted(ours)[mid] / 1e6:.0f} MB/s), {ratios[mid]:.1f} times cpio -idm "
                   f"({sorted(peers)[mid]:.2f} s; "
                         f"{ratios[0]:.1f} to {ratios[-1]:.1f}; of processor time {sorted(cpus)[mid]:.1f} times); the whole "
                         f"boot {sorted(boots)[mid]:.2f} s, {peak // 1024} MB", aim, how)]


def archives() -> list[Figure]:
    """Forged archives through the port and through Linux, compared."""
    name, how, aim = ("forged archives through the port and Linux, compared", "python -m benchmarks archives",
                      "20,000 within minutes")
    try:
        from kemu.rung.uml import Oracle

        from initramfs.harness.differential import differences

        oracle = Oracle(timeout=4)
    except Exception as e:
        return [Figure(name, f"not measured: {e}", aim, how)]
    with oracle:
        t = time.perf_counter()
        known = [d.known for d in differences(range(1000), oracle)]
        rate = 1000 / (time.perf_counter() - t)
    return [Figure(name,
                   f"{rate:.0f}/s; of 1000, {sum(map(bool, known))} with a known difference, {known.count('')} with another", aim,
                   how)]


ALL = {"unpack": unpack, "archives": archives}
