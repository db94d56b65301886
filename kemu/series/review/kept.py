# SPDX-License-Identifier: GPL-2.0-only
"""Inputs that come far, beside this file: of all that searches have kept, those that reach what few others do, each with the
functions of the kernel that it comes to: a review begins with those that come to what a series changes.

    python -m kemu.series.review.kept FOLDER...      adds kept cases, images and archives, and what mkfs.erofs makes (made.py)
"""
from __future__ import annotations

import json
import lzma
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path

from kemu.rung.c.build import build
from kemu.rung.c.cover import begin
from kemu.rung.c.cover.case import Case, unpack
from kemu.rung.uml.build import Recipe
from kemu.rung.uml.lines import frames
from kemu.rung.uml.tree import find_tree
from kemu.series.review.made import images
from kemu.series.review.trial import Trial, run
from kemu.series.review.watched import Watched

FILE = Path(__file__).with_name("kept.xz")
_EACH, _WHOLE = 6, 3                   # inputs for each basic block, where there are so many; whole images
_LONGEST = 1 << 17


@cache
def _read() -> tuple[tuple[Case, frozenset[str]], ...]:
    data = lzma.decompress(FILE.read_bytes())
    line, _, rest = data.partition(b"\n")
    head = json.loads(line)
    out, at = [], 0
    for size, functions in head["cases"]:
        out.append((unpack(rest[at:at + size]), frozenset(head["functions"][i] for i in functions)))
        at += size
    return tuple(out)


def kept(functions: Iterable[str] = ()) -> Iterator[Case]:
    """All, those first that come to most of these functions."""
    wanted = set(functions)
    yield from (case for case, _ in sorted(_read(), key=lambda row: -len(row[1] & wanted)))


def reaching(functions: Iterable[str]) -> int:
    """How many come to one of these functions."""
    wanted = set(functions)
    return sum(bool(row & wanted) for _, row in _read())


def _made(folders: list[Path]) -> bytes:
    from kemu.cli.doctor import erofs_utils  # noqa: PLC0415  (only here)

    tree = find_tree(None)
    kernel = Watched(build(Recipe(tree), "asan-review"))
    rows: list[tuple[Case, set[int]]] = []
    seen: set[str] = set()
    mkfs = erofs_utils()
    whole = [case for _, case in images(mkfs)] if mkfs else []
    for case in chain(kept(), begin.files(folders), whole):
        case = replace(case, facts=False, doors=False, fail_nth=0)
        if len(case.data) > _LONGEST or case.kind == "module" or case.key() in seen:
            continue
        seen.add(case.key())
        shown = run(kernel, Trial(case, look=case.kind == "erofs"))
        if not shown.answer.crash:
            rows.append((case, shown.ran))
    kernel.close()
    chosen: list[tuple[Case, set[int]]] = []
    own = {case.data for case in whole}
    for wanted, each in (True, _WHOLE), (False, _EACH):
        some = [row for row in rows if (row[0].data in own) == wanted]
        times: Counter[int] = Counter()
        for case, ran in sorted(some, key=lambda row: (row[0].alone, len(row[0].data) / (1 + len(row[1])))):
            if any(times[block] < each for block in ran):
                chosen.append((case, ran))
                times.update(ran)
    every = sorted(set().union(*(ran for _, ran in chosen)))
    names = {at: {f.function.partition(".")[0] for f in some}
             for at, some in zip(every, frames(kernel.library.path, kernel.library.source, [at - 1 for at in every]))}
    functions = sorted(set().union(*names.values()))
    number = {name: i for i, name in enumerate(functions)}
    packed = [case.pack() for case, _ in chosen]
    rows_of = [[len(data), sorted({number[n] for at in ran for n in names[at]})] for data, (_, ran) in zip(packed, chosen)]
    head = {"functions": functions, "cases": rows_of}
    print(f"{len(rows)} inputs, {len(chosen)} kept, {len(every)} basic blocks, {sum(map(len, packed))} bytes", file=sys.stderr)
    return lzma.compress(json.dumps(head).encode() + b"\n" + b"".join(packed), preset=9 | lzma.PRESET_EXTREME)


if __name__ == "__main__":
    FILE.write_bytes(_made([Path(name) for name in sys.argv[1:]]))
    print(f"{FILE}: {FILE.stat().st_size} bytes", file=sys.stderr)
