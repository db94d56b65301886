# SPDX-License-Identifier: GPL-2.0-only
"""The declarations of a translation unit, by name: parsed when they are asked for.

A function's body is dropped where the text is cut into declarations: nothing here has ever seen one.
"""
from __future__ import annotations

import re
from collections.abc import Iterator

from kemu.series.emit.cparse import members, parse, parse_enum, strip_attributes
from kemu.series.emit.ctype import BOOL, INT, U64, VOID, CType, base, ptr, width
from kemu.series.emit.headers import split

_MARK = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[{};]')
_TAG = re.compile(r"\b(struct|union|enum)\s+(\w+)\s*\{")
_WORDS = {"static", "inline", "extern", "const", "volatile", "register", "__inline", "__inline__", "_Noreturn", "__extension__"}


def _top(text: str) -> Iterator[tuple[str, bool]]:
    """Each declaration, and whether it is a function that had a body."""
    depth, start, opened, function = 0, 0, -1, False
    for m in _MARK.finditer(text):
        c = m.group()
        if c == "{":
            if depth == 0 and opened < 0:
                opened = m.start()
                head = strip_attributes(text[start:opened])
                function = "(" in head and "=" not in re.sub(r"\([^()]*\)", "", head)
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0 and function:
                yield text[start:opened], True
                start, opened, function = m.end(), -1, False
        elif c == ";" and depth == 0:
            yield text[start:m.start()], False
            start, opened, function = m.end(), -1, False


def _name(head: str) -> str:
    """What a declaration without braces declares."""
    text = re.sub(r"\[[^\]]*\]", "", head.partition("=")[0])
    text = re.sub(r"\b(?:typeof|__typeof__|_Alignas|__asm__|asm)\s*\(.*?\)", " ", text)
    pointer = re.search(r"\(\s*\*+\s*(?:const\s+)?(\w+)", text)
    if pointer and not re.match(r"^[^(]*\b\w+\s*\(", text[:pointer.start()] + "("):
        return pointer[1]
    m = re.search(r"(\w+)\s*\(", text)
    if m:
        if m[1] in ("void", "int", "long", "char") or re.match(r"\s*\*", text[m.end():]):
            inner = re.search(r"\(\s*\*+\s*(?:const\s+)?(\w+)", text)
            if inner:
                return inner[1]
        return m[1]
    words = re.findall(r"\w+", text.partition(":")[0])
    return words[-1] if words else ""


def _all_names(head: str) -> list[str]:
    """All that a declaration declares: ``static unsigned int a, b;``"""
    first, *more = _commas_outside(head.partition("=")[0] if "," not in head else head)
    names = [_name(first), *(_name("x " + part.partition("=")[0]) for part in more)]
    return [n for n in names if n]


def _commas_outside(text: str) -> list[str]:
    out, depth = [""], 0
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        if c == "," and not depth:
            out.append("")
        else:
            out[-1] += c
    return out


