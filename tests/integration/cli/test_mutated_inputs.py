# SPDX-License-Identifier: GPL-2.0-only
"""Damaged images and archives through the command line: a documented exit code and lines of kemu's own, never a traceback or a
hang.

``KEMU_MUTANTS=10000`` says how many (default: 400).
"""
from __future__ import annotations

import os
import random
from functools import cache
from pathlib import Path

import pytest

from kemu.forge.compressors import available, compress
from kemu.forge.erofs.writer import fix_checksum
from tests.conftest import DATA
from tests.integration.cli.test_odd_lines import CODES, TooLong, run

MUTANTS = int(os.environ.get("KEMU_MUTANTS", "400"))
SHARDS = 8
SUPER = 1024
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 63, (1 << 64) - 1)


@cache
def images() -> list[tuple[str, bytes]]:
    paths = [*sorted((DATA / "erofs").glob("*.erofs")), *sorted(DATA.glob("*.erofs")),
             *sorted((DATA / "known-differences").glob("*.erofs"))]
    return [(p.name, p.read_bytes()) for p in paths if p.stat().st_size < 1 << 18]


@cache
def archives() -> list[tuple[str, bytes]]:
    paths = [p for f in ("known-differences", "linux-findings") for p in sorted((DATA / f).iterdir())
             if p.suffix in (".cpio", ".lz4", ".lzma", ".bz2", ".gz", ".xz")]
    plain = (DATA / "root.cpio").read_bytes()
    return [("root.cpio", plain), *((f"root.cpio.{m}", compress(m, plain)) for m in available()),
            *((p.name, p.read_bytes()) for p in paths)]


def mutate(r: random.Random, data: bytes, hot: int) -> bytes:
    """A few changes, most of them in the first bytes from ``hot`` on, where what the rest means is said."""
    out = bytearray(data)
    for _ in range(r.choice((1, 1, 2, 3, 8))):
        size = max(1, len(out))
        at = (min(size - 1, hot + r.randrange(160)) if r.random() < 0.4 else min(size - 1, hot + int(size * r.random() ** 3))
              if r.random() < 0.6 else r.randrange(size))
        form = r.randrange(8)
        if form == 0 and out:
            out[at] ^= 1 << r.randrange(8)
        elif form == 1 and out:
            out[at] = r.randrange(256)
        elif form in (2, 3):
            width = r.choice((1, 2, 4, 8))
            value = (r.choice(INTERESTING) + r.choice((-1, 0, 0, 1))) & ((1 << 8 * width) - 1)
            out[at:at + width] = value.to_bytes(width, "little")
        elif form == 4:
            del out[at:]
        elif form == 5:
            n = r.randrange(1, 4096)
            out[at:at + n] = bytes(out[r.randrange(size):][:n])
        elif form == 6:
            del out[at:at + r.randrange(1, 64)]
        else:
            out[at:at] = bytes(out[r.randrange(size):][:r.randrange(1, 600)])
    return bytes(out)


def sealed(data: bytes) -> bytes:
    """The superblock's checksum made good."""
    out = bytearray(data)
    fix_checksum(out)
    return bytes(out)


def line_of(number: int, where: Path) -> list[str]:
    """Mutant ``number``, written to a file, and the command line that looks at all of it."""
    r = random.Random(number)
    path = where / f"m{number}"
    if number % 2:
        name, data = r.choice(images())
        data = mutate(r, data, SUPER)
        path.write_bytes(sealed(data) if r.random() < 0.75 else data)
        return ["mount", str(path), "--backend", r.choice(("bdev", "memback", "fileio", "dax")), "--at",
                str(r.choice((0, 0, 1, 7, 512, 4095))),
                r.choice(("--manifest", "--manifest", "--stats", "--dmesg")),
                *r.choice(([], [], ["--json"], ["--page-size", "16384"]))]
    name, data = r.choice(archives())
    path.write_bytes(mutate(r, data, 0))
    return ["boot", str(path), r.choice(("--manifest", "--manifest", "--dmesg", "--memory", "--json")),
            *r.choice(([], [], ["--design", "layered"], ["--at", "7"]))]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_damaged_inputs_through_the_command_line(shard, tmp_path):
    bad = []
    for number in range(shard, MUTANTS, SHARDS):
        line = line_of(number, tmp_path)
        try:
            code, out, err = run(line)
        except TooLong:
            bad.append(f"mutant {number} {line}: takes more than 20 s")
            continue
        except BaseException as e:
            bad.append(f"mutant {number} {line}: raises {e!r}")
            continue
        if code not in CODES or "Traceback" in err or "internal error" in err:
            bad.append(f"mutant {number} {line}: {code} {err}")
        elif code and not (err and all(text.startswith("kemu: ") for text in err.splitlines())):
            bad.append(f"mutant {number} {line}: exit code {code}, and says {err!r}")
        os.unlink(line[1])
    assert not bad, f"{len(bad)} of {MUTANTS // SHARDS}:\n" + "\n".join(bad[:20])
