# SPDX-License-Identifier: GPL-2.0-only
"""Figures of the designs of an initial root: a layered boot, every single fault of an initerofs boot, what a real tree costs in
each.
"""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.boot import _Nth
from benchmarks.measure import Figure, times, tool

HOW = "python -m benchmarks"
# of /usr, as far as they are there; a few thousand files, text and programs
PARTS = ("sbin", "share/zoneinfo", "share/perl", "lib/python3.11", "lib/python3", "share/perl5", "share/doc", "share/man")
MOST_FILES = 3000
STAMP = 1_700_000_000


def layered4() -> list[Figure]:
    """Archive, image, compressed archive, image."""
    from kemu.forge.compressors import compress

    from initramfs.harness.boots import boot_initrd
    from initramfs.harness.trials import cpio_archive, erofs_image

    packed = compress("gzip", cpio_archive("c", False))
    first = cpio_archive("a", False)
    data = first + erofs_image("b") + bytes(-len(first) % 4) + packed + bytes(5) + erofs_image("d", blocks=20)
    ends = []
    best, median = times(lambda: ends.append(boot_initrd(data, design="layered", tree=False)), 30)
    line = "initrd: 4 segments, 2 of them mounted from memory"
    assert all(r.ok and line in r.log for r in ends), ends[0].log[-5:]
    return [Figure("a layered boot with 4 segments", f"{median * 1e3:.1f} ms (best {best * 1e3:.1f})", "< 20 ms",
                   f"{HOW} layered4")]


def initerofs_sweep() -> list[Figure]:
    """The first fallible call of a boot of initerofs as posted fails, then the second, and so on."""
    from initramfs.harness.boots import boot_initrd
    from initramfs.harness.trials import erofs_image

    data = erofs_image("a", blocks=30)
    t = time.perf_counter()
    n = 1
    ends: Counter[str] = Counter()
    while True:
        chooser = _Nth(n)
        # the posted code writes to constants in every boot
        ends[boot_initrd(data, design="initerofs-rfc", tree=False, rodata="plain", chooser=chooser).ended] += 1
        if chooser.count < n:
            break
        n += 1
    how = ", ".join(f"{k} {v}" for k, v in sorted(ends.items()))
    return [Figure("every single fault of a boot of initerofs as posted",
                   f"{n - 1} boots in {time.perf_counter() - t:.1f} s ({how})", "< 20 s",
                   f"{HOW} initerofs_sweep")]


def usr_tree(top: Path, most: int = MOST_FILES) -> tuple[int, int]:
    """A root with /init and up to ``most`` files of this machine's /usr. Return: files, bytes."""
    from initramfs.harness.trials import INIT

    (top / "init").write_bytes(INIT)
    (top / "init").chmod(0o755)
    (top / "dev").mkdir()
    files, size = 1, len(INIT)
    for part in PARTS:
        for here, below, names in os.walk(Path("/usr") / part):
            below[:] = sorted(d for d in below if d != "__pycache__")
            into = top / Path(here).relative_to("/")
            for name in sorted(names):
                at = Path(here) / name
                if files >= most or (not at.is_symlink() and (not at.is_file() or at.stat().st_size > 4 << 20)):
                    continue
                into.mkdir(parents=True, exist_ok=True)
                if at.is_symlink():
                    (into / name).symlink_to(os.readlink(at))
                else:
                    shutil.copyfile(at, into / name)
                    files += 1
                    size += at.stat().st_size
    for here, below, names in os.walk(top):
        for name in (*below, *names, "."):
            os.utime(Path(here) / name, (STAMP, STAMP), follow_symlinks=False)
    return files, size


def roots_of(tree: Path, into: Path) -> list[str]:
    """The tree as cpio, cpio.zst, and EROFS with LZ4 and zstd, as far as there are tools."""
    made = []
    cpio, zstd, mkfs = shutil.which("cpio"), shutil.which("zstd"), tool("mkfs.erofs")
    if cpio:
        names = b"\0".join(sorted(os.fsencode(str(p.relative_to(tree))) for p in tree.rglob("*")))
        with open(into / "usr.cpio", "wb") as f:
            subprocess.run([cpio, "-0", "-o", "-H", "newc", "--quiet", "--reproducible"], cwd=tree, input=names, stdout=f,
                           check=True)
        made.append("usr.cpio")
        if zstd:
            subprocess.run([zstd, "-q", "-3", "-T1", "usr.cpio", "-o", "usr.cpio.zst"], cwd=into, check=True)
            made.append("usr.cpio.zst")
    for z in ("lz4", "zstd") if mkfs else ():
        p = subprocess.run([mkfs, "--quiet", f"-T{STAMP}", "-U00000000-0000-0000-0000-000000000001", f"-z{z}", "-C65536",
                            f"usr.{z}.erofs", str(tree)],
                           cwd=into, capture_output=True, check=False)
        if p.returncode == 0:
            made.append(f"usr.{z}.erofs")
    return [str(into / name) for name in made]


