# SPDX-License-Identifier: GPL-2.0-only
"""Linux itself reads the same images: a kernel with cramfs, built and booted by kemu's Linux rung, with init.c as its init.

    python -m tests.linux.boot --images 300         (in examples/cramfs; needs a kernel tree, a compiler with static libc, 30 s
    the first time)

compares forged images, whole and damaged, with what the port says of them.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kemu.forge.pick import Pick, SeedValues
from kemu.linux.namei import filename_lookup, getname
from kemu.linux.path import Path as KPath
from kemu.linux.path import path_put
from kemu.report.manifest import Entry
from kemu.report.walk import contents, walk
from kemu.rung.uml.build import Recipe, build
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.tree import find_tree

from cramfs.harness.choose import choose_image, damage
from cramfs.harness.mount import MountError, mounted
from cramfs.harness.writer import TYPES

CONFIG = ("CONFIG_CRAMFS=y", "CONFIG_CRAMFS_BLOCKDEV=y")
INIT = Path(__file__).with_name("init.c")
Tree = dict[str, tuple[str, ...]]


def fnv(data: bytes) -> str:
    h = 0xCBF29CE484222325
    for b in data:
        h = (h ^ b) * 0x100000001B3 & (1 << 64) - 1
    return f"{h:016x}"


def cpio(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """A newc archive: path -> (st_mode, contents)."""
    out = b""
    for path, (mode, data) in {**files, "TRAILER!!!": (0, b"")}.items():
        name = path.encode() + b"\0"
        out += b"070701" + b"".join(b"%08x" % v for v in (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def linux_reads(images: Mapping[str, bytes], say: Say = nothing) -> dict[str, tuple[int, Tree]]:
    """name -> (errno of the mount, path -> fields) as Linux has it."""
    kernel = build(Recipe(find_tree(None), extra=CONFIG, agent=False), say)
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "init")
        subprocess.run(["gcc", "-O2", "-static", "-o", program, INIT], check=True)
        archive = Path(folder, "initrd")
        devices = {"dev": (stat.S_IFDIR | 0o755, b""), "images": (stat.S_IFDIR | 0o755, b"")}
        archive.write_bytes(
            cpio(
                {
                    **devices,
                    "init": (stat.S_IFREG | 0o755, program.read_bytes()),
                    **{f"images/{name}": (stat.S_IFREG | 0o644, data) for name, data in images.items()},
                }
            )
        )
        p = subprocess.run(
            [kernel.path, "mem=512M", f"initrd={archive}", "con=null", "con0=null,fd:1", "console=tty0", "quiet", "loglevel=0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            env={**os.environ, "TMPDIR": folder},
        )
    text = p.stdout.decode("latin-1").replace("\r", "")
    if "all images\n" not in text:
        raise RuntimeError("the boot did not come to its end:\n" + text[-3000:])
    out: dict[str, tuple[int, Tree]] = {}
    tree: Tree = {}
    for line in text.splitlines():
        m = re.match(r"image (\S+) (\d+)$", line)
        if m:
            tree = {}
            out[m[1]] = int(m[2]), tree
        elif line.startswith("/"):
            path, *fields = line.split("\t")
            tree[path] = tuple(fields)
    return out


def _shown(path: str) -> str:
    return "".join(chr(b) if 32 < b < 127 and b != 92 else f"\\x{b:02x}" for b in os.fsencode(path))


def _number(name: str | None) -> int:
    return next((n for n, text in errno.errorcode.items() if text == name), 0)


def _fields(m: Any, e: Entry) -> tuple[str, ...]:
    error = _number(e["error"])
    if e["type"] is None:
        return ("-",) * 8 + (str(error),)
    data = b""
    if e["type"] == "symlink" and e["target"] is not None:
        data = os.fsencode(e["target"])
    elif e["type"] == "file":
        path = KPath()
        if not filename_lookup(-100, getname(os.fsencode(e["path"])), 0, path, m.path):
            data = b"".join(p for p in contents(path) if isinstance(p, bytes))
            path_put(path)
    rdev = "{}:{}".format(*(e["rdev"] or (0, 0)))
    return (
        f"{TYPES[e['type']] | e['mode']:o}",
        str(e["uid"]),
        str(e["gid"]),
        str(e["size"]),
        str(e["nlink"]),
        str(e["mtime"][0]),
        rdev,
        fnv(data),
        str(error),
    )


def port_reads(data: bytes) -> tuple[int, Tree]:
    """The same of the port."""
    try:
        with mounted(data) as m:
            entries = list(walk(m.path, most=4000))
            return 0, {_shown(e["path"]): _fields(m, e) for e in entries}
    except MountError as e:
        return e.errno, {}


def forged(count: int) -> dict[str, bytes]:
    """Images of the example's writer, every other one damaged."""
    out = {}
    for seed in range(count):
        pick = Pick(SeedValues(seed))
        image = choose_image(pick, 4096, bool(seed & 2))
        out[f"{seed:05d}"] = damage(pick, image)[0] if seed & 1 else image.data
    return {name: data[: len(data) & ~511] for name, data in out.items() if len(data) >= 512}  # a loop device has whole sectors


def differences(images: Mapping[str, bytes], linux: Mapping[str, tuple[int, Tree]]) -> list[str]:
    out = []
    for name, data in images.items():
        if name not in linux:
            out.append(f"{name}: no answer of Linux")
            continue
        err, tree = port_reads(data)
        if err != linux[name][0]:
            out.append(f"{name}: mount: Linux {linux[name][0]}, port {err}")
        theirs = linux[name][1]
        out += [
            f"{name}: {path}: Linux {theirs.get(path)}, port {tree.get(path)}"
            for path in sorted(tree.keys() | theirs.keys())
            if tree.get(path) != theirs.get(path)
        ]
    return out


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    images = {os.path.basename(f): Path(f).read_bytes() for f in args.files} or forged(args.images)
    linux = linux_reads(images, lambda text: print(text, file=sys.stderr))
    found = differences(images, linux)
    inodes, refused = sum(len(tree) for _, tree in linux.values()), sum(bool(err) for err, _ in linux.values())
    print("\n".join(found) or "no differences", f"({len(images)} images, {inodes} inodes, {refused} refused)")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
