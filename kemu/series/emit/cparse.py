# SPDX-License-Identifier: GPL-2.0-only
"""One declaration of C, as the preprocessor leaves it, read as a type."""
from __future__ import annotations

import re

from kemu.series.emit.ctype import CType, base, ptr

_TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|\w+|\.\.\.|\S')
_ATTRIBUTE = re.compile(r"\b(?:__attribute__|__attribute|__declspec|_Alignas|__asm__|asm|__aligned)\s*\(")
_DROP = {"static", "inline", "extern", "volatile", "register", "__inline", "__inline__", "_Noreturn", "__extension__", "auto",
         "__volatile__", "restrict", "__restrict", "__restrict__", "_Thread_local", "typedef", "__signed__"}
# annotations of the kernel, in text that the preprocessor has not seen
_MARKS = {"__init", "__exit", "__must_check", "__always_inline", "noinline", "__cold", "asmlinkage", "__maybe_unused",
          "noinline_for_stack", "__ref", "__initdata", "__user", "__force", "__percpu", "__rcu", "__bitwise"}
_INTEGER = {"unsigned", "signed", "long", "short", "int", "char", "__int128"}


def strip_attributes(text: str) -> str:
    """Without ``__attribute__((...))`` and its like."""
    while True:
        m = _ATTRIBUTE.search(text)
        if m is None:
            return text
        depth, i = 0, m.end() - 1
        for i in range(m.end() - 1, len(text)):
            depth += (text[i] == "(") - (text[i] == ")")
            if not depth:
                break
        text = f"{text[:m.start()]} {text[i + 1:]}"


def tokens(text: str) -> list[str]:
    """The words of a declaration."""
    return _TOKEN.findall(strip_attributes(text))


class _Reader:
    def __init__(self, words: list[str]):
        self.words = words
        self.i = 0

    def peek(self, k: int = 0) -> str:
        return self.words[self.i + k] if self.i + k < len(self.words) else ""

    def next(self) -> str:
        word = self.peek()
        self.i += 1
        return word

    def group(self, close: str) -> list[str]:
        """What stands up to the bracket that closes the one just read."""
        opening = {")": "(", "]": "[", "}": "{"}[close]
        depth, start = 1, self.i
        while self.i < len(self.words):
            word = self.next()
            depth += (word == opening) - (word == close)
            if not depth:
                break
        return self.words[start:self.i - 1]

    def specifiers(self) -> CType | None:
        names: list[str] = []
        integers: list[str] = []
        const = False
        while self.peek():
            word = self.peek()
            if word in _DROP or word in _MARKS:
                self.next()
            elif word == "const":
                const = True
                self.next()
            elif word in ("typeof", "__typeof__", "__typeof_unqual__"):
                self.next()
                self.next()
                inside = _Reader(self.group(")")).specifiers()
                names = [inside.name if inside is not None and inside.kind == "base" else "typeof"]
            elif word in ("struct", "union", "enum") and not names and not integers:
                self.next()
                tag = self.next() if re.match(r"\w", self.peek()) else ""
                if self.peek() == "{":
                    self.next()
                    body = self.group("}")
                    names = [f"{word} {tag}" if tag else f"{word} {{{' '.join(body)}}}"]
                else:
                    names = [f"{word} {tag}"]
            elif word in _INTEGER:
                integers.append(self.next())
            elif re.match(r"[A-Za-z_]", word) and not names and not integers:
                names = [self.next()]
            else:
                break
        if integers:
            return CType("base", _plain(integers), const=const)
        return CType("base", names[0], const=const) if names else None

    def declarator(self, t: CType) -> tuple[str, CType]:
        """(name, type) of what is declared; ``t`` is the type that its specifiers say."""
        while self.peek() in ("*", "const", "volatile", "restrict", "__restrict", "__restrict__", *_MARKS):
            if self.next() == "*":
                t = ptr(t)
        inner: list[str] | None = None
        name = ""
        if self.peek() == "(" and (self.peek(1) in ("*", "(") or self._named_inside()):
            self.next()
            inner = self.group(")")
        elif re.match(r"[A-Za-z_]", self.peek()):
            name = self.next()
        t = self._suffixes(t)
        if inner is not None:
            return _Reader(inner).declarator(t)
        return name, t

    def _named_inside(self) -> bool:
        return bool(re.match(r"[A-Za-z_]", self.peek(1))) and self.peek(2) == ")" and self.peek(3) in ("(", "[")

    def _suffixes(self, t: CType) -> CType:
        if self.peek() == "(":
            self.next()
            words = self.group(")")
            return CType("func", to=self._suffixes(t), params=_params(words))
        if self.peek() == "[":
            self.next()
            length = " ".join(self.group("]"))
            return CType("array", to=self._suffixes(t), length=length)
        return t


