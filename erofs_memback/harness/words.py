# SPDX-License-Identifier: GPL-2.0-only
"""Words of the experiments: a kernel with images, where they lie, and how what was read is compared with what was written."""
from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from kemu.explore.run import Expected, Run
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.placement import Placement, choose_placement
from kemu.linux.err import IS_ERR, PTR_ERR
from kemu.linux.mount import VfsMount
from kemu.linux.types import NULL
from kemu.report.manifest import FIELDS
from kemu.rung.py import trial
from kemu.rung.py.backend import Source
from kemu.rung.py.trial import errname, log_tail, manifest

from erofs_memback import memback, memback_rfc  # noqa: F401 - their hunks are applied now, not in the middle of a run
from erofs_memback.harness.mount import EROFS, MountError

__role__ = "harness"
# metadata behind the end of the device is an error, not zeros: the stricter of Linux's two answers
CONFIG = {"CONFIG_BUFFER_HEAD": False}
MEMORY = ("linear", "vmalloc", "slab")


def kernel(run: Run, backend: str, *images: bytes, place: Placement = Placement(), config: dict[str, bool] = CONFIG,
           completion: str = "sync") -> AbstractContextManager[list[Source]]:
    """A machine that is up, with EROFS loaded and the images behind a back end; in the end nothing may be left."""
    return trial.kernel(run, EROFS, backend, *images, place=place, config=config, completion=completion)


def somewhere(run: Run, page_sizes: tuple[int, ...] = (4096,)) -> Placement:
    """A place for the image: every other time the plainest one, so that what is wrong elsewhere does not hide what is wrong
    everywhere.
    """
    return choose_placement(run.pick, page_sizes, MEMORY) if run.pick.rare("somewhere", 2) else Placement()


def describe(place: Placement, what: Any) -> tuple[str, str]:
    """The place in a line, and the input."""
    return f"{place.memory} memory, {place.at} bytes behind a page boundary, {place.page_size}-byte pages", what.describe()


def layout_of(image: ErofsImage, path: str) -> str:
    """How the data of a file lies: what tells the cause of a wrong read from another's."""
    for p, node in image.walk():
        if p.decode("utf-8", "surrogateescape") == path:
            t = image.inodes[id(node)]
            kinds = sorted({e.how.partition("+")[0] for e in t.extents}, key=lambda k: (not k.startswith("inline"), k))
            return kinds[0] if kinds else t.layout
    return "?"


def short(path: str) -> str:
    """A path for a title."""
    text = ascii(path)
    return text if len(text) <= 48 else text[:44] + "..." + text[-1]


def compare(run: Run, got: list[dict[str, Any]], want: list[dict[str, Any]], layout: Callable[[str], str], truth: str,
            by_layout: bool = True) -> None:
    """Entry by entry; the first difference is the finding, named by field and layout so that equal causes count once.

    ``by_layout`` False: differences of errors count once for each pair of errors, however the data lies.
    """
    run.expected = run.expected or Expected("", want)
    a = {e["path"]: e for e in got}
    b = {e["path"]: e for e in want}
    for path in sorted(a.keys() | b.keys(), key=os.fsencode):
        x, y = a.get(path), b.get(path)
        if x is None or y is None:
            run.fail(f"{short(path)}: {'missing' if x is None else 'only'} here, {truth} has "
                     f"{'it' if x is None else 'no such name'}",
                     *log_tail(), cause=f"names differ ({'missing' if x is None else 'invented'})")
            return
        for name in ("error", *FIELDS):
            if x.get(name) == y.get(name) or ((x.get("capped") or y.get("capped")) and name == "sha256"):
                continue
            how = layout(path)
            what = f"{x[name]} instead of {y[name]}" if name == "error" else "differs"
            data = name in ("sha256", "target")
            cause = f"bytes differ ({how})" if data else f"{name} {what} ({how if by_layout else 'any'})"
            run.fail(f"{short(path)} ({how}): {name} {what}", f"here:  {str(x[name])[:100]}", f"{truth}: {str(y[name])[:100]}",
                     *log_tail(), cause=cause, severity="critical" if data else "high",
                     where=run.filled() if data else run.heard)


def mounted(run: Run, source: Source) -> VfsMount:
    """The mount, or None with the error noted as behaviour."""
    mnt = source.mount()
    if IS_ERR(mnt):
        run.saw(f"mount {errname(PTR_ERR(mnt))}")
        return NULL             # type: ignore[no-any-return]
    return mnt


def note(run: Run, entries: list[dict[str, Any]]) -> None:
    """What was read, as behaviour."""
    for e in entries:
        run.saw(f"{e['type']}:{e['error']}")


def as_disk(data: bytes, page_size: int) -> tuple[str, list[dict[str, Any]]]:
    """What a block device of these bytes gives: mount result and manifest. On a machine of its own, without detectors."""
    try:
        with EROFS.mounted(data, page_size=page_size, config=CONFIG, completion="sync") as m:
            return "mounted", manifest(m.mnt)
    except MountError as e:
        return errname(-e.errno), []
