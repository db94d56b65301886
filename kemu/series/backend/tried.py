# SPDX-License-Identifier: GPL-2.0-only
"""Findings of a port that mounts from memory, tried on the other rungs: the same image at the same place, by the series' own C.

The C is what is given, what belongs to the Series, or what ``kemu series emit`` makes of it; the page that belongs to the port's
back end (``Backend.in_c``) says how it mounts. Each kernel is asked twice, by a block device and from memory.
"""
from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kemu.explore.finding import Finding
from kemu.machine.given import GivenMount
from kemu.machine.series import Series
from kemu.report import manifest
from kemu.rung.c.cover.search import where
from kemu.rung.differential import first_field
from kemu.rung.protocol import Answer, Judge
from kemu.rung.py.backend import UnknownBackend, find
from kemu.rung.uml import series as c_series
from kemu.rung.uml.errors import RungError
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.sched.confirm import NotThere
from kemu.rung.uml.tree import Tree
from kemu.series.backend.glue import glue_of
from kemu.series.backend.page import Backend, backend_of, read_backend

CAP = 1 << 22                          # bytes of a file that are read
MOST_CALLS = 96                        # of a mount and a walk, that are made to fail one after the other
IN_C, NAMES = "asan-review", {"asan-review": "asan"}
OF_MEMORY = ("KASAN", "oops", "page", "UBSAN", "BUG", "stack", "state")
VIRTUAL, MAPPED = "CONFIG_DEBUG_VIRTUAL=y", "CONFIG_DEBUG_KMAP_LOCAL_FORCE_MAP=y"     # what a finding may rest on
_WHY = {VIRTUAL: "virt_to_page() is arithmetic there, and wrong only where the page is looked at",
        MAPPED: "the pages behind one that is mapped are mapped as well, as they are without HIGHMEM",
        "KMSAN": "there is no KMSAN there, and memory that nobody has written is zeros"}
_NOTHING = "by a block device it has the same names, contents and errnos"


def page_of(given: GivenMount) -> Backend | None:
    """The page of the port's back end that a mount was made by; None if it has none."""
    try:
        backend = find(given.filesystem, given.backend)
    except UnknownBackend:
        return None
    if not backend.in_c:
        return None
    return read_backend(Path(str(sys.modules[type(backend).__module__].__file__)).parent / backend.in_c)


def side_of(series: Sequence[Series], page: Backend, tree: Tree, c: c_series.Series | None = None) -> c_series.Series:
    """The C of a stack, with its glue as the last patch. ``NotThere``: there is none."""
    found = c
    if found is None:
        if len(series) != 1:
            raise NotThere("several series: their C is not made by itself")
        found = _c_of(series[0], tree)
    else:
        page = backend_of(found) or page
    try:
        return replace(found, patches=[*found.patches, glue_of(page, found.patches, tree)], path=found.path / page.name)
    except RungError as e:
        raise NotThere(str(e)) from None


def _c_of(s: Series, tree: Tree) -> c_series.Series:
    from kemu.series.whole import c_half  # noqa: PLC0415  (start-up)

    try:
        found = c_half(s)
    except RungError as e:
        raise NotThere(f"the C half of {s.name}: {e}") from None
    return found if found is not None else _emitted(s.name, tree)


def _emitted(name: str, tree: Tree) -> c_series.Series:
    """The C that is made of a Series."""
    from kemu.series.emit.expr import Untranslated  # noqa: PLC0415  (start-up)
    from kemu.series.emit.report import of_series  # noqa: PLC0415  (start-up)

    try:
        made = of_series(name, tree)
    except (Untranslated, LookupError) as e:
        raise NotThere(f"the series {name} has no C side, and none can be made of it: {e}") from None
    if made.outcome.missing or made.outcome.errors:
        raise NotThere(f"the series {name} has no C side, and what is made of it is not whole: "
                       f"{len(made.outcome.missing)} statements, {len(made.outcome.errors)} errors (kemu series emit {name})")
    return c_series.Series(name, Path("emitted") / name, [Patch(name, made.subject, made.text.encode())])


# ------------------------------------------------------------------------- what is asked

