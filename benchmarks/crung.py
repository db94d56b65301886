# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the C rung: the kernel's own C in this process, beside the port, Linux under UML and fsck.erofs in one run."""
from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.erofs import DATA, _tree
from benchmarks.measure import Figure, tool

ROUNDS = 5


def _rates(ways: dict[str, Callable[[], int]], clock: Callable[[], float] = time.process_time) -> dict[str, float]:
    """Cases per second of each way, the median of several rounds in which all of them take their turns."""
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for fn in ways.values():
        fn()
    for _ in range(ROUNDS):
        for name, fn in ways.items():
            t = clock()
            n = fn()
            seen[name].append(n / (clock() - t))
    return {name: statistics.median(rates) for name, rates in seen.items()}


def small() -> list[Figure]:
    """A small image mounted, every file read, unmounted."""
    from kemu.rung.c.kernel import Kernel
    from kemu.rung.uml import Oracle

    from erofs_memback.harness.mount import mounted
    from erofs_memback.harness.readall import read_tree

    image = (DATA / "demo.erofs").read_bytes()

    def port() -> int:
        for _ in range(60):
            with mounted(image, backend="bdev") as m:
                read_tree(m.path)
        return 60

    def asked(k: Kernel | Oracle, n: int) -> Callable[[], int]:
        def run() -> int:
            for _ in range(n):
                assert k.erofs(image).mount_error is None
            return n
        return run

    with Kernel("plain") as plain, Kernel("asan") as asan, Oracle() as linux:
        r = _rates({"py": port, "c": asked(plain, 2000), "asan": asked(asan, 1000)})
        wall = _rates({"c": asked(plain, 2000), "linux": asked(linux, 400)}, time.perf_counter)
    how = "python -m benchmarks c_small"
    return [Figure("C rung, plain: demo.erofs mounted, read whole, unmounted, its manifest taken",
                   f"{r['c']:.0f}/s of processor time; {r['c'] / r['py']:.0f} times the py rung ({r['py']:.0f}/s), "
                   f"{wall['c'] / wall['linux']:.1f} times UML ({wall['linux']:.0f}/s)",
                   "25 times the py rung, 5 times UML", how),
            Figure("C rung, asan: the same", f"{r['asan']:.0f}/s; {r['asan'] / r['py']:.0f} times the py rung",
                   "8 times the py rung", how)]


def maps() -> list[Figure]:
    """z_erofs_map_blocks_iter() and erofs_map_blocks(), one call from Python each."""
    from kemu.rung.c.kernel import Kernel

    with Kernel("plain") as kernel, kernel.mounted(DATA / "small-lz4.erofs") as k:
        ffi, lib = k.ffi, k.lib
        files = [e["path"] for e in k.walk(b"/")[0].entries() if e["size"] and e["type"] == "file"]
        slot = ffi.new("void **")
        assert not lib.kemu_erofs_open(files[0].encode(), slot)
        inode, out, call = slot[0], ffi.new("struct kemu_map *"), lib.kemu_erofs_map
        size = lib.kemu_erofs_size(inode)

        def some() -> int:
            for la in range(200_000):
                call(inode, la % size, 0, out)
            return 200_000

        rate = _rates({"map": some})["map"]
    return [Figure("C rung: block mapping calls from Python", f"{rate / 1e6:.2f} M/s", "2 M/s", "python -m benchmarks c_maps")]


_READ = """
import sys, time
from kemu.rung.c.kernel import Kernel
with Kernel("plain", memory=3 << 30) as kernel, kernel.mounted(sys.argv[1]) as k:
    files = [e["path"] for e in k.walk(b"/", flags=4)[0].entries() if e["type"] == "file"]
    files = files[int(sys.argv[2])::int(sys.argv[3])]
    room = k.ffi.new("char[]", 1 << 20)
    begin, n = time.perf_counter(), 0
    for path in files:
        fd = k.lib.kemu_open(path.encode("utf-8", "surrogateescape"), 0)
        n += k.lib.kemu_read_all(fd, room, 1 << 20)
        k.lib.kemu_close(fd)
    print(n, time.perf_counter() - begin)
"""


