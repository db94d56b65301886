# SPDX-License-Identifier: GPL-2.0-only
"""Images to ask with: those of folders, from several places in memory and through a file, and damaged ones made of them."""
from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kemu.rung.uml.inputs import head, kind_of
from kemu.series.emit.behave import Case

PLACES = (0, 1, 511, 2049)
MEMORY = ("linear", "slab", "vmalloc")
MODULES = 4                            # so many images of a folder are mounted by a module that comes and goes
OPTIONS = ("inode_share,domain_id=d", "dax=never", "directio", "noacl,nouser_xattr", "nonsense", "fsoffset=512")
MOST = 8 << 20
_SUPER = 1024                          # where the superblock is


def cases(folders: Sequence[Path], damaged: int = 300, seed: int = 0) -> list[Case]:
    """All cases of some folders; ``damaged``: so many more with a few bytes changed. A folder with an ``index.jsonl`` says which
    devices and options an image needs.
    """
    out: list[Case] = []
    for folder in folders:
        for i, (path, how) in enumerate(_images(folder)):
            image = path.read_bytes()
            out.append(Case(path.stem, image, how | {"at": PLACES[i % len(PLACES)], "memory": MEMORY[i % len(MEMORY)]}))
            if not how.get("devices"):
                out.append(Case(f"{path.stem} (file)", image, how | {"backend": "file"}))
        small = sorted((c for c in out if not c.how.get("devices") and c.how.get("backend") is None),
                       key=lambda c: len(c.image))[:MODULES * 8:8]
        out += [Case(f"{c.name} (module)", c.image, {}, "module") for c in small]
        out += [Case(f"{c.name} ({option})", c.image, c.how | {"options": option}, "doors") for c in small for option in OPTIONS]
    out = [Case(c.name, c.image, c.how, "doors") if i % 4 == 0 and c.kind == "mount" else c for i, c in enumerate(out)]
    whole = [c for c in out if not c.how.get("devices") and c.how.get("backend") is None and len(c.image) < MOST]
    r = random.Random(seed)
    for i in range(damaged if whole else 0):
        of = r.choice(whole)
        out.append(Case(f"{of.name} (damaged {i})", _damaged(of.image, r), {"options": of.how.get("options", "")}))
    return out


def _images(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    index = folder / "index.jsonl"
    if index.is_file():
        rows = [json.loads(line) for line in index.read_text().splitlines()]
        found = [(folder / f"{row['name']}.erofs", {"devices": [(folder / d).read_bytes() for d in row.get("devices", ())],
                                                    "options": row.get("mount_options", "")}) for row in rows]
        return [(path, how) for path, how in found if path.is_file()]
    return [(p, {"options": ""}) for p in sorted(folder.rglob("*.erofs"))
            if p.stat().st_size <= MOST and kind_of(head(p, 1028)) == "erofs"]


def _damaged(image: bytes, r: random.Random) -> bytes:
    """A few bytes changed: of the superblock sometimes, else of what has bytes in it."""
    data = bytearray(image)
    for _ in range(r.choice((1, 1, 2, 4))):
        at = _SUPER + r.randrange(128) if r.random() < 0.15 and len(data) > _SUPER + 128 else r.randrange(len(data))
        for _ in range(200):
            if data[at]:
                break
            at = r.randrange(len(data))
        data[at] = r.choice((data[at] ^ 1 << r.randrange(8), r.randrange(256), 0, 255))
    if r.random() < 0.05:
        del data[r.randrange(len(data)) & ~511:]
    return bytes(data)
