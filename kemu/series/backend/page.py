# SPDX-License-Identifier: GPL-2.0-only
"""The page of Python: which C file calls the series' own interface, and which choices there are."""
from __future__ import annotations

import random
import runpy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kemu.machine.region import KINDS
from kemu.rung.uml.errors import ConfigError
from kemu.rung.uml.series import Series

NAME = "backend"                       # of the object in the page
PAGE = 4096


@dataclass
class Backend:
    """``glue``: a C file, from the page's folder, that defines

        long kemu_backend_mount(const void *base, unsigned long size, const char *dir, const char *options)

    mounts what lies in the ``size`` bytes at ``base`` on ``dir``, and returns 0 or -errno; ``options`` are a page of the
    caller's. It is compiled as a file of ``folder`` of the tree, with the series on it, and calls
    what the series has brought.

    ``memory``: the kinds of memory that the series is made for: ``linear`` (whole pages, none behind them), ``vmalloc`` and
    ``slab``. ``at``: where in its first page a region may begin, as a range of bytes. ``options``: of the mount, always;
    ``without``: words of mount options that the series means to answer otherwise than a block device does: such a mount is not
    asked of it.
    """

    glue: str
    folder: str = "fs/erofs"
    memory: Sequence[str] = KINDS
    at: range = field(default_factory=lambda: range(PAGE))
    options: str = ""
    without: Sequence[str] = ()
    path: Path = Path()                # of the page
    name: str = ""

    def __post_init__(self) -> None:
        wrong = [kind for kind in self.memory if kind not in KINDS]
        if wrong or not self.memory:
            raise ConfigError(f"a back end's memory: {wrong[0] if wrong else 'none'!r}: there is {', '.join(KINDS)}")
        if not self.at or self.at[0] < 0 or self.at[-1] >= PAGE:
            raise ConfigError(f"a back end's at: {self.at}: a range of bytes within a page, range({PAGE})")

    def takes(self, options: str) -> bool:
        """Whether a mount with these options is asked of it."""
        return not any(word in options for word in self.without)

    def place(self, rng: random.Random) -> tuple[str, int]:
        """A kind of memory, and an offset in its first page. A page with other habits overrides this."""
        edges = [self.at[0], self.at[-1], *(n for n in (8, 512, 1024, 1536, 3072, 4088) if n in self.at)]
        return rng.choice(list(self.memory)), rng.choice(edges) if rng.random() < 0.6 else rng.choice(self.at)

    def text(self) -> str:
        """The C. ``ConfigError``: it cannot be read."""
        try:
            return (self.path.parent / self.glue).read_text()
        except (OSError, UnicodeDecodeError) as e:
            raise ConfigError(f"{self.path}: glue = {self.glue!r}: {getattr(e, 'strerror', None) or e}") from None


def read_backend(path: Path) -> Backend:
    """The back end of a page of Python, or of a C file alone, with all choices. ``ConfigError`` says what is wrong."""
    if path.suffix == ".c":
        found = Backend(path.name)
    elif path.suffix == ".py":
        found = _of_page(path)
    else:
        raise ConfigError(f"{path}: a back end is a page of Python (.py), or a C file (.c)")
    found.path, found.name = path, found.name or path.stem
    found.text()
    return found


def backend_of(series: Series, given: str | None = None) -> Backend | None:
    """The one that is given, or that a series' series.toml names. ``ConfigError``."""
    if given:
        return read_backend(Path(given))
    if not series.backend:
        return None
    return read_backend((series.path if series.path.is_dir() else series.path.parent) / series.backend)


def _of_page(path: Path) -> Backend:
    try:
        names: dict[str, Any] = runpy.run_path(str(path), run_name="kemu_backend_page")
    except ConfigError as e:
        raise ConfigError(f"{path}: {e}") from None
    except OSError as e:
        raise ConfigError(f"{path}: {e.strerror}") from None
    except SyntaxError as e:
        raise ConfigError(f"{path}:{e.lineno}: {e.msg}") from None
    except Exception as e:
        raise ConfigError(f"{path}: {type(e).__name__}: {e}") from None
    found = names.get(NAME)
    if not isinstance(found, Backend):
        raise ConfigError(f"{path}: there is no {NAME} = Backend(...) in it (from kemu.series.backend import Backend)")
    return found
