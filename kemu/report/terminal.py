# SPDX-License-Identifier: GPL-2.0-only
"""What a person at a terminal sees: tables that fit it, and a line that says what is being waited for.

rich draws both, and is imported only where a stream is a terminal. A pipe gets plain text: no colour, no bar, no banner.
"""
from __future__ import annotations

import contextlib
import os
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from kemu.report.table import table

STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "ok": "green", "absent": "yellow",
          "MISSING": "bold red"}


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at this stream."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:                  # closed
        return False


def console(stream: TextIO, no_color: bool) -> Any:
    """rich's console for a terminal; it honours NO_COLOR and the terminal's width itself."""
    from rich.console import Console  # noqa: PLC0415  (start-up)

    return Console(file=stream, no_color=no_color or bool(os.environ.get("NO_COLOR")), highlight=False, markup=False, emoji=False,
                   soft_wrap=False)


def width_of(stream: TextIO | None, pipe: int = 80) -> int:
    """Columns of a terminal; ``pipe`` elsewhere."""
    if stream is None or not is_terminal(stream):
        return pipe
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or pipe
    return pipe


def fitted(lines: Iterable[str], width: int) -> list[str]:
    """Lines of at most ``width`` columns, what is behind a break four further in; a command and a word that are longer stay
    whole: they are copied.
    """
    out: list[str] = []
    for line in lines:
        if len(line) <= width or line.lstrip().startswith("kemu "):
            out.append(line)
            continue
        body = line.lstrip()
        indent = line[:len(line) - len(body)]
        out += textwrap.wrap(body, max(width, 24), initial_indent=indent, subsequent_indent=indent + "    ",
                             break_long_words=False, break_on_hyphens=False)
    return out


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], no_color: bool = False, width: int = 130) -> None:
    """A table on standard output; the first column's words may have a colour. Plain text of ``width`` columns in a pipe."""
    if not is_terminal(sys.stdout):
        print("\n".join(table(head, rows, width)))
        return
    from rich.table import Table  # noqa: PLC0415  (start-up)
    from rich.text import Text  # noqa: PLC0415  (start-up)

    t = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    out = console(sys.stdout, no_color)
    whole = _unbroken([max(map(len, cells)) for cells in zip(head, *rows)], out.width)
    for i, name in enumerate(head):
        # what is copied elsewhere is never cut: a token, a name
        t.add_column(name, overflow="fold", no_wrap=i in whole, ratio=None if i < len(head) - 1 else 1,
                     min_width=min(8, max([len(r[i]) for r in rows] or [1])))
    for r in rows:
        t.add_row(Text(r[0], style=STYLES.get(r[0], "")), *(Text(cell) for cell in r[1:]))
    out.print(t)


def _unbroken(widths: Sequence[int], width: int, rest: int = 24) -> set[int]:
    """The columns whose cells need not be wrapped: the narrowest first, as long as ``rest`` is left for each that is."""
    out: set[int] = set()
    left = width - (rest + 1) * len(widths)
    for i in sorted(range(len(widths) - 1), key=lambda i: widths[i]):
        left -= widths[i] - rest
        if left < 0:
            break
        out.add(i)
    return out


class Wait:
    """What is being waited for, on standard error: a line that is rewritten on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, quiet: bool = False, no_color: bool = False, stream: TextIO | None = None, every: float = 0.0):
        self.stream = stream if stream is not None else sys.stderr
        self.quiet = quiet
        self.no_color = no_color
        self.terminal = is_terminal(self.stream)
        self.every = every or (0.2 if self.terminal else 10.0)
        self.last = time.monotonic()
        self._shown: Any = None
        self._task: Any = None

    def __call__(self, text: str, done: float = 0.0, total: float = 0.0) -> None:
        """Say what is being done; ``done`` of ``total``, where that is known."""
        now = time.monotonic()
        if self.quiet or now - self.last < self.every:
            return
        self.last = now
        if not self.terminal:
            with contextlib.suppress(OSError, ValueError):
                print(f"# {text}", file=self.stream, flush=True)
            return
        if self._shown is None:
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415  (start-up)

            bar = [BarColumn(bar_width=16)] if total else []
            self._shown = Progress(SpinnerColumn("line"), *bar, TextColumn("{task.description}", markup=False), transient=True,
                                   auto_refresh=False, redirect_stdout=False, redirect_stderr=False,
                                   console=console(self.stream, self.no_color))
            self._shown.start()
            self._task = self._shown.add_task(text, total=total or None)
        self._shown.update(self._task, description=text, completed=min(done, total) if total else None, refresh=True)

    def clear(self) -> None:
        """Take the line away: something else is printed, or it is over. The next call shows it again."""
        if self._shown is not None:
            self._shown.stop()
            self._shown = None
