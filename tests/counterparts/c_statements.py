# SPDX-License-Identifier: GPL-2.0-only
"""The statements of a C function, each as the set of its words."""
from __future__ import annotations

import re

from kemu.report.samecheck import ctext
from tests.counterparts.words import of_names

_HEADER = re.compile(r"\b(if|while|switch|for)\s*\(")
_WORD = re.compile(r"[A-Za-z_]\w*")


def _closing(text: str, at: int) -> int:
    """Offset behind the bracket that closes the one at ``at``."""
    depth = 0
    for k in range(at, len(text)):
        depth += (text[k] in "([{") - (text[k] in ")]}")
        if not depth:
            return k + 1
    return len(text)


def body_of(text: str) -> str:
    """What a definition does: the body of a function with its parameters, or what a macro stands for; strings that name CONFIG
    options stay.
    """
    text = ctext.preprocess(ctext.blank(text))
    if text.startswith("#define"):
        return text[len("#define"):].replace("\\\n", "\n") + ";"
    return text.replace("{", ";", 1)


def texts(text: str) -> list[str]:
    """The statements of a definition, in order. The third part of ``for`` stands where the
    loop ends, and a ``case`` has what is switched on."""
    out: list[str] = []
    _split(body_of(text), out)
    return out


def _split(body: str, out: list[str]) -> None:
    at = start = 0
    while at < len(body):
        c = body[at]
        if c in "([":
            at = _closing(body, at)
            continue
        m = _HEADER.match(body, at) if at == 0 or not (body[at - 1].isalnum() or body[at - 1] == "_") else None
        if m is not None:
            _put(body[start:at], out)
            end = _closing(body, m.end() - 1)
            inner = body[m.end():end - 1]
            if m[1] == "for":
                first, cond, last = (inner.split(";") + ["", ""])[:3]
                _put(first, out)
                _put(cond, out)
                at = _block(body, end, out)
                _put(last, out)
            elif m[1] == "switch":
                cases = len(out)
                _put(inner, out)
                at = _block(body, end, out)
                out[cases:] = [f"{x} {inner}" if x.startswith(("case ", "default")) else x for x in out[cases:]]
            else:
                _put(inner, out)
                at = end
            start = at
            continue
        if c in ";{}":
            _put(body[start:at], out)
            start = at + 1
        elif c == ":" and "?" not in body[start:at]:
            _put(body[start:at], out)                   # a label or a case
            start = at + 1
        at += 1
    _put(body[start:], out)


def _block(body: str, at: int, out: list[str]) -> int:
    """The statement or block that a loop has, beginning at ``at``; returns the offset behind it."""
    k = at
    while k < len(body) and body[k].isspace():
        k += 1
    if k < len(body) and body[k] == "{":
        end = _closing(body, k)
        _split(body[k + 1:end - 1], out)
        return end
    end = _end_of_statement(body, k)
    _split(body[k:end], out)
    return end


def _end_of_statement(body: str, at: int) -> int:
    """Behind the one statement at ``at``, its headers and its block included."""
    k = at
    while k < len(body):
        if body[k] in "([":
            k = _closing(body, k)
        elif body[k] == "{":
            k = _closing(body, k)
            m = re.compile(r"\s*else\b").match(body, k)
            if m is None:
                return k
            k = m.end()
        elif body[k] == ";":
            m = re.compile(r";\s*else\b").match(body, k)
            if m is None:
                return k + 1
            k = m.end()
        else:
            k += 1
    return k


def _put(text: str, out: list[str]) -> None:
    text = re.sub(r"^\s*(?:else\b|do\b)?\s*", "", text).strip()
    if text:
        out.append(re.sub(r"\s+", " ", text))


def words(text: str) -> frozenset[str]:
    """The words of one statement."""
    return of_names(_WORD.findall(text))


def statements(text: str) -> list[frozenset[str]]:
    """The statements of a definition as words, those without any left out."""
    return [w for w in map(words, texts(text)) if w]
