# SPDX-License-Identifier: GPL-2.0-only
"""Trees of the host for mkfs.cramfs, and the manifest that an image of one must have: from lstat() and read() of the host, not
from any cramfs code.

    python -m tests.trees          (in examples/cramfs, as root) makes data/small.cramfs and data/small.jsonl anew
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from kemu.report.manifest import Entry, dump, entry, ordered, type_of_mode

DATA = Path(__file__).with_name("data")
MKFS = shutil.which("mkfs.cramfs", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
NO_MKFS = "mkfs.cramfs is not installed (Debian 12: util-linux, later: util-linux-extra)"


def noise(n: int) -> bytes:
    return hashlib.shake_128(b"noise").digest(n)


def make_tree(top: Path, root: bool = False) -> None:
    """Files around the ends of blocks, holes, links, directories; ``root``: owners and devices too."""
    files = {
        "empty": b"",
        "one": b"1",
        "block": b"x" * 4096,
        "more": b"y" * 4097,
        "noise": noise(9000),
        "zeros": bytes(9000),
        "sub/hole": noise(4096) + bytes(4096) + b"end",
        "sub/numbers": "".join(f"{i}\n" for i in range(3000)).encode(),
        "sub/deep/" + "n" * 200: b"long name",
        "two words": b"...",
    }
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "sub" / "nothing").mkdir()
    for name, data in files.items():
        (top / name).write_bytes(data)
        (top / name).chmod(0o644)
    (top / "one").chmod(0o4751)
    (top / "link").symlink_to("sub/numbers")
    (top / "sub" / "far").symlink_to("/" + "d" * 300)
    os.mkfifo(top / "fifo", 0o600)
    if root:
        os.mknod(top / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(top / "disk", stat.S_IFBLK | 0o660, os.makedev(8, 17))
        os.chown(top / "one", 1000, 100)
        os.chown(top / "sub", 65535, 255)
    for d in (top, top / "sub", top / "sub" / "deep", top / "sub" / "nothing"):
        d.chmod(0o755)


def manifest_of(top: Path) -> list[Entry]:
    """What the image of a tree shows: one link each, no times, directories as large as their entries."""
    out = []
    for folder, folders, names in os.walk(top):
        out += [_entry(top, Path(folder, name)) for name in folders + names]
    return ordered([_entry(top, top), *out])


def _entry(top: Path, path: Path) -> Entry:
    st = path.lstat()
    kind = type_of_mode(st.st_mode)
    size = 0
    more: dict[str, Any] = {}
    if kind == "file":
        size, more = st.st_size, {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    elif kind == "symlink":
        size, more = st.st_size, {"target": os.readlink(path)}
    elif kind == "dir":
        size = sum(12 + (len(os.fsencode(n)) + 3) // 4 * 4 for n in os.listdir(path))
    elif kind in ("char", "block"):
        more = {"rdev": [os.major(st.st_rdev), os.minor(st.st_rdev)]}
    where = "/" + str(path.relative_to(top)) if path != top else "/"
    return entry(
        where,
        type=kind,
        mode=stat.S_IMODE(st.st_mode),
        uid=st.st_uid & 0xFFFF,
        gid=st.st_gid & 0xFF,
        size=size,
        nlink=1,
        mtime=[0, 0],
        xattrs={},
        **more,
    )


def mkfs(top: Path, image: Path, *options: str) -> None:
    assert MKFS is not None
    subprocess.run([MKFS, *options, top, image], check=True, capture_output=True)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder, "tree")
        make_tree(top, root=True)
        DATA.mkdir(exist_ok=True)
        mkfs(top, DATA / "small.cramfs", "-z", "-n", "small")
        (DATA / "small.jsonl").write_text(dump(manifest_of(top)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
