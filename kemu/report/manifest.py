# SPDX-License-Identifier: GPL-2.0-only
"""Manifests: what a walk of a mounted tree saw, one JSON object per inode and line.

The format is the contract between the rungs: a tree seen by the emulation, by the C and by Linux is compared as manifests.
An entry is a plain dict with exactly the keys of :data:`FIELDS`, in that order; :func:`entry` makes one. Entries are sorted by
path, bytewise, "/" first. Bytes of a path that are not UTF-8 are surrogate escapes (``os.fsdecode``), which JSON writes as
``\\udcXX``.
"""
from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

FIELDS = ("path", "type", "mode", "uid", "gid", "size", "nlink", "mtime", "rdev", "target", "xattrs", "sha256", "error")
TYPES = ("file", "dir", "symlink", "char", "block", "fifo", "socket")

_FTYPE = {0o100000: "file", 0o040000: "dir", 0o120000: "symlink", 0o020000: "char", 0o060000: "block", 0o010000: "fifo",
          0o140000: "socket"}


class ManifestError(ValueError):
    """A file that is not a manifest: says which line, and why."""


def type_of_mode(st_mode: int) -> str:
    """``S_IFMT`` bits of ``st_mode`` as a manifest type.

    A type that Linux does not know cannot come out of stat(): ``ManifestError``.
    """
    try:
        return _FTYPE[st_mode & 0o170000]
    except KeyError:
        raise ManifestError(f"st_mode 0{st_mode:o}: no such file type") from None


def entry(path: str, **fields: Any) -> Entry:
    """One manifest entry; a field that is not given is null, as after a failed lookup."""
    unknown = set(fields) - set(FIELDS) - {"capped"}
    if unknown:
        raise ManifestError(f"{path}: unknown field {sorted(unknown)[0]!r}; fields are {', '.join(FIELDS)}")
    e: Entry = {"path": path}
    for name in FIELDS[1:]:
        e[name] = fields.get(name)
    if fields.get("capped"):
        e["capped"] = True
    return e


def sort_key(e: Entry) -> bytes:
    """Entries sort by the path's bytes, "/" first."""
    return os.fsencode(e["path"])


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, sorted as a manifest wants them."""
    return sorted(entries, key=sort_key)


def dump_lines(entries: Iterable[Entry]) -> Iterator[str]:
    """One JSON text per entry, sorted, without line ends."""
    for e in ordered(entries):
        yield json.dumps({name: e.get(name) for name in FIELDS} | ({"capped": True} if e.get("capped") else {}))


def dump(entries: Iterable[Entry]) -> str:
    """The manifest as text: JSON lines, sorted by path; empty for no entries."""
    return "".join(line + "\n" for line in dump_lines(entries))


def loads(text: str, name: str = "manifest") -> list[Entry]:
    """Entries of JSON lines. ``ManifestError`` names the line that is not an entry."""
    entries: list[Entry] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            e = json.loads(line)
        except ValueError as err:
            raise ManifestError(f"{name}:{number}: not JSON: {err}") from None
        if not isinstance(e, dict) or not isinstance(e.get("path"), str):
            raise ManifestError(f"{name}:{number}: not a manifest entry: no \"path\"")
        entries.append(e)
    return entries


def load(path: str | os.PathLike[str]) -> list[Entry]:
    """Entries of a manifest file."""
    return loads(Path(path).read_text(encoding="utf-8"), os.fspath(path))


def entry_differences(a: Entry, b: Entry, ignore: Iterable[str] = ()) -> list[tuple[str, Any, Any]]:
    """``(field, value in a, value in b)`` for every field that differs.

    Where either side was too large to be read whole (``"capped": true``), ``sha256`` is not compared.
    """
    skip = {"path", *ignore}
    if a.get("capped") or b.get("capped"):
        skip.add("sha256")
    return [(name, a.get(name), b.get(name)) for name in FIELDS if name not in skip and a.get(name) != b.get(name)]


def equal(a: Iterable[Entry], b: Iterable[Entry], ignore: Iterable[str] = ()) -> bool:
    """Whether two manifests say the same, but for the fields of ``ignore``."""
    ignore = tuple(ignore)
    x, y = ordered(a), ordered(b)
    return len(x) == len(y) and all(e["path"] == f["path"] and not entry_differences(e, f, ignore) for e, f in zip(x, y))


def diff(a: Iterable[Entry], b: Iterable[Entry], a_name: str = "a", b_name: str = "b", ignore: Iterable[str] = (),
         lines: int = 40, width: int = 130) -> str:
    """How two manifests differ, on one screen; the empty string if they do not.

    One line per path that only one side has, and per field that differs; the first ``lines`` of them, then how many there are
    more. A name that occurs several times in one directory (corrupt images have that) is compared by position.
    """
    ignore = tuple(ignore)
    out: list[str] = []
    extra = 0
    xs, ys = _by_path(a), _by_path(b)
    paths = sorted(set(xs) | set(ys), key=os.fsencode)
    for path in paths:
        found = _path_lines(path, xs.get(path, []), ys.get(path, []), a_name, b_name, ignore)
        room = max(lines - len(out), 0)
        out += found[:room]
        extra += len(found[room:])
    if not out:
        return ""
    head = f"{a_name}: {sum(map(len, xs.values()))} entries, {b_name}: {sum(map(len, ys.values()))} entries"
    text = [head] + [_clip(line, width) for line in out]
    if extra:
        text.append(f"... and {extra} more differences")
    return "\n".join(text)


def _by_path(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    table: dict[str, list[Entry]] = {}
    for e in entries:
        table.setdefault(e["path"], []).append(e)
    return table


def _path_lines(path: str, xs: list[Entry], ys: list[Entry], a_name: str, b_name: str, ignore: tuple[str, ...]) -> list[str]:
    shown = show(path)
    out: list[str] = []
    for x, y in zip(xs, ys):
        for name, va, vb in entry_differences(x, y, ignore):
            if name == "xattrs" and isinstance(va, dict) and isinstance(vb, dict):
                out += [f"{shown}: xattr {show(k)}: {a_name} {_value(va.get(k, 'absent'))}, {b_name} "
                        f"{_value(vb.get(k, 'absent'))}"
                        for k in sorted(set(va) | set(vb)) if va.get(k, "absent") != vb.get(k, "absent")]
            else:
                out.append(f"{shown}: {name}: {a_name} {_value(va, name)}, {b_name} {_value(vb, name)}")
    for e, who in [(e, a_name) for e in xs[len(ys):]] + [(e, b_name) for e in ys[len(xs):]]:
        what = e.get("error") or e.get("type") or "?"
        out.append(f"{shown}: only in {who} ({what})")
    return out


def show(text: str) -> str:
    """A path for a terminal: no control characters, no surrogates."""
    return "".join(c if c.isprintable() else (f"\\x{ord(c) & 0xff:02x}" if ord(c) < 0x100 or 0xdc80 <= ord(c) <= 0xdcff
                                              else f"\\u{ord(c):04x}") for c in text)


def _value(value: Any, name: str = "") -> str:
    if value is None:
        return "null"
    if name == "mode" and isinstance(value, int):
        return f"0{value:o}"
    if isinstance(value, str):
        return show(value if len(value) <= 44 else value[:40] + "...")
    return json.dumps(value)


def _clip(line: str, width: int) -> str:
    return line if len(line) <= width else line[:width - 3] + "..."