def by_region(f: Finding, given: GivenMount, judge_of: Callable[[str, str], Judge]) -> dict[str, object]:
    """What became of a finding's input. ``judge_of(rung, flavour)``: a kernel with the C. ``NotThere``."""
    if given.page_size != 4096:
        raise NotThere(f"pages of {given.page_size} bytes: the kernels here have 4096")
    first = given.images[0]
    data = first.read()
    found: dict[str, object] = {"c": None, "linux": None}
    said: list[str] = []
    for rung in ("c", "linux"):
        flavour, memories = _ways(rung, f, first.memory)
        name = f"{rung} ({NAMES.get(flavour, flavour)})"
        try:
            judge = judge_of(rung, flavour)
            shown, memory = next(((text, m) for m in memories for text in [_shown(f, judge, rung, data, m, first.at, given)]
                                  if text), ("", first.memory))
        except RungError as e:
            said.append(f"{name}: {str(e).splitlines()[0]}")
            continue
        found[rung] = bool(shown)
        rests_on(f, bool(shown))
        why = next((_WHY[word] for word in (*f.config, f.detector) if word in _WHY), _NOTHING)
        said.append(f"{name}{'' if memory == first.memory else f', in {memory} memory'}: {shown}" if shown
                    else f"not reproduced on {name}: {why}")
    return {**found, "why": "; ".join(said)}


def rests_on(f: Finding, shown: bool = True) -> None:
    """Name the configuration that a finding from memory rests on, if one is needed to see it. ``shown``: without it."""
    if "virt_to_page(" in f.title and VIRTUAL not in f.config:
        f.config.append(VIRTUAL)
    if not shown and any("its neighbour is not mapped there" in line for line in f.report) and MAPPED not in f.config:
        f.config.append(MAPPED)


def _ways(rung: str, f: Finding, memory: str) -> tuple[str, list[str]]:
    """The flavour, and the kinds of memory: on the booted kernel only a slab object's end is watched to the byte."""
    if rung == "c":
        return IN_C, [memory]
    if f.choices and f.detector != "state":
        return "debug", [memory]
    if f.detector in OF_MEMORY:
        return "kasan", list(dict.fromkeys((memory, "slab")))
    return "fast", [memory]


def _shown(f: Finding, judge: Judge, rung: str, data: bytes, memory: str, at: int, given: GivenMount) -> str:
    def mount(backend: str, options: str = given.options, fail_nth: int = 0, elsewhere: bool = False) -> Answer:
        kind = memory if not elsewhere else "linear" if memory == "vmalloc" else "vmalloc"
        return judge.erofs(data, at=at, options=options, memory=kind, backend=backend, cap=CAP, fail_nth=fail_nth)

    disk = mount("disk")
    if disk.crash:
        return ""
    if f.detector == "state":
        return _left(mount)
    if f.choices:
        return next(_failing(mount, disk), "")
    text = differs(disk, mount("region"))
    return "" if f.detector == "KMSAN" and "sha256" not in text else text


def _left(mount: Callable[..., Answer]) -> str:
    """What the next mount, of a block device, finds of one from memory that failed because of an option."""
    disk = mount("disk", elsewhere=True)               # not where the other lay
    mount("region", options="nonsense")
    text = differs(disk, mount("disk", elsewhere=True))
    return f"behind a mount from memory with a wrong option, a block device: {text}" if text else ""


def _failing(mount: Callable[..., Answer], disk: Answer) -> Iterator[str]:
    for n in range(1, MOST_CALLS + 1):
        part = mount("region", fail_nth=n)
        if part.crash:
            yield f"with failing call {n}: {told(part)}"
        if part.fired is False:
            return
        text = differs(disk, mount("disk"))
        if text:
            yield f"behind a mount from memory whose call {n} failed, a block device: {text}"


def differs(disk: Answer, region: Answer) -> str:
    """In what a mount from memory differs from a block device's; empty if in nothing."""
    if region.crash:
        return told(region)
    if disk.mount_error != region.mount_error:
        return f"mount: {region.mount_error or 'no error'} instead of {disk.mount_error or 'none'}"
    if not manifest.diff(disk.entries, region.entries, "a", "b", lines=1):
        return ""
    path, name, right, got = first_field(disk.entries, region.entries)
    return f"{manifest.show(path)}: {name}: {str(got)[:20]} instead of {str(right)[:20]}"


def told(answer: Answer) -> str:
    """A crash in a line: where it is in what is tested, if that is known."""
    function, place = where(answer.console)
    if place in ("", "?"):
        function, place = answer.function, answer.place
    title = (answer.message or answer.crash or "").splitlines()[0]
    return f"{title}, {function} at {place}" if place not in ("", "?") else title
