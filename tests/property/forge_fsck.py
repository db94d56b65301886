# SPDX-License-Identifier: GPL-2.0-only
"""Running fsck.erofs on an image and comparing what it extracts with the ground truth."""
from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

from kemu.forge import tree as t
from kemu.forge.erofs.image import ErofsImage, Extent


def find_fsck() -> str | None:
    """fsck.erofs of the cache, else of the PATH."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kemu" / "erofs-utils" / "bin" / "fsck.erofs"
    return str(cache) if cache.exists() else shutil.which("fsck.erofs")


def too_old(fsck: str) -> bool:
    """True before erofs-utils 1.8, which does not know all of these layouts."""
    words = subprocess.run([fsck, "--version"], capture_output=True, text=True, timeout=20).stdout.split()
    digits = next((w for w in words if w[:1].isdigit()), "0.0").split(".")
    return (int(digits[0]), int(digits[1])) < (1, 8)


def _same(got: bytes, want: bytes, extents: list[Extent]) -> bool:
    """Equal, but for holes at the end: fsck.erofs leaves those out of what it writes."""
    end = max((e.la + e.length for e in extents if e.pa is not None), default=0)
    return got == want or (len(got) == end and got == want[:end])


def complaint(fsck: str, image: ErofsImage, folder: Path) -> str | None:
    """None if fsck.erofs accepts ``image`` and extracts just what it holds, else what is wrong."""
    root = os.geteuid() == 0
    path, out = folder / "image", folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    primary, extra = image.split()
    path.write_bytes(primary)
    options = ["--xattrs"] if root else []
    for k, data in enumerate(extra):
        (folder / f"device{k}").write_bytes(data)
        options.append(f"--device={folder}/device{k}")
    done = subprocess.run([fsck, f"--extract={out}", *options, str(path)], capture_output=True, timeout=60)
    if done.returncode:
        return f"fsck.erofs: exit {done.returncode}: {(done.stderr + done.stdout).decode('utf-8', 'replace').strip()}"
    base = os.fsencode(out)
    left = {os.path.join(d, n)[len(base):] for d, dirs, files in os.walk(base) for n in dirs + files}
    for name, node in t.walk(image.root):
        left.discard(name)
        here = base + name
        st = os.lstat(here)
        if stat.S_IFMT(st.st_mode) != node.IFMT:
            return f"{name!r}: type"
        if isinstance(node, t.File):
            with open(here, "rb") as f:
                if not _same(f.read(), node.data, image.inodes[id(node)].extents):
                    return f"{name!r}: contents"
        if isinstance(node, t.Symlink) and os.readlink(here) != node.target:
            return f"{name!r}: target"
        if isinstance(node, t.Device) and st.st_rdev != os.makedev(node.major, node.minor):
            return f"{name!r}: device number"
        if st.st_mtime_ns != node.mtime * 10**9 + node.mtime_nsec:
            return f"{name!r}: mtime"
        if root and (st.st_uid, st.st_gid) != (node.uid, node.gid):
            return f"{name!r}: owner"
        if root and not isinstance(node, t.Symlink) and stat.S_IMODE(st.st_mode) != node.mode:
            return f"{name!r}: mode"
    return f"names that are not in the tree: {sorted(left)}" if left else None