def lz4() -> list[Figure]:
    """Reading all files of a 200 MB LZ4 image, against fsck.erofs --extract of the same image in the same run."""
    import sys

    mkfs, fsck = tool("mkfs.erofs"), tool("fsck.erofs")
    how = "python -m benchmarks c_lz4"
    if not mkfs or not fsck:
        return [Figure("C rung: 200 MB LZ4 image", "not measured: no erofs-utils here", "within 2 times fsck.erofs", how)]
    out = []
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp, "root")
        root.mkdir()
        _tree(root, 420 << 20)
        for opts in ("-C65536", "-C4096"):
            image = str(Path(tmp, "image" + opts))
            subprocess.run([mkfs, "-zlz4", opts, "--quiet", image, str(root)], check=True, capture_output=True)
            one, two, rates = [], [], []
            for _ in range(3):
                ex = Path("/dev/shm" if os.path.isdir("/dev/shm") else tmp, f"kemu-bench-{os.getpid()}")
                t = time.perf_counter()
                subprocess.run([fsck, f"--extract={ex}", image], check=True, capture_output=True)
                peer = time.perf_counter() - t
                shutil.rmtree(ex, ignore_errors=True)
                for workers, ratios in ((1, one), (2, two)):
                    running = [subprocess.Popen([sys.executable, "-c", _READ, image, str(i), str(workers)], text=True,
                                                stdout=subprocess.PIPE) for i in range(workers)]
                    said = [p.communicate()[0].split() for p in running]
                    ratios.append(max(float(s) for _, s in said) / peer)
                    if workers == 1:
                        rates.append(int(said[0][0]) / float(said[0][1]) / 1e6)
            out.append(Figure(f"C rung: reading all files, {os.stat(image).st_size >> 20} MiB image, mkfs.erofs -zlz4 {opts}",
                              f"{statistics.median(rates):.0f} MB/s; {statistics.median(one):.2f} times fsck.erofs --extract, "
                              f"{statistics.median(two):.2f} with two processes", "within 2 times; 1 with two processes", how))
    return out


def build() -> list[Figure]:
    """From an empty cache (but for the tree) to the first mount, and from a changed file to a verdict."""
    import sys

    from kemu.rung.uml.cache import cache_dir, default_tree

    how = "python -m benchmarks c_build"
    mount = [sys.executable, "-m", "kemu", "-q", "mount", str(DATA / "demo.erofs"), "--rung", "c"]
    with tempfile.TemporaryDirectory(dir=cache_dir().parent) as tmp:
        kept = Path(tmp, "kemu", "linux")
        kept.mkdir(parents=True)
        subprocess.run(["cp", "-al", str(default_tree()), str(kept / default_tree().name)], check=True)
        env = os.environ | {"XDG_CACHE_HOME": tmp}
        t = time.perf_counter()
        subprocess.run(mount, env=env, check=True, stdout=subprocess.DEVNULL)
        first = time.perf_counter() - t
        own = kept / default_tree().name / "fs/erofs/zmap.c"
        text = own.read_text()
        own.unlink()
        own.write_text(text + "\n/* changed */\n")
        (kept / default_tree().name / ".kemu-fetched").unlink()
        seconds = []
        for n in range(4):
            own.write_text(text + f"\n/* changed {n} */\n")
            t = time.perf_counter()
            subprocess.run(mount, env=env, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - t)
    return [Figure("C rung: from an empty cache to the first mount", f"{first:.0f} s", "< 3 minutes", how),
            Figure("C rung: from one changed C file to a verdict", f"{statistics.median(seconds[1:]):.1f} s", "< 3 s", how)]


ALL = {"c_small": small, "c_maps": maps, "c_lz4": lz4, "c_build": build}
