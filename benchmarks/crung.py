# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the C rung: the kernel's own C in this process, beside the port, Linux under UML and fsck.erofs in one run."""
from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks.erofs import DATA
from benchmarks.images import NO_TOOLS, fsck_extract, lz4_images, shared_memory
from benchmarks.measure import Figure, in_turn, processor_time, ratio

ROUNDS = 5


def _rates(ways: dict[str, Callable[[], int]], clock: Callable[[], float] = time.process_time) -> dict[str, float]:
    """Cases per second of each way, the median of several rounds in which all of them take their turns."""
    def timed(fn: Callable[[], int]) -> float:
        t = clock()
        n = fn()
        return n / (clock() - t)

    for fn in ways.values():
        fn()
    seen = in_turn({name: partial(timed, fn) for name, fn in ways.items()}, ROUNDS)
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

    with Kernel("plain") as plain, Kernel("asan") as asan, Oracle() as linux, Oracle(inside=False) as user:
        r = _rates({"py": port, "c": asked(plain, 2000), "asan": asked(asan, 1000)})
        wall = _rates({"c": asked(plain, 2000), "linux": asked(linux, 400), "user": asked(user, 400)}, time.perf_counter)
    how = "python -m benchmarks c_small"
    return [Figure("C rung, plain: demo.erofs mounted, read whole, unmounted, its manifest taken",
                   f"{r['c']:.0f}/s of processor time; {r['c'] / r['py']:.0f} times the py rung ({r['py']:.0f}/s), "
                   f"{wall['c'] / wall['user']:.1f} times UML by a program in its user space ({wall['user']:.0f}/s), "
                   f"{wall['c'] / wall['linux']:.1f} times cases inside the kernel ({wall['linux']:.0f}/s)",
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


# all files of an image, or a part of them: read to their ends and dropped, or written out in steps of 128 KiB
_READ = """
import os, resource, sys
from kemu.rung.c.kernel import Kernel
from kemu.rung.c.reading import read_tree
image, part, of, into, ahead = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
def write(k):
    room, n = k.ffi.new("char[]", 1 << 17), 0
    bytes_of = k.ffi.buffer(room)
    entries = k.walk(b"/", flags=4)[0].entries()
    for e in entries:
        if e["type"] == "dir":
            os.makedirs(into + e["path"], exist_ok=True)
    for e in [e for e in entries if e["type"] == "file"][part::of]:
        fd = k.lib.kemu_open(os.fsencode(e["path"]), 0)
        out, at = os.open(into + e["path"], os.O_WRONLY | os.O_CREAT), 0
        while (got := k.lib.kemu_pread(fd, room, 1 << 17, at)) > 0:
            at += os.write(out, bytes_of[:got] if got < 1 << 17 else bytes_of)
        os.close(out)
        k.lib.kemu_close(fd)
        assert at == e["size"], (e, at)
        n += at
    return n
def read(k):
    r = read_tree(k, part=part, of=of)
    assert not r.failed, r.failed
    return r.bytes
with Kernel("plain") as kernel, kernel.mounted(image, read_ahead=ahead) as k:
    def used():
        r = resource.getrusage(resource.RUSAGE_SELF)
        return r.ru_utime + r.ru_stime
    print("ready", flush=True)
    sys.stdin.readline()
    begin = used()
    n = write(k) if into else read(k)
    print(n, used() - begin)
"""


def _read_all(image: Path, count: int, written: bool, ahead: int, read: list[int]) -> float:
    """Seconds of processor time in which ``count`` processes read all files, each its part: of the one with most to do. They
    begin when the image is in the memory of each. ``ahead``: bytes of read-ahead. Adds the bytes of all files to a list.
    """
    with shared_memory() as tmp:
        running = [subprocess.Popen([sys.executable, "-c", _READ, str(image), str(i), str(count), str(tmp) if written else "",
                                     str(ahead)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for i in range(count)]
        for p in running:
            assert p.stdout and p.stdout.readline()
        for p in running:
            assert p.stdin
            p.stdin.write("go\n")
            p.stdin.flush()
        said = [p.communicate()[0].split() for p in running]
    read.append(sum(int(n) for n, _ in said))
    return max(float(seconds) for _, seconds in said)


def lz4() -> list[Figure]:
    """Reading all files of a 200 MB LZ4 image, against fsck.erofs --extract of the same image in the same run. Compared is
    processor time, of one process; what is read is dropped by both, or written to shared memory by both.
    """
    how, aim = "python -m benchmarks c_lz4", "within 2 times; 1 with two processes"
    out = []
    with lz4_images(420 << 20, ("-C65536", "-C4096")) as images:
        for option, written, ahead in product(images, (False, True), (0, 512 << 10)):
            image, read = images[option], list[int]()
            seen = in_turn({"one": partial(_read_all, image, 1, written, ahead, read),
                            "two": partial(_read_all, image, 2, written, ahead, read),
                            "fsck": partial(fsck_extract, image, written)}, ROUNDS)
            assert len(set(read)) == 1, read
            out.append(Figure(
                f"C rung: reading all files, {image.stat().st_size >> 20} MiB image, mkfs.erofs -zlz4 {option}, "
                f"{'written to /dev/shm' if written else 'dropped'}{f', {ahead >> 10} KiB of read-ahead' if ahead else ''}",
                f"{read[0] / statistics.median(seen['one']) / 1e6:.0f} MB/s; {ratio(seen['one'], seen['fsck'])} fsck.erofs "
                f"--extract{'=DIR' if written else ''}, {ratio(seen['two'], seen['fsck'])} in each of two processes", aim, how))
    return out or [Figure("C rung: 200 MB LZ4 image", NO_TOOLS, aim, how)]


def build() -> list[Figure]:
    """From an empty cache (but for the tree) to the first mount, and from a changed file to a verdict."""
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
        (kept / default_tree().name / ".kemu-fetched").unlink()
        walls, seconds = [], []
        for n in range(ROUNDS + 1):
            _edit(kept / default_tree().name / "fs/erofs/zmap.c", f"/* changed {n} */\n")
            t = time.perf_counter()
            seconds.append(processor_time(mount, env, check=True))
            walls.append(time.perf_counter() - t)
    return [Figure("C rung: from an empty cache to the first mount", f"{first:.0f} s", "< 3 minutes", how),
            Figure("C rung: from one changed C file to a verdict",
                   f"{statistics.median(walls[1:]):.1f} s (best {min(walls[1:]):.1f}); {statistics.median(seconds[1:]):.1f} s of "
                   f"processor time", "< 3 s", how)]


def _edit(path: Path, more: str) -> None:
    """As editors do: a new file takes the old one's place, which is somebody else's, too."""
    text = path.read_text() + more
    path.unlink()
    path.write_text(text)


ALL = {"c_small": small, "c_maps": maps, "c_lz4": lz4, "c_build": build}
