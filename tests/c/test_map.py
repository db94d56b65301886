# SPDX-License-Identifier: GPL-2.0-only
"""Every logical offset that starts, ends or neighbours an extent is mapped to the same place by the port and by the kernel's C.

All of them, and pairs of image and offset at random, in the whole corpus: ``make test-c-maps``.
"""
from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kemu.explore import token
from kemu.explore.experiment import registry
from kemu.explore.run import replay
from kemu.explore.search import search
from kemu.machine.machine import Machine
from kemu.rung.asked import asked
from kemu.rung.c.build import Library
from kemu.rung.c.kernel import Kernel, MountRefused
from kemu.rung.c.maps import MappedFile
from tests.conftest import DATA
from tests.fidelity.corpus import SHARED, index

import erofs_memback.harness.maps as experiments
from erofs_memback import zmap
from erofs_memback.harness.differential import CONFIG, ROOM
from erofs_memback.harness.mount import EROFS

WHOLE = SHARED / "erofs"
PAIRS = int(os.environ.get("KEMU_PAIRS", "10000"))
Case = tuple[str, bytes, list[bytes]]


@pytest.fixture(scope="module")
def plain(library: Callable[[str], Library]) -> Iterator[Kernel]:
    with Kernel(library=library("plain")) as k:
        yield k
    asked("c").close()


def machine(case: Case) -> Machine:
    room = ROOM + 4 * sum(map(len, (case[1], *case[2])))
    return Machine(memory=room, series=EROFS.backend("bdev").series(), config=CONFIG)


def corpus() -> list[Case]:
    """(name, image, devices) of every image that is mounted without options; those of the tests where the corpus is not."""
    if not WHOLE.is_dir():
        return [(p.name, p.read_bytes(), []) for p in sorted((DATA / "erofs").glob("*.erofs"))]
    return [(name, (WHOLE / f"{name}.erofs").read_bytes(), [(WHOLE / d).read_bytes() for d in case["devices"]])
            for name, case in index(WHOLE).items()]


def test_every_image_of_the_corpus(plain: Kernel) -> None:
    questions, wrong, refused = 0, {}, 0
    for case in corpus():
        found = experiments.compare(plain, machine(case), case[1], devices=case[2], files=200, extents=200)
        questions += found.questions
        refused += found.mount_error is not None
        if found.different:
            wrong[case[0]] = found.different
    assert wrong == {}
    print(f"{questions} offsets of {len(corpus())} images, {refused} of which are not mounted")
    assert questions > (100_000 if WHOLE.is_dir() else 5000)


def test_offsets_at_random(plain: Kernel) -> None:
    """$KEMU_PAIRS of them, 10,000 if that is not set: any file, any offset in it and a little behind it."""
    r = random.Random(12)
    cases = corpus()
    each = -(-PAIRS // len(cases))
    questions, wrong = 0, {}
    for case in cases:
        try:
            with plain.mounted(case[1], devices=case[2]) as k:
                files = [(e["path"], MappedFile(k, e["path"]).size) for e in k.names(2000)
                         if e["type"] == "file" and not e["error"]]
        except MountRefused:
            continue
        if not files:
            continue
        chosen: dict[tuple[str, int], list[int]] = {}
        for _ in range(each * 2):
            path, size = r.choice(files)
            chosen.setdefault((path, r.choice(experiments.flags_of())), []).append(r.randrange(size + 2 + size // 8))
        found = experiments.compare(plain, machine(case), case[1], devices=case[2],
                                    asked=[(path, flags, offsets) for (path, flags), offsets in chosen.items()])
        questions += found.questions
        if found.different:
            wrong[case[0]] = found.different
    assert wrong == {}
    print(f"{questions} pairs of image and offset")
    assert questions >= PAIRS


def test_a_short_campaign_finds_nothing(plain: Kernel) -> None:
    names = sorted(n for n, e in registry.items() if e.fn is experiments.maps)
    assert names == ["bdev.maps.c", "memback.maps.c"]
    p = search([registry[n] for n in names], examples=300, rung="c", detect=False)
    assert p.examples == 300 and not p.findings, "\n".join(f"{f.title}\n{f.token}\n" + "\n".join(f.report) for f in p.findings)
    seen = {b.partition(":")[2] for b in p.behaviours}
    assert {"mount None", "mount 117", "map -117"} <= seen, seen


def test_a_wrong_map_is_found_shrunk_and_replayed(plain: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    real = zmap.z_erofs_map_blocks_iter

    def wrong(inode: Any, m: Any, flags: int) -> int:
        err = real(inode, m, flags)
        if not err and m.m_la >= 4096 and m.m_plen:
            m.m_plen -= 1
        return err

    monkeypatch.setattr(experiments, "z_erofs_map_blocks_iter", wrong)
    exp = registry["bdev.maps.c"]
    p = search([exp], examples=300, shrink_seconds=3.0, rung="c", detect=False)
    assert [f.cause for f in p.findings] == ["m_plen"], [f.title for f in p.findings]
    f = p.findings[0]
    again = replay(exp, token.decode(f.token), rung="c", detect=False)
    assert again.finding is not None and again.finding.title == f.title
    monkeypatch.undo()
    assert replay(exp, token.decode(f.token), rung="c", detect=False).finding is None


def test_one_call_and_many_say_the_same(plain: Kernel) -> None:
    image = Path(DATA / "erofs" / "lz4.erofs")
    image = image if image.exists() else sorted((DATA / "erofs").glob("*.erofs"))[0]
    with plain.mounted(image) as k:
        path = next(e["path"] for e in k.names() if e["type"] == "file" and e["size"])
        f = MappedFile(k, path)
        edges = f.edges()
        assert f.maps(edges) == [x for la in edges for x in f.maps([la])] and f.maps([]) == []
        with pytest.raises(FileNotFoundError):
            MappedFile(k, "/no-such-name")
