# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel's own tools say of a series, while it is searched: checkpatch, W=1, sparse, kernel-doc, modpost, other
configurations and 32 bits. Their remarks are findings of a review, those of the base are left out.
"""
from __future__ import annotations

import re
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kemu.rung.uml.errors import RungError
from kemu.rung.uml.make import Say, nothing
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.series import Finding, Series, check
from kemu.rung.uml.tree import Tree
from kemu.series.backend.page import Backend
from kemu.series.static.check import built
from kemu.series.static.section import called_later

SECONDS = 300.0                        # that are waited for it behind the search: each configuration is a build
_PLACE = re.compile(r"([\w./-]+\.[ch]):(\d+): ")
_NOT_RUN = ("not run", "not compiled in this configuration")


class Static:
    """Begun beside a search, and asked at its end."""

    def __init__(self, patches: Sequence[Patch], config: Sequence[str], tree: Tree, below: Sequence[Patch] = (),
                 say: Say = nothing, backend: Backend | None = None):
        self.found: list[Finding] = list(called_later(patches, backend.glue, backend.text())) if backend is not None else []
        self.notes: list[str] = []
        self._patches, self._below, self._config, self._tree, self._say = list(patches), list(below), list(config), tree, say
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        own = Series("review", Path(), self._patches, config=self._config)
        try:
            for f in check(own, self._tree) if not self._below else ():
                self._take(f)
            for f in built(replace(own, patches=[*self._below, *self._patches]), self._tree, self._say):
                self._take(f)
        except (RungError, OSError) as e:
            self.notes.append(f"the tools could not look at it: {str(e).splitlines()[0]}")

    def _take(self, f: Finding) -> None:
        if f.status == "success":
            return
        if any(words in f.summary for words in _NOT_RUN):
            self.notes.append(f"{f.tool}: {f.summary}")
        elif f.tool == "checkpatch" and "CHECK:" in f.summary:
            self.notes.append(f"checkpatch: {f.summary}")
        else:
            self.found.append(f)

    def end(self, seconds: float = SECONDS) -> list[Finding]:
        """What they have found, in the time that they are given."""
        until = time.monotonic() + seconds
        while self._thread.is_alive() and time.monotonic() < until:
            self._thread.join(0.2)
        if self._thread.is_alive():
            self.notes.append("the kernel's tools have not finished: kemu series check --build goes on to the end")
        return list(self.found)


def place_of(f: Finding) -> tuple[str, int]:
    """The file and the line that a remark is about; "", 0 if it names none."""
    m = _PLACE.search(f.summary)
    return (m[1], int(m[2])) if m else ("", 0)
