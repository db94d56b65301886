# SPDX-License-Identifier: GPL-2.0-only
"""The bodies of the emulated kernel beside their C, both ways: a ``@dup`` promises the locks, warnings and errnos of the C, not
its lines. How many lines differ is kept for each function, so that it cannot grow.
"""
from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from types import ModuleType

from kemu.cli.api import load as symbols
from kemu.linux.port import honesty
from kemu.machine.statics import Statics
from kemu.report.samecheck import ctext
from tests.counterparts import c_statements, py_statements
from tests.counterparts.align import without
from tests.counterparts.ported import load, module_tree

ABSENT = Path(__file__).with_name("absent.txt")

# what C says by a call, and a body by the flag that it looks at
_FLAG = re.compile(r"(?:folio|Page)_?(?:test_clear|test_set|test|set|clear|end|mark)_?(\w+)$"
                   r"|(?:set_|clear_|test_clear_|test_set_)?buffer_(\w+)$")
_SAID = {
    "i_size_read": "i_size", "iov_iter_count": "count", "folio_batch_count": "folios", "nr_segs": "segs", "folio_pos": "index",
    "folio_size": "order",
    "inode_state_read": "i_state", "inode_state_read_once": "i_state", "inode_state_set": "i_state",
    "inode_state_clear": "i_state",
    "inode_state_assign": "i_state", "inode_state_assign_raw": "i_state", "folio_nr_pages": "order", "file_inode": "f_inode",
    # a union; the identity
    "ia_vfsuid": "ia_uid", "ia_vfsgid": "ia_gid", "i_uid_into_vfsuid": "i_uid", "i_gid_into_vfsgid": "i_gid",
    "fatal_signal_pending": "pending_signal", "signal_pending": "pending_signal", "ARRAY_SIZE": "",
}
# where flags are; one user namespace, no mount is mapped, and no lease is broken: these are passed on, and nothing comes of it
_NOTHING = frozenset(("", "flags", "b_state", "this", "arch", "idmap", "mnt_idmap", "user_ns", "s_user_ns", "userns",
                      "user_namespace", "delegated_inode"))
_DECLARED = re.compile(r"(?:(?:const|static|struct|enum|unsigned|signed|long|short|union|register)\s+)*[A-Za-z_]\w*[\s*]+"
                       r"(?:__\w+\s+)*\**\w+(?:\[[^\]]*\])*(?:\s*,\s*\**\w+(?:\[[^\]]*\])*)*")
_JUMP = re.compile(r"goto\s+\w+|return\s*\(?-?\w*\)?|return ERR_PTR\s*\(\s*-?\w+\s*\)|break|continue|\w+")
_LABEL = re.compile(r"@\w+\.label|(?:return )?\w+\.goto\(\w+, (?:ERR_PTR\()?-?\w+\)?\)")
_LOCAL = re.compile(r"(\w+)(?:: \w+)? = (\w+)\(\)")           # struct iattr newattrs;
_BENCH = re.compile(r"\bthis\.(watch|chooser|tap|trace)\b|\bw is not None|\bw\.(event|ref|lock)\(|^(if )?should_fail\(")


@dataclass(frozen=True)
class Body:
    """One function: its statements, those that its C has not, and those of the C that it has not."""

    path: str
    c_name: str
    place: str
    statements: int
    c_statements: int
    more: tuple[str, ...]
    less: tuple[str, ...]

    @property
    def where(self) -> str:
        """``FILE:FUNCTION``."""
        return f"{self.path}:{self.c_name}"


@cache
def absent() -> tuple[tuple[str, str], ...]:
    """(pattern of a word, reason)."""
    out = []
    for line in ABSENT.read_text().splitlines():
        if line and not line.startswith("#"):
            words, _, reason = line.partition(" | ")
            out += [(w, reason) for w in words.split()]
    return tuple(out)


@cache
def is_absent(word: str) -> bool:
    """Is a word of what the emulated kernel has not?"""
    return not any(word == pattern[1:] for pattern, _ in absent()) and any(fnmatchcase(word, pattern) for pattern, _ in absent())


def _plain(words: Iterable[str]) -> frozenset[str]:
    out = set()
    for w in words:
        m = _FLAG.match(w)
        out.add((m[1] or m[2]).lower() if m
                else _SAID.get(w, re.sub(r"^(PG|BH)_(?=\w)", "", w).lower() if w.startswith(("PG_", "BH_")) else w))
    return frozenset(out - _NOTHING)


def c_side(text: str) -> list[tuple[str, frozenset[str]]]:
    """What a definition does, without what only C has: its head, declarations, labels and jumps."""
    out = []
    texts = c_statements.texts(text)
    for t in texts if text.startswith("#define") else texts[1:]:
        if _JUMP.fullmatch(t) or (_DECLARED.fullmatch(t) and not t.startswith("return")):
            continue
        words = c_statements.words(t)
        if any(is_absent(w) for w in words):
            continue
        plain = _plain(words)
        if plain:
            out.append((t, plain))
    return out


def python_side(fn: ast.FunctionDef, module: str, known: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """The statements of a body, without what tells a detector or asks the chooser."""
    has = vars(importlib.import_module(module))

    def namespace(name: str) -> bool:
        return name == "g" or name.endswith("_g") or isinstance(has.get(name), (ModuleType, Statics))

    out = []
    for s in py_statements.statements(fn, known, namespace):
        plain = _plain(s.words)
        local = _LOCAL.fullmatch(s.text)
        if local and known >= py_statements.of_names(local.groups()):
            continue
        if plain and not _BENCH.search(s.text) and not _LABEL.fullmatch(s.text):
            out.append((s.text, plain))
    return out


def compare(c: str, fn: ast.FunctionDef, module: str) -> tuple[int, int, tuple[str, ...], tuple[str, ...]]:
    """Statements of Python and of C, and those of each that the other has not."""
    beside = c_side(c)
    every = frozenset().union(*(w for _, w in beside), c_statements.words(c_statements.body_of(c)))
    py = python_side(fn, module, every)
    cw, pw = [w for _, w in beside], [w for _, w in py]
    return len(py), len(beside), tuple(py[i][0] for i in without(pw, cw)), tuple(beside[i][0] for i in without(cw, pw))


def _definition(module: str, name: str) -> ast.FunctionDef | None:
    for node in ast.walk(module_tree(module)):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    return None


def bodies(tree: Path, names: tuple[str, ...] = ()) -> list[Body]:
    """Every ``@dup`` function whose C is in the tree and that is no port, sorted by C file and name."""
    load()
    ported = {(p.module, p.name) for p in honesty.ports}
    out = []
    for s in symbols():
        if s.honesty != "dup" or (s.module, s.name) in ported or (names and s.name not in names and s.c_name not in names):
            continue
        c, fn = ctext.function(tree / s.path, s.c_name), _definition(s.module, s.name)
        if not c or fn is None:
            continue
        n, m, more, less = compare(c, fn, s.module)
        out.append(Body(s.path, s.c_name, f"{s.module}:{fn.lineno}", n, m, more, less))
    return sorted(out, key=lambda b: (b.path, b.c_name, b.place))