def _plain(words: list[str]) -> str:
    unsigned = "unsigned " if "unsigned" in words else ""
    if "char" in words:
        return "signed char" if "signed" in words else f"{unsigned}char"
    if "short" in words:
        return f"{unsigned}short"
    if words.count("long") == 2:
        return f"{unsigned}long long"
    if "long" in words:
        return f"{unsigned}long"
    return f"{unsigned}int"


def _params(words: list[str]) -> tuple[tuple[str, CType], ...]:
    out: list[tuple[str, CType]] = []
    for part in _commas(words):
        if part == ["void"] or not part:
            continue
        if part == ["..."]:
            out.append(("...", base("...")))
            continue
        r = _Reader(part)
        t = r.specifiers()
        if t is None:
            continue
        name, t = r.declarator(t)
        if t.kind in ("array", "func") and t.to is not None:
            t = ptr(t.to) if t.kind == "array" else ptr(t)
        out.append((name, t))
    return tuple(out)


def _commas(words: list[str]) -> list[list[str]]:
    out: list[list[str]] = [[]]
    depth = 0
    for word in words:
        depth += (word in "([{") - (word in ")]}")
        if word == "," and not depth:
            out.append([])
        else:
            out[-1].append(word)
    return out


def parse(text: str, name: str) -> CType | None:
    """The type that a declaration gives ``name``; None if it declares no such thing."""
    r = _Reader(tokens(text))
    t = r.specifiers()
    if t is None:
        return None
    while r.peek():
        found, type_ = r.declarator(t)
        if found == name:
            return type_
        while r.peek() and r.peek() != ",":
            if r.next() in ("{", "("):
                r.group("}" if r.words[r.i - 1] == "{" else ")")
        if r.next() != ",":
            break
    return None


def parse_type(text: str) -> CType | None:
    """A type by itself: ``struct inode *``."""
    return parse(f"{text} kemu_x", "kemu_x") if "kemu_x" not in text else None


def parse_prototype(text: str) -> tuple[str, CType] | None:
    """(name, type) of ``int f(struct inode *inode, u64 pos)``."""
    r = _Reader(tokens(text.strip().rstrip(";")))
    t = r.specifiers()
    if t is None:
        return None
    name, t = r.declarator(t)
    return (name, t) if t.kind == "func" and r.peek() in ("", "__acquires", "__releases", "__must_hold") else None


def members(text: str) -> dict[str, CType]:
    """The members of the structure with which a text begins, in order."""
    at = text.find("{")
    if at < 0:
        return {}
    r = _Reader(tokens(text[at + 1:]))
    return _members(r.group("}"))


def _members(words: list[str]) -> dict[str, CType]:
    out: dict[str, CType] = {}
    r = _Reader(words)
    while r.peek():
        if r.peek() == ";":
            r.next()
            continue
        if r.peek() == "_Static_assert":
            while r.peek() and r.next() != ";":
                pass
            continue
        t = r.specifiers()
        if t is None:
            r.next()
            continue
        if r.peek() == ";" and "{" in t.name:
            out.update(_members(t.name[t.name.index("{") + 1:-1].split(" ")))
            continue
        while r.peek() and r.peek() != ";":
            name, type_ = r.declarator(t)
            if name:
                out[name] = type_
            if r.peek() == ":":
                while r.peek() and r.peek() not in (",", ";"):
                    r.next()
            if r.peek() != ",":
                break
            r.next()
        while r.peek() and r.next() != ";":
            pass
    return out


def parse_enum(body: str) -> list[str]:
    """The names in an enum's braces."""
    return re.findall(r"(?:^|,)\s*(\w+)", re.sub(r"\([^()]*(?:\([^()]*\)[^()]*)*\)", "", body))
