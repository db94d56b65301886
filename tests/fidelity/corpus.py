# SPDX-License-Identifier: GPL-2.0-only
"""Real images with what real Linux made of them, and the comparison with what the emulation makes of them."""
from __future__ import annotations

import errno
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kemu.report import manifest
from kemu.report.walk import walk

from erofs_memback.harness.mount import MountError, mounted

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "corpus"
CAP = 1 << 26           # what the oracle read of a file
DAMAGED_CAP = 1 << 25   # and of a damaged one, where it did not go deeper than this many directories either
DAMAGED_DEPTH = 25


class Result:
    """What one backend made of an image."""

    def __init__(self, mount_error: str | None, entries: list[manifest.Entry], kmsg: list[str]):
        self.mount_error = mount_error
        self.entries = entries
        self.kmsg = kmsg


def observe(image: bytes | str | Path, *, devices: Sequence[Any] = (), options: str = "", backend: str = "bdev", cap: int = CAP,
            **kw: Any) -> Result:
    """Mount and walk."""
    try:
        with mounted(image, devices=devices, options=options, backend=backend, **kw) as m:
            entries = manifest.ordered(walk(m.path, cap=cap))
            return Result(None, entries, m.machine.log.lines())
    except MountError as e:
        return Result(errno.errorcode.get(e.errno, str(e.errno)), [], e.log)


@functools.cache
def index(folder: Path) -> dict[str, dict[str, Any]]:
    """The cases of a folder with an ``index.jsonl``, by name."""
    with open(folder / "index.jsonl", encoding="utf-8") as f:
        return {case["name"]: case for case in map(json.loads, f)}


def differences(folder: Path, case: dict[str, Any], look: Callable[..., Any] = observe, **kw: Any) -> str:
    """How the emulation, or another rung that ``look`` asks, differs from Linux on one image; empty if it does not."""
    name = case["name"]
    got = look(folder / f"{name}.erofs", devices=[folder / d for d in case["devices"]], options=case["mount_options"], **kw)
    if got.mount_error != case["mount_error"]:
        return f"mount: Linux {case['mount_error']}, kemu {got.mount_error}\n" + "\n".join(got.kmsg)
    if case["mount_error"]:
        return ""
    want = manifest.load(folder / f"{name}.jsonl")
    return manifest.diff(want, got.entries, "Linux", "kemu")


# ------------------------------------------------------------------------- damaged images

@functools.lru_cache(maxsize=64)
def base_image(folder: Path, name: str) -> bytes:
    return (folder / f"{name}.erofs").read_bytes()


@functools.lru_cache(maxsize=64)
def base_manifest(folder: Path, name: str) -> tuple[manifest.Entry, ...]:
    return tuple(manifest.load(folder / f"{name}.jsonl"))


def mutated(image: bytes, case: dict[str, Any]) -> bytes:
    """The base image with one case's mutation."""
    data = bytearray(image)
    for offset, text in case["diff"]:
        raw = bytes.fromhex(text)
        data[offset:offset + len(raw)] = raw
    if case["truncate"] is not None:
        del data[case["truncate"]:]
    return bytes(data)


def _key(e: manifest.Entry) -> str:
    return json.dumps({name: e.get(name) for name in manifest.FIELDS}, sort_keys=True)


def damaged_differences(folder: Path, case: dict[str, Any], look: Callable[..., Any] = observe, **kw: Any) -> list[str]:
    """The same of a damaged image: one line each."""
    base = case["base"]
    entry = index(folder)[base]
    got = look(mutated(base_image(folder, base), case), devices=[folder / d for d in entry["devices"]],
                  options=entry["mount_options"], cap=DAMAGED_CAP, **kw)
    if got.mount_error != case["mount_error"]:
        return [f"mount: Linux {case['mount_error']}, kemu {got.mount_error}"]
    if case["mount_error"]:
        return []
    want = [e for e in base_manifest(folder, base) if e["path"].count("/") <= DAMAGED_DEPTH]
    got.entries = [e for e in got.entries if e["path"].count("/") <= DAMAGED_DEPTH]
    known = {_key(e) for e in want}
    # a file that was larger than the cap counts as unchanged where only its contents could differ
    known |= {_key(dict(e, sha256=None)) for e in want if (e["size"] or 0) > DAMAGED_CAP}
    paths = {e["path"] for e in got.entries}
    changed = [e for e in got.entries if _key(e) not in known]
    missing = sum(e["path"] not in paths for e in want)
    out = []
    if missing != case["missing"]:
        out.append(f"missing: Linux {case['missing']}, kemu {missing}")
    # the recording also lists entries of which only the inode number or the block count differ; a manifest has neither
    expected = [e for e in case["changed"] if _key(e) not in known]
    text = manifest.diff(expected, changed, "Linux", "kemu")
    out += text.split("\n")[1:] if text else []
    return out
