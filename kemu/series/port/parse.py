# SPDX-License-Identifier: GPL-2.0-only
"""C as it is written, macros and all, as a tree: annotations that no grammar knows are blanked, loops by macros made loops."""
from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:                       # start-up
    from tree_sitter import Node, Parser

_MARKS = re.compile(r"\b(?:__init|__exit|__cold|__ref|__must_check|__always_inline|__maybe_unused|noinline_for_stack|noinline|"
                    r"asmlinkage|__user|__force|__percpu|__rcu|__initdata|__read_mostly|__bitwise|__meminit|__weak)\b")
LOOP = "kemu_loop"                      # while (kemu_loop(list_for_each, pos, head))


# a type as an argument of a macro: a word that the grammar takes for a name
_TYPES = re.compile(r"(?<=[,(])(\s*)(struct \w+|unsigned int|unsigned long|unsigned char)(?=\s*,)")
_LAST = re.compile(r"(\bk[vmz]\w*alloc_obj\(|, )(struct \w+)(?=\))")
_WORD = "kemu_type__"


@lru_cache(maxsize=1)
def _parser() -> Parser:
    import tree_sitter  # noqa: PLC0415  (start-up)
    import tree_sitter_c  # noqa: PLC0415  (start-up)

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))


def _loops(text: str) -> str:
    """``xa_for_each(x, i, e)`` as the head of a while; ``scoped_guard(mutex, &m)`` likewise."""
    out, at = [], 0
    for m in re.finditer(r"(?<=[\t \n])(\w*for_each\w*|scoped_guard|scoped_with_\w+)\s*\(", text):
        depth, end = 1, m.end()
        while end < len(text) and depth:
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        if text[end:].lstrip().startswith((";", ")")):
            continue
        out.append(f"{text[at:m.start()]}while ({LOOP}({m[1]}, {text[m.end():end - 1]}))")
        at = end
    return "".join(out) + text[at:]


def function(text: str) -> Node | None:
    """The definition of a function; None for what is none."""
    text = _MARKS.sub(lambda m: " " * len(m[0]), text)
    text = _TYPES.sub(lambda m: m[1] + _WORD + m[2].replace(" ", "__"), text)
    text = _LAST.sub(lambda m: m[1] + _WORD + m[2].replace(" ", "__"), text)
    root = _parser().parse(_loops(text).encode()).root_node
    return next((n for n in root.children if n.type == "function_definition"), None)


def text_of(n: Node) -> str:
    """A node's text."""
    return re.sub(rf"\b{_WORD}(\w+)", lambda m: m[1].replace("__", " ", 1), (n.text or b"").decode())


def named(n: Node) -> list[Node]:
    """Its named children, without comments."""
    return [c for c in n.named_children if c.type != "comment"]
