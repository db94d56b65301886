# SPDX-License-Identifier: GPL-2.0-only
"""Images that mkfs.erofs makes of one small tree, one for each layout and option: what no forge writes is real compressed data,
in extents of many blocks, shared between files, at the ends of files and in other inodes.
"""
from __future__ import annotations

import os
import random
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from kemu.rung.c.cover.case import Case

_WORDS = "erofs image block cluster extent inode folder attribute packed inline tail chunk device page folio buffer".split()
_ALGORITHMS = ("lz4", "lz4hc,level=12", "lzma,level=6", "deflate,level=9", "zstd,level=15", "lz4:lzma", "zstd:deflate")
# how the clusters lie: physical clusters of one block, of many, with the old index, with tails inline, in another inode, shared
_LAYOUTS = ("", "-C65536", "-Elegacy-compress", "-Elegacy-compress -C32768", "-Eztailpacking", "-Efragments -C16384",
            "-Eall-fragments", "-Ededupe -C8192", "-Eztailpacking,fragments,dedupe -C16384", "-E48bit -C8192",
            "-E48bit,ztailpacking", "-E48bit,fragments", "-b512", "-b1024 -C4096 -Eztailpacking", "-m4096 --MZ",
            "-Eall-fragments,dedupe,legacy-compress")
_UUID = "-Uc1b9d5a2-f162-11cf-9ece-0020afc76f16"
_PLAIN = ("", "-Enoinline_data", "-Eforce-inode-compact", "-Eforce-inode-extended", "-Eforce-inode-blockmap --chunksize=4096",
          "-Eforce-chunk-indexes --chunksize=8192", "-E48bit --chunksize=4096", "-E48bit", "-b512 --chunksize=1024", "-b1024",
          "-x1", "-x1 --xattr-prefix=user.long. --xattr-prefix=trusted.", "-Exattr-name-filter -x1", "-x-1",
          "-L volume -Eforce-inode-extended", "-Edot-omitted", "--all-root -T1 --ignore-mtime", "-E^inline_data",
          "-x1 --xattr-inode-digest=trusted.digest")


def _text(seed: int, size: int) -> bytes:
    """Lines of which most have been there before."""
    rng = random.Random(seed)
    lines = [" ".join(rng.choices(_WORDS, k=rng.randint(2, 9))).encode() + b"\n" for _ in range(40)]
    out = bytearray()
    while len(out) < size:
        out += rng.choice(lines)
        if rng.random() < 0.02:
            out += rng.randbytes(8)
    return bytes(out[:size])


def tree(top: Path, large: int) -> None:
    """Files of every kind; the largest have ``large`` bytes."""
    rng = random.Random(7)
    text = _text(1, large)
    noise = rng.randbytes(5000)
    files = {"empty": b"", "small": b"small\n", "text": text, "copy": text, "moved": b"x" * 100 + text, "noise": noise,
             "block": _text(2, 4096), "more": _text(3, 4097), "tail": _text(4, 8192 + 200), "zeroes": bytes(large),
             "holes": bytes(16384) + noise[:4096] + bytes(8192), "mixed": text[:5000] + noise + text[:7000],
             "n" * 255: b"long name"}
    for name, data in files.items():
        (top / name).write_bytes(data)
    (top / "fast").symlink_to("small")
    (top / "slow").symlink_to("s" * 3000)
    os.link(top / "small", top / "linked")
    with suppress(OSError):                            # of who is not root
        os.mknod(top / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.mknod(top / "disk", stat.S_IFBLK | 0o600, os.makedev(259, 77777))
    os.mkfifo(top / "fifo")
    many = top / "many"
    many.mkdir()
    for i in range(60):
        (many / f"name-of-a-file-{i:03}-{'y' * (40 + i % 40)}").write_bytes(b"")
    (top / "deep" / "er" / "still").mkdir(parents=True)
    (top / "deep" / "er" / "still" / "file").write_bytes(text[:300])
    with suppress(OSError):
        for name in ("small", "text", "many"):
            os.setxattr(top / name, "user.long.name", b"value")
            os.setxattr(top / name, "user.shared", b"the same in each" * 8)
        os.setxattr(top / "small", "user.large", _text(5, 3000))
        os.setxattr(top / "small", "trusted.own", b"\0\1")
        os.setxattr(top / "small", "security.label", b"label")
        os.setxattr(top / "small", "system.posix_acl_access",
                    bytes.fromhex("0200000001000600ffffffff02000600e803000004000400ffffffff10000600ffffffff20000400ffffffff"))


def images(mkfs: str) -> Iterator[tuple[str, Case]]:
    """Their options, and the images; options that this mkfs.erofs does not take make none."""
    with TemporaryDirectory() as name:
        for large, options in ((9000, _PLAIN), (50000, tuple(f"-z{a} {o}" for a in _ALGORITHMS for o in _LAYOUTS))):
            top = Path(name) / f"tree-{large}"
            top.mkdir()
            tree(top, large)
            for words in options:
                image, blob = Path(name) / "image", Path(name) / "blob"
                for extra in ((), (f"--blobdev={blob}",)) if "chunksize" in words else ((),):
                    image.unlink(missing_ok=True)
                    blob.unlink(missing_ok=True)
                    how = ["--quiet", _UUID, "-T1700000000", "--workers=1", *words.split(), *extra]
                    done = subprocess.run([mkfs, *how, str(image), str(top)], capture_output=True)
                    if not done.returncode and image.exists():
                        yield words, Case(image.read_bytes(), devices=(blob.read_bytes(),) if extra else ())

