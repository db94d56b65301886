# SPDX-License-Identifier: GPL-2.0-only
"""The inputs that the coverage search keeps, as choices of an experiment: a token of such a run carries its input.

An experiment that judges them draws one with :func:`drawn` and begins with ``feed=Kept("erofs")``: every input of that kind that
has been kept. The data are drawn last, in words of eight bytes, so that a shrinker cuts them off at the end and makes words zero.
"""
from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kemu.explore.run import Run
from kemu.forge.pick import Pick

if TYPE_CHECKING:                   # start-up
    from kemu.rung.c.cover.case import Case

LONGEST = 1 << 21                   # bytes of an input, and of a device
_WORDS: dict[str, tuple[str, ...]] = {"kind": ("erofs", "cpio", "module"), "backend": ("disk", "file"),
                                      "memory": ("linear", "vmalloc", "slab")}
_MOST = {"at": 4095, "fail_nth": (1 << 32) - 1}
# in the order in which they are drawn: tokens depend on it; what a case has besides comes behind the data
_HEAD = ("kind", "options", "backend", "memory", "at", "fail_nth", "facts", "doors")
_TEXT, _DEVICES = 4096, 8
_ROWS = 48                          # of sixteen bytes each that a report shows


def _fields() -> list[tuple[str, Any]]:
    """(name, default) of each, as they are drawn."""
    from kemu.rung.c.cover.case import Case  # noqa: PLC0415  (start-up)

    known = {f.name: f.default for f in fields(Case)}
    rest = [name for name in known if name not in (*_HEAD, "data", "devices")]
    return [(name, known.get(name)) for name in (*_HEAD, "devices", "data", *rest)]


def drawn(pick: Pick) -> Case:
    """An input; the simplest is an image of no bytes."""
    from kemu.rung.c.cover.case import Case  # noqa: PLC0415  (start-up)

    return Case(**{name: _draw(pick, name, default) for name, default in _fields()})


def _draw(pick: Pick, name: str, default: Any) -> Any:
    if name == "data":
        return _bytes(pick, name, LONGEST)
    if name == "devices":
        return tuple(_bytes(pick, name, LONGEST) for _ in range(pick.int(name, 0, _DEVICES)))
    if name in _WORDS:
        return pick.one_of(name, _WORDS[name])
    if isinstance(default, bool):
        return bool(pick.int(name, 0, 1))
    if isinstance(default, int):
        return pick.int(name, 0, _MOST.get(name, (1 << 32) - 1))
    return _bytes(pick, name, _TEXT).decode("utf-8", "replace")


