# SPDX-License-Identifier: GPL-2.0-only
"""What kind of change a definition has seen: one that can be made in the port without thought, or one that has to be read."""
from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher

LOCAL, NAMES, TYPES, ORDER, ARGUMENT = "a local renamed", "other names", "types", "order of lines", "an argument more"
HAND = "to be read"
MECHANICAL = frozenset((LOCAL, TYPES, ORDER, ARGUMENT))    # what can be made in a port by rule
_TOKEN = re.compile(r"[A-Za-z_]\w*|0[xX][0-9a-fA-F]+\w*|\d[\w.]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
                    r"|->|\+\+|--|<<=?|>>=?|[<>=!]=|&&|\|\||[-+*/%&|^]=|\.\.\.|\S")
_COMMENT = re.compile(r"(\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')|/\*.*?\*/|//[^\n]*", re.S)     # none in a string
_TYPE = frozenset("""const volatile unsigned signed char short int long bool u8 u16 u32 u64 s8 s16 s32 s64 __u8 __u16 __u32 __u64
                     size_t ssize_t loff_t off_t sector_t pgoff_t gfp_t uint8_t uint16_t uint32_t uint64_t int8_t int16_t int32_t
                     int64_t uintptr_t ulong uint erofs_off_t erofs_blk_t erofs_nid_t umode_t dev_t static inline""".split())
_KEYWORDS = frozenset("if else for while do switch case default return goto break continue sizeof struct union enum".split())


def bare(text: str) -> str:
    """Without comments; lines stay where they are."""
    return _COMMENT.sub(lambda m: m.group(1) or re.sub(r"[^\n]", " ", m.group(0)), text)


def tokens(text: str) -> list[str]:
    """The tokens of C, without comments."""
    return _TOKEN.findall(bare(text))


def kind_of(old: str, new: str) -> tuple[str, str]:
    """The kind of a change, and in a few words what it is."""
    a, b = tokens(old), tokens(new)
    names = _renamed(a, b)
    if names:
        return (LOCAL if all(_is_local(x, a) for x in names) else NAMES,
                ", ".join(f"{x} is {y}" for x, y in sorted(names.items())))
    changed = [(a[i1:i2], b[j1:j2], j1, j2) for tag, i1, i2, j1, j2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
               if tag != "equal"]
    if all(_is_type([*x, *y]) for x, y, _, _ in changed):
        return TYPES, "; ".join(f"{' '.join(x) or 'nothing'} is {' '.join(y) or 'nothing'}" for x, y, _, _ in changed[:3])
    if Counter(_statements(old)) == Counter(_statements(new)):
        return ORDER, "the same statements in another order"
    if all(not x and _is_argument(y, b, j1, j2) for x, y, j1, j2 in changed):
        return ARGUMENT, "; ".join(" ".join(y) for _, y, _, _ in changed[:3])
    return HAND, ""


def _renamed(a: list[str], b: list[str]) -> dict[str, str]:
    """One name for another, everywhere, and nothing else."""
    if len(a) != len(b):
        return {}
    names: dict[str, str] = {}
    for x, y in zip(a, b):
        if x != y and (not _is_name(x) or not _is_name(y)):
            return {}
        if names.setdefault(x, y) != y:
            return {}
    names = {x: y for x, y in names.items() if x != y}
    if len(set(names.values())) != len(names) or set(names.values()) & set(a):
        return {}                                      # two things have one name now
    return names


def _is_local(name: str, of: list[str]) -> bool:
    """Whether it is a parameter, or declared in the function: behind a type or a pointer's star, and before what ends that."""
    last = of.index("{") if "{" in of else len(of)
    for i in range(1, len(of) - 1):
        if of[i] == name and of[i + 1] in ("=", ";", ",", ")", "[", ":"):
            before = of[i - 1]
            if before in ("*", ",") and i > last:
                back = i - 1
                while of[back] in ("*", ",") or (_is_name(of[back]) and of[back + 1] in ("=", ",")):
                    back -= 1
                before = of[back] if back > 0 and of[back - 1] in (";", "{", "struct", "const", "static") else ";"
            if before == "*" or (re.match(r"[A-Za-z_]", before) and before not in _KEYWORDS):
                return True
    return False


def _is_name(word: str) -> bool:
    return bool(re.match(r"[A-Za-z_]", word)) and word not in _KEYWORDS and word not in _TYPE


def _is_type(words: list[str]) -> bool:
    return bool(words) and all(w in _TYPE for w in words)


def _is_argument(words: list[str], b: list[str], j1: int, j2: int) -> bool:
    """Whether a list of parameters or of arguments has got one more: a name or a number, nothing that is worked out."""
    if "," not in words or any(w in "{};=" for w in words):
        return False
    depth = 0
    for w in reversed(b[:j1]):
        depth += (w == ")") - (w == "(")
        if depth < 0:
            return sum(not re.match(r"\w", w) and w not in ",*&" for w in words) == 0 and (words[0] == "," or b[j2 - 1] == ",")
        if w in ";{}":
            return False
    return False


def _statements(text: str) -> list[str]:
    return [" ".join(tokens(line)) for line in bare(text).split("\n") if tokens(line)]
