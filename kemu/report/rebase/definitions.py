# SPDX-License-Identifier: GPL-2.0-only
"""The definitions of a C file: functions, structures, enumerations, macros, tables and variables."""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import tree_sitter_c
from tree_sitter import Language, Node, Parser

from kemu.report.csource import find_function

FUNCTION, STRUCTURE, MACRO, TABLE = "function", "structure", "macro", "table"
_HEAD = re.compile(r"^(?![#}\s/*]).*\(.*$", re.M)     # lines from column 0
_MORE = re.compile(r"\b([a-zA-Z_]\w*)\s*\(")
_TYPES = ("struct_specifier", "union_specifier", "enum_specifier")
_BLOCKS = ("preproc_if", "preproc_ifdef", "preproc_else", "preproc_elif", "linkage_specification", "declaration_list", "ERROR",
           "translation_unit")
_NO_NAMES = frozenset("if for while switch return sizeof typeof defined do else".split())


@dataclass(frozen=True)
class Definition:
    """``kind``: function, structure (and union, enumeration), macro, table (and variable); ``line``: its first, from 1."""

    kind: str
    name: str
    line: int
    text: str


@lru_cache(maxsize=256)
def definitions(source: str) -> dict[tuple[str, str], Definition]:
    """All of a file, by kind and name; of a name that is defined twice (other branches of an #if) the longest."""
    out: dict[tuple[str, str], Definition] = {}
    for d in (*_functions(source), *_others(source)):
        known = out.get((d.kind, d.name))
        if known is None or len(d.text) > len(known.text):
            out[d.kind, d.name] = d
    return out


def _functions(source: str) -> Iterator[Definition]:
    """By kernel style: tree-sitter loses its way in macros that are loops or attributes, and what it says of a head is right."""
    heads = (m.group(1) for line in _HEAD.finditer(source) for m in _MORE.finditer(line.group(0)))
    for name in dict.fromkeys(heads):
        if name in _NO_NAMES:
            continue
        f = find_function(source, name)
        if f is not None and not f.text.startswith("#"):
            yield Definition(FUNCTION, name, f.line, f.text)


def _others(source: str) -> Iterator[Definition]:
    data = source.encode()
    stack = [_parser().parse(data).root_node]
    while stack:
        n = stack.pop()
        if n.type in _BLOCKS:
            stack += n.children
        elif n.type in ("preproc_def", "preproc_function_def"):
            name = n.child_by_field_name("name")
            if name is not None and n.child_by_field_name("value") is not None:
                yield _of(MACRO, _text(name), n)
        elif n.type in _TYPES:
            yield from _structure(n, n)
        elif n.type in ("declaration", "type_definition", "field_declaration"):
            kind = n.child_by_field_name("type")
            if kind is not None and kind.type in _TYPES:
                yield from _structure(kind, n)
            if n.type == "declaration":
                yield from _tables(n)


def _structure(n: Node, whole: Node) -> Iterator[Definition]:
    name = n.child_by_field_name("name")
    if n.child_by_field_name("body") is None:
        return
    if name is not None:
        yield _of(STRUCTURE, _text(name), n)
    elif n.type == "enum_specifier":                   # one without a name is known by its first constant
        first = next((c for c in n.child_by_field_name("body").named_children if c.type == "enumerator"), None)  # type: ignore[union-attr]
        if first is not None:
            yield _of(STRUCTURE, f"enum of {_text(first).split('=')[0].strip()}", whole)


def _tables(n: Node) -> Iterator[Definition]:
    for d in n.children_by_field_name("declarator"):
        if d.type == "init_declarator":
            name: Node | None = d
            while name is not None and name.type != "identifier":
                name = name.child_by_field_name("declarator")
            if name is not None:
                yield _of(TABLE, _text(name), n)


def _of(kind: str, name: str, n: Node) -> Definition:
    return Definition(kind, name, n.start_point[0] + 1, _text(n).rstrip("\n"))


def _text(n: Node) -> str:
    return (n.text or b"").decode("utf-8", "replace")


@lru_cache(maxsize=1)
def _parser() -> Parser:
    return Parser(Language(tree_sitter_c.language()))