def _bytes(pick: Pick, name: str, most: int) -> bytes:
    n = pick.int(f"bytes of {name}", 0, most)
    words = [pick.int(name, 0, (1 << 64) - 1) for _ in range(-(-n // 8))]
    return struct.pack(f"<{len(words)}Q", *words)[:n]


def offsets_of(case: Case) -> list[int]:
    """The choices that :func:`drawn` makes this case of."""
    out: list[int] = []

    def put(data: bytes) -> None:
        out.append(len(data))
        out.extend(struct.unpack(f"<{-(-len(data) // 8)}Q", data + bytes(-len(data) % 8)))

    for name, _ in _fields():
        value = getattr(case, name)
        if name == "devices":
            out.append(len(value))
            for device in value:
                put(device)
        elif name in _WORDS:
            out.append(_WORDS[name].index(value))
        elif isinstance(value, int):
            out.append(int(value))
        else:
            put(value if isinstance(value, bytes) else value.encode())
    return out


def shown(case: Case) -> list[str]:
    """The case in a line, and its bytes: rows that are not all zero."""
    rows = []
    for name, data in [("", case.data), *((f"device {i}, ", d) for i, d in enumerate(case.devices, 1))]:
        rows += [f"{name}{at:#07x}: {data[at:at + 16].hex(' ', 2)}" for at in range(0, len(data), 16)
                 if data[at:at + 16].strip(b"\0")]
    more = [f"{len(rows) - _ROWS} more rows of sixteen bytes (kemu replay TOKEN --save DIR)"] if len(rows) > _ROWS else []
    return [str(case), *rows[:_ROWS], *more]


def files_of(case: Case) -> dict[str, bytes]:
    """What ``kemu replay --save`` writes: the case as the coverage search takes it, and its images as they are."""
    suffix = "cpio" if case.kind == "cpio" else "erofs"
    return {f"{case.key()}.case": case.pack(), f"{case.key()}.{suffix}": case.data,
            **{f"{case.key()}.device{i}": data for i, data in enumerate(case.devices, 1)}}


@dataclass(frozen=True)
class Kept:
    """Runs to begin with: ``files`` and what is in such folders, then what has been kept of a kind (``erofs``, ``cpio``) in
    ``folder`` ("": where the coverage search keeps it).
    """

    kind: str
    folder: str = ""
    files: tuple[str, ...] = ()

    def __call__(self, rung: str) -> Iterator[list[int]]:
        """As choices. Another rung than c is not asked at the C rung's doors, and none of its calls has the same number."""
        from kemu.rung.c.cover.begin import files  # noqa: PLC0415  (start-up)
        from kemu.rung.c.cover.corpus import Corpus, default_folder  # noqa: PLC0415  (start-up)

        folder = Path(self.folder) if self.folder else default_folder()
        for case in itertools.chain(files([Path(name) for name in self.files]), Corpus(folder / "corpus")):
            if case.kind != self.kind and not (rung == "c" and case.kind == "module" and self.kind == "erofs"):
                continue
            if case.fail_nth and rung != "c":
                continue
            yield offsets_of(case if rung == "c" else plain(case))


def plain(case: Case) -> Case:
    """What every rung can be asked of it."""
    case = replace(case, facts=False, doors=False, fail_nth=0)
    return replace(case, options="", devices=()) if case.kind == "cpio" else case


def ends(run: Run, case: Case) -> None:
    """End the run if the kernel's C does not come to the end of a case: as it was found, with all that it was asked."""
    from kemu.rung import differential  # noqa: PLC0415  (start-up)
    from kemu.rung.asked import Unanswered, asked  # noqa: PLC0415  (start-up)
    from kemu.rung.c.cover.search import meant, signature, where  # noqa: PLC0415  (start-up)
    from kemu.rung.c.kernel import Kernel  # noqa: PLC0415  (start-up)
    from kemu.rung.uml.errors import RungError  # noqa: PLC0415  (start-up)

    try:
        kernel = asked(run.rung).judge()
        assert isinstance(kernel, Kernel)
        answer = case.run(kernel)
    except RungError as e:
        raise Unanswered(e) from None
    run.saw(f"mount {answer.mount_error}", answer.message or "", *(f"{e['type']}:{e['error']}" for e in answer.entries))
    if answer.crash and not meant(case, answer):
        died = differential.seen(answer)
        died.splat = answer.message or died.splat
        died.function, died.place = where(answer.console)
        died.trace = answer.console.splitlines()
        differential.crashed(run, died, cause=signature(answer))



def begun(run: Run, *kinds: str) -> Case | None:
    """The input that a run has drawn, if it is one of these kinds: shown, and on the C rung seen to end no kernel."""
    case = drawn(run.pick)
    if case.kind not in kinds or (not case.data and case.kind != "module"):
        return None
    run.show("\n".join(shown(case)))
    run.files = files_of(case)
    if run.rung == "c":
        ends(run, case)
    run.left_out = left_out(case, run.rung)
    return case


def left_out(case: Case, rung: str) -> str:
    """What of a case only the C rung is asked; "" if nothing."""
    asked = [*(["its n-th failing call"] if case.fail_nth else []), *(["facts"] if case.facts else []),
             *(["doors"] if case.doors else []), *(["a module that comes and goes"] if case.kind == "module" else []),
             *(["a command line"] if case.kind == "cpio" and case.options else []),
             *(["another built-in archive"] if case.kind == "cpio" and case.devices else [])]
    return f"only the C rung is asked for {', '.join(asked)}, not {rung}" if asked and rung != "c" else ""