class Declarations:
    """Of one C file and its headers."""

    def __init__(self, preprocessed: str):
        runs, self.macros = split(preprocessed)
        self.where: dict[str, str] = {}            # a declared name -> the file that declares it
        self._names: dict[str, list[str]] = {}     # functions and variables
        self._typedefs: dict[str, str] = {}
        self._tags: dict[str, str] = {}            # "struct inode" -> its text
        self._enums: dict[str, str] = {}           # an enumerator -> its enum
        self._bodies: dict[str, dict[str, CType]] = {}
        self._types: dict[str, CType | None] = {}
        self._holders: dict[str, list[tuple[str, str]]] | None = None
        text, marks = self._joined(runs)
        at = 0
        for declaration, _ in _top(text):
            found = text.find(declaration, at)
            at = found + len(declaration) if found >= 0 else at
            self._add(declaration, self._file(marks, at))

    @staticmethod
    def _joined(runs: list[tuple[str, str]]) -> tuple[str, list[tuple[int, str]]]:
        marks, out, at = [], [], 0
        for file, text in runs:
            marks.append((at, file))
            out.append(text)
            at += len(text) + 1
        return "\n".join(out), marks

    @staticmethod
    def _file(marks: list[tuple[int, str]], at: int) -> str:
        import bisect  # noqa: PLC0415  (start-up)

        return marks[max(0, bisect.bisect_right(marks, (at, "\uffff")) - 1)][1]

    def _add(self, text: str, file: str) -> None:
        bare = re.sub(r"^(?:__extension__\s+)+", "", text.strip())
        if not bare or bare.startswith(("_Static_assert", "__asm__", "asm")):
            return
        for m in _TAG.finditer(bare):
            self._tags.setdefault(f"{m[1]} {m[2]}", bare[m.start():])
            self.where.setdefault(f"{m[1]} {m[2]}", file)
        if "enum" in bare and "{" in bare:
            for m in re.finditer(r"\benum\b[^{;()]*\{([^{}]*)\}", bare):
                for name in parse_enum(m[1]):
                    self._enums.setdefault(name, m[0])
        if bare.startswith("typedef"):
            name = _name(strip_attributes(_outside(bare[7:])))
            self._typedefs.setdefault(name, bare[7:])
            self.where.setdefault(name, file)
            return
        head = strip_attributes(_outside(bare))
        if re.fullmatch(r"\s*(?:\w+\s+)*(?:struct|union|enum)\s+\w*\s*", head):
            return
        for name in _all_names(head):
            self._names.setdefault(name, []).append(bare)
            self.where.setdefault(name, file)

    # ---- what there is ----

    def type_of(self, name: str) -> CType | None:
        """The type of a function, a variable or an enumerator; None if the file sees no such name."""
        if name not in self._types:
            found = None
            for text in self._names.get(name, []):
                found = parse(text, name)
                if found is not None:
                    break
            if found is None and name in self._enums:
                found = INT
            self._types[name] = found
        return self._types[name]

    def note(self, name: str, t: CType) -> None:
        """What is about to be declared."""
        self._types[name] = t
        self._names.setdefault(name, [])

    def is_macro(self, name: str) -> bool:
        """Whether it is a macro."""
        return name in self.macros

    def knows(self, name: str) -> bool:
        """Whether the file sees anything of that name."""
        return name in self.macros or name in self._names or name in self._enums or name in self._typedefs

    def has_struct(self, tag: str) -> str | None:
        """``struct tag``, or ``union tag``, or a typedef of one: its name; None if there is none."""
        for kind in ("struct", "union"):
            if f"{kind} {tag}" in self._tags:
                return f"{kind} {tag}"
        return tag if tag in self._typedefs and ("{" in self._typedefs[tag] or self._struct_typedef(tag)) else None

    def _struct_typedef(self, name: str) -> bool:
        return name in self._typedefs and self.resolve(base(name)).name.startswith(("struct ", "union ", "typedef "))

    def resolve(self, t: CType) -> CType:
        """Behind typedefs."""
        for _ in range(20):
            if t.kind != "base" or t.name not in self._typedefs or t.name in ("bool",):
                return base(t.name) if t.kind == "base" and t.const else t
            text = self._typedefs[t.name]
            if "{" in text:
                return CType("base", f"struct {t.name}" if f"struct {t.name}" in self._tags else f"typedef {t.name}")
            found = parse(text, t.name)
            if found is None:
                return t
            t = found
        return base(t.name) if t.kind == "base" and t.const else t

    def fields(self, t: CType) -> dict[str, CType]:
        """The members of a structure, those of its nameless ones among them."""
        t = self.resolve(t)
        if "{" in t.name:
            return members(t.name)
        if t.name not in self._bodies:
            text = self._typedefs.get(t.name[8:], "") if t.name.startswith("typedef ") else self._tags.get(t.name, "")
            self._bodies[t.name] = members(text)
        return self._bodies[t.name]

    def member(self, t: CType, name: str) -> CType | None:
        """The type of a member of a structure or of what a pointer points to."""
        t = self.resolve(t)
        if t.kind in ("ptr", "array") and t.to is not None:
            t = self.resolve(t.to)
        return self.fields(t).get(name) if t.kind == "base" else None

    def is_struct(self, t: CType) -> bool:
        """Whether it is a structure or a union, by value."""
        t = self.resolve(t)
        return t.kind == "base" and t.name.startswith(("struct ", "union ", "typedef "))

    def is_pointer(self, t: CType) -> bool:
        """Whether it is an address."""
        return self.resolve(t).kind in ("ptr", "array", "func")

    def integer(self, t: CType) -> tuple[int, bool] | None:
        """(bytes, signed) of an integer; None for what is none."""
        if t.kind != "base":
            return None
        name = self.resolve(t).name
        if name.startswith("enum"):
            return 4, False
        return width(name)

    def having(self, names: set[str], near: str) -> str | None:
        """The one structure, of those that files of a folder declare, that has all these members."""
        found = [tag for tag in self._tags if tag.startswith("struct ") and near in self.where.get(tag, "")
                 and names <= self._flat(base(tag))]
        return found[0] if len(found) == 1 else None

    def _flat(self, t: CType) -> set[str]:
        out = set()
        for name, mt in self.fields(t).items():
            out.add(name)
            if "{" in mt.name:
                out |= set(self.fields(mt))
        return out

    def holders(self, member: str, of: CType) -> list[str]:
        """The structures that have a member of that name and that type in them; those nearest to the file first."""
        if self._holders is None:
            self._holders = {}
            for tag, text in self._tags.items():
                if tag.startswith("struct "):
                    for m in set(re.findall(r"\b(\w+)\s*[;\[]", text)):
                        self._holders.setdefault(m, []).append((tag, self.where.get(tag, "")))
        out = []
        want = self.resolve(of)
        for tag, file in sorted(self._holders.get(member.split(".")[-1], []),
                                key=lambda h: (not h[1].endswith(".c"), "fs/erofs" not in h[1])):
            t: CType | None = base(tag)
            for part in member.split("."):
                t = self.member(t, part) if t is not None else None
            if t is not None and self.resolve(t) == want:
                out.append(tag)
        return out


def _outside(text: str) -> str:
    """Without what stands in braces."""
    out, depth = [], 0
    for part in re.split(r"([{}])", text):
        if part == "{":
            depth += 1
        elif part == "}":
            depth -= 1
        elif depth == 0:
            out.append(part)
    return " ".join(out)


__all__ = ["BOOL", "INT", "U64", "VOID", "Declarations", "base", "ptr"]
