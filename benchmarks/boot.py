# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the boot: a small one, every single fault of one, a large archive."""
from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure, times

HOW = "python -m benchmarks"


def _record(name: str, mode: int, data: bytes = b"", nlink: int = 1, ino: int = 0) -> bytes:
    raw = name.encode() + b"\0"
    out = (b"070701" + b"".join(b"%08X" % f for f in (ino, mode, 0, 0, nlink, 1_600_000_000, len(data), 3, 1, 0, 0, len(raw), 0))
           + raw)
    return out + bytes(-len(out) % 4) + data + bytes(-len(data) % 4)


def _small() -> bytes:
    return b"".join([_record("dev", 0o40755, nlink=2), *(_record(f"f{i}", 0o100644, b"x" * 100 * i, ino=i) for i in range(20)),
                     _record("TRAILER!!!", 0)])


def _large(path: Path) -> None:
    noise = random.Random(1).randbytes(1 << 20)
    with open(path, "wb") as f:
        for d in range(100):
            f.write(_record(f"d{d}", 0o40755, nlink=2))
            for i in range(100):
                f.write(_record(f"d{d}/f{i}", 0o100644, noise[i * 7919:i * 7919 + 25_000 + i * 13], ino=d * 100 + i + 1))
        f.write(_record("TRAILER!!!", 0))


class _Nth:
    def __init__(self, n: int):
        self.n, self.count = n, 0

    def task(self, runnable: list[Any], current: Any, where: str) -> int:
        return 0

    def fault(self, kind: str, what: str) -> bool:
        self.count += 1
        return self.count == self.n

    def value(self, name: str, low: int, high: int) -> int:
        return low


def boot() -> list[Figure]:
    """A boot with a small cpio."""
    from initramfs.harness.boots import boot_initrd
    from initramfs.harness.short import forms

    data = _small()
    best, median = times(lambda: boot_initrd(data, tree=False, short=forms()), 30)
    return [Figure("a boot with a cpio of 22 entries", f"{median * 1e3:.1f} ms (best {best * 1e3:.1f})", "< 10 ms",
                   f"{HOW} boot")]


def boot_sweep() -> list[Figure]:
    """The first fallible call of a boot fails, then the second, and so on."""
    from initramfs.harness.boots import boot_initrd

    data = _small()
    t = time.perf_counter()
    n = 1
    while True:
        chooser = _Nth(n)
        boot_initrd(data, tree=False, chooser=chooser)
        if chooser.count < n:
            break
        n += 1
    return [Figure("every single fault of a boot", f"{n - 1} boots in {time.perf_counter() - t:.1f} s", "< 20 s",
                   f"{HOW} boot_sweep")]


def boot_large() -> list[Figure]:
    """250 MB in 10,000 files, beside ``cpio -idm`` into a tmpfs."""
    from initramfs.harness.boots import boot_initrd
    from initramfs.harness.short import forms

    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as tmp:
        big = Path(tmp) / "big.cpio"
        _large(big)
        t, c = time.perf_counter(), time.process_time()
        boot_initrd(str(big), tree=False, short=forms())
        ours, cpu = time.perf_counter() - t, time.process_time() - c
        peer = "cpio is not installed"
        if shutil.which("cpio"):
            out = Path(tmp) / "out"
            out.mkdir()
            t = time.perf_counter()
            with open(big, "rb") as f:
                subprocess.run(["cpio", "-idm", "--quiet"], stdin=f, cwd=out, check=True)
            peer = f"cpio -idm {time.perf_counter() - t:.2f} s"
    return [Figure("a boot with a cpio of 250 MB in 10,000 files", f"{ours:.2f} s, {cpu:.2f} s CPU; {peer}",
                   "as cpio -idm to tmpfs", f"{HOW} boot_large")]


ALL = {"boot": boot, "boot_sweep": boot_sweep, "boot_large": boot_large}
