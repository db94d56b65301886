# SPDX-License-Identifier: GPL-2.0-only
"""Standard input, output and error as the caller left them: closed, full, gone, or of an encoding that has not every character.
"""
from __future__ import annotations

import codecs
import contextlib
import os
import sys
from typing import Any


def prepare() -> None:
    """Make the three streams usable. A closed one stays closed to the command, but no file that is opened later gets its number.
    """
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            # what is written to it fails with EBADF, as it would have
            at = os.open(os.devnull, os.O_WRONLY if fd == 0 else os.O_RDONLY)
            if at != fd:
                os.dup2(at, fd)
                os.close(at)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    codecs.register_error("kemu", _as_it_came)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="kemu")               # type: ignore[union-attr]


def _as_it_came(e: UnicodeError) -> Any:
    """Bytes of a file's name that are not text are written as they came, characters that the encoding has not as escapes."""
    for handler in ("surrogateescape", "backslashreplace"):
        with contextlib.suppress(UnicodeError):
            return codecs.lookup_error(handler)(e)
    raise e


def abandon_output() -> None:
    """Nothing more can be written to standard output: what is still in its buffer is dropped, at exit too."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()


def one_line(text: str) -> str:
    """``text`` without control characters and line breaks: a message is one line, whatever a file is called."""
    out = []
    for c in text:
        if c.isprintable():
            out.append(c)
        elif 0xDC80 <= ord(c) <= 0xDCFF:
            out.append(f"\\x{ord(c) - 0xDC00:02x}")
        else:
            out.append(c.encode("unicode_escape").decode("ascii"))
    return "".join(out)


def complain(text: str) -> None:
    """One line on standard error; nothing if that is gone too."""
    with contextlib.suppress(OSError, ValueError):
        print(one_line(text), file=sys.stderr, flush=True)
