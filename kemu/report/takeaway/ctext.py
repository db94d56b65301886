# SPDX-License-Identifier: GPL-2.0-only
"""Values as C text: strings, names, images without their zeros."""
from __future__ import annotations

import re
from collections.abc import Iterator

_PER_LINE = 12
GAP = 16                # zeros between two runs of bytes, less are part of one


def string(text: str) -> str:
    """A path or a target as a C string; bytes that are no UTF-8 are surrogates, as manifests have them."""
    out = []
    for byte in text.encode("utf-8", "surrogateescape"):
        c = chr(byte)
        out.append("\\" + c if c in "\"\\" else c if " " <= c <= "~" and c != "?" else f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def identifier(text: str, most: int = 40) -> str:
    """A name for a C function."""
    return re.sub(r"\W+", "_", text).strip("_").lower()[:most].strip("_") or "case"


def comment(lines: list[str], width: int = 76) -> list[str]:
    """Lines of a block comment of the kernel's style."""
    out = ["/*"]
    for line in lines:
        words, now = line.replace("*/", "* /").split(" "), ""
        for word in words:
            if now and len(now) + 1 + len(word) > width:
                out.append(f" * {now}".rstrip())
                now = word
            else:
                now = f"{now} {word}" if now else word
        out.append(f" * {now}".rstrip())
    return [*out, " */"]


def runs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """What of an image is not zero, as (where, bytes)."""
    for m in re.finditer(rb"[^\0](?:\0{0,%d}[^\0])*" % (GAP - 1), data, re.S):
        yield m.start(), m.group()


def array(name: str, data: bytes) -> list[str]:
    """A constant array of bytes."""
    rows = [data[i:i + _PER_LINE] for i in range(0, len(data), _PER_LINE)] or [b"\0"]
    return [f"static const u8 {name}[] __initconst = {{", *("\t" + " ".join(f"0x{b:02x}," for b in row) for row in rows), "};"]
