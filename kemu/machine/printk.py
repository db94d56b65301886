# SPDX-License-Identifier: GPL-2.0-only
"""printk: the log, its levels, and C's format strings."""
from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import Any

KERN_SOH = "\x01"
_SPEC = re.compile(r"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+))?(hh|h|ll|l|z|t|j)?([diouxXcspn%])")
_PEXT = re.compile(r"[eVUd]\w?|")


def errname(err: int) -> str:
    """``-ENOMEM`` for -12 (``%pe``)."""
    if err > 1 << 63:
        err -= 1 << 64
    name = errno.errorcode.get(-err)
    return f"-{name}" if name else str(err)


class VaFormat:
    """``struct va_format``: a format and its arguments, printed by ``%pV``."""

    __slots__ = ("fmt", "va")

    def __init__(self, fmt: str, va: tuple[Any, ...]):
        self.fmt = fmt
        self.va = va


_compiled: dict[str, list[str | tuple[str, str, str]]] = {}


def _compile(fmt: str) -> list[str | tuple[str, str, str]]:
    out: list[str | tuple[str, str, str]] = []
    pos = 0
    while True:
        m = _SPEC.search(fmt, pos)
        if m is None:
            out.append(fmt[pos:])
            return out
        out.append(fmt[pos:m.start()])
        flags, width, prec, length, conv = m.groups()
        pos = m.end()
        if conv == "%":
            out.append("%")
            continue
        py = "%" + (flags or "") + (width or "") + (f".{prec}" if prec is not None else "")
        if conv == "p":
            if fmt[pos:pos + 1] in ("e", "V"):
                out.append(("p" + fmt[pos], py, ""))
                pos += 1
            elif fmt[pos:pos + 2] in ("Ub", "Ul"):
                out.append(("pU", py, ""))
                pos += 2
            elif fmt[pos:pos + 1] in ("d", "D"):
                out.append(("pd", py, ""))
                pos += 1
            else:
                out.append(("p", py, ""))
        else:
            out.append((conv, py, length or ""))


_BITS = {"": 32, "h": 16, "hh": 8, "l": 64, "ll": 64, "z": 64, "t": 64, "j": 64}


def vsprintf(fmt: str, args: tuple[Any, ...]) -> str:
    """Format as the kernel's ``vsnprintf``: C conversions and widths, ``%pe``, ``%pV``, ``%pd``."""
    parts = _compiled.get(fmt)
    if parts is None:
        parts = _compiled[fmt] = _compile(fmt)
    it = iter(args)
    out = []
    for part in parts:
        if isinstance(part, str):
            out.append(part)
            continue
        conv, py, length = part
        stars = []
        for _ in range(py.count("*")):
            stars.append(next(it))
        v = next(it)
        if conv == "pe":
            out.append(errname(v) if isinstance(v, int) else "(object)")
        elif conv == "pV":
            out.append(vsprintf(v.fmt, v.va))
        elif conv == "pd":
            name = v.d_name.name
            out.append(name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else str(name))
        elif conv in ("p", "pU"):
            out.append(f"{v:016x}" if isinstance(v, int) else str(v))
        elif conv == "s":
            if isinstance(v, (bytes, bytearray)):
                v = bytes(v).decode("utf-8", "surrogateescape")
            out.append((py + "s") % (*stars, "(null)" if v is None else v))
        elif conv == "c":
            out.append(v if isinstance(v, str) else chr(v & 0xFF))
        else:
            bits = _BITS[length]
            v = int(v) & ((1 << bits) - 1)
            if conv in "di":
                if v >> (bits - 1):
                    v -= 1 << bits
                conv = "d"
            elif conv == "u":
                conv = "d"
            out.append((py + conv) % (*stars, v))
    return "".join(out)


class Log:
    """The ring buffer: ``(virtual time in ns, level, text)``, one entry a line."""

    __slots__ = ("console", "entries", "now", "once", "partial")

    def __init__(self, now: Callable[[], int]):
        self.entries: list[tuple[int, int, str]] = []
        self.now = now
        self.console: Callable[[int, str], None] | None = None
        self.once: set[str] = set()
        self.partial = False            # the last entry's line has not ended

    def emit(self, text: str, default_level: int = 4) -> None:
        """Append what ``printk(text)`` would: levels are ``\\x01N`` at the start."""
        level = default_level
        goes_on = False
        while text.startswith(KERN_SOH):
            if text[1:2].isdigit():
                level = int(text[1])
            goes_on = goes_on or text[1:2] == "c"
            text = text[2:]
        lines = text.rstrip("\n").split("\n")
        if goes_on and self.partial:
            t, level, before = self.entries[-1]
            self.entries[-1] = t, level, before + lines.pop(0)
        self.partial = text[-1:] != "\n"
        for line in lines:
            self.entries.append((self.now(), level, line))
            if self.console is not None:
                self.console(level, line)

    def lines(self, max_level: int = 7) -> list[str]:
        """Texts at or below a level, oldest first."""
        return [t for _, lvl, t in self.entries if lvl <= max_level]