def _mib(n: int) -> str:
    return f"{n / (1 << 20):.1f}"


def compare_usr() -> list[Figure]:
    """A few thousand files of /usr through ``kemu compare``, twice: the figures are the same to the byte."""
    from initramfs.harness import compare, compare_views
    from initramfs.harness.short import forms

    how = f"{HOW} compare_usr"
    with tempfile.TemporaryDirectory() as tmp:
        top, out = Path(tmp, "root"), Path(tmp, "out")
        top.mkdir()
        out.mkdir()
        files, size = usr_tree(top)
        roots = roots_of(top, out)
        if not roots:
            return [Figure("compare: a tree of /usr", "not measured: neither cpio nor mkfs.erofs here", "", how)]
        t = time.perf_counter()
        results = compare.measure_all(roots, short=forms())
        seconds = time.perf_counter() - t
        same = json.dumps(compare.measure_all(roots, short=forms())) == json.dumps(results)
        print("\n".join(compare_views.table(results)))
        figures = [Figure(f"compare: {files} files of /usr, {_mib(size)} MiB",
                          f"{seconds:.1f} s for {len(results)} designs and formats; "
                          f"a second time {'the same to the byte' if same else 'DIFFERENT'}", "the same to the byte", how)]
        for r in results:
            name = f"compare: /usr as {os.path.basename(r['initrd'])}, {r['design']}"
            if not compare_views.complete(r):
                figures.append(Figure(name, f"no boot: {r.get('error')}", "", how))
                continue
            at = {p: {k: compare_views.value(r, p, *c) for k, c in (("copied", ("bytes_copied", False)),
                                                                    ("decompressed", ("bytes_decompressed", False)),
                                                                    ("allocated", ("pages_allocated", True)))}
                  for p in compare.POINTS}
            s = r["switch_root"]
            what = "; ".join(f"{k} {' / '.join(_mib(at[p][k]) for p in compare.POINTS)}"
                             for k in ("copied", "decompressed", "allocated"))
            stays = s["initrd"] + s["page_cache"] + s["page_cache_in_ram"]
            figures.append(Figure(name,
                                  f"MiB until /init, 10 %, 50 %, all: {what}; cached twice "
                                  f"{_mib(r['memory']['cached_beside_the_initrd'])}; "
                                  f"stays after switch_root {_mib(stays)}; initcalls moved {r['initcalls_moved']}", "", how))
        return figures


def verified() -> list[Figure]:
    """What is hashed until /init can be opened: of an image as a whole, and block by block as it is read."""
    from initramfs import verify
    from initramfs.harness.boots import boot_initrd
    from initramfs.harness.experiments_verify import segment

    how = f"{HOW} verified"
    with tempfile.TemporaryDirectory() as tmp:
        top, out = Path(tmp, "root"), Path(tmp, "out")
        top.mkdir()
        out.mkdir()
        files, _ = usr_tree(top)
        image = next((p for p in roots_of(top, out) if p.endswith(".lz4.erofs")), None)
        if image is None:
            return [Figure("verified: a tree of /usr", "not measured: no mkfs.erofs here", "", how)]
        data = Path(image).read_bytes()
        figures = []
        plain, block = verify.sha256, verify.block_digest
        for alg in ("sha256", "tree", "verity"):
            given, word = segment(data, alg)
            hashed = 0

            def count_plain(at: int, n: int) -> bytes:
                nonlocal hashed
                hashed += n
                return plain(at, n)

            def count_block(salt: bytes, at: int, n: int) -> bytes:
                nonlocal hashed
                hashed += n
                return block(salt, at, n)
            verify.sha256, verify.block_digest = count_plain, count_block
            try:
                t = time.perf_counter()
                r = boot_initrd(given, design="layered", tree=False, cmdline=f"initrd_segments={word}")
                seconds = time.perf_counter() - t
            finally:
                verify.sha256, verify.block_digest = plain, block
            assert r.ok, r.log[-4:]
            figures.append(Figure(f"verified by {alg}: an LZ4 image of {files} files of /usr, {_mib(len(data))} MiB, layered",
                                  f"{hashed} bytes hashed until /init runs; the boot {seconds * 1e3:.0f} ms", "", how))
        return figures


ALL = {"layered4": layered4, "initerofs_sweep": initerofs_sweep, "compare_usr": compare_usr, "verified": verified}
