# SPDX-License-Identifier: GPL-2.0-only
"""A change between two emitted forms of a function, made in the form that the tree has: statement by statement."""
from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

from kemu.series.emit import layout

ALIKE = 0.7                            # how much two statements have in common that are taken for one


@dataclass
class Unit:
    """A statement, or the head of a block, with the lines that it takes; comments and empty lines belong to what follows."""

    lines: list[str]
    key: str


def units(text: str) -> list[Unit]:
    """A function, cut into them."""
    out: list[Unit] = []
    held: list[str] = []
    code = ""
    comment = False
    for line in text.split("\n"):
        held.append(line)
        bare = line.strip()
        if comment or bare.startswith("/*"):
            comment = "*/" not in bare
            continue
        code += re.sub(r"/\*.*?\*/", "", bare) + " "
        stripped = code.strip()
        if not stripped:
            continue
        whole = stripped.count("(") == stripped.count(")")
        control = re.match(r"(?:\} )?(?:else )?(?:if|for|while|switch)\b|(?:\} )?else$", stripped)
        head_of_block = control and (stripped[-1] == ")" or stripped.endswith("else"))
        if bare.startswith("#") or (whole and (stripped[-1] in ";{}:" or head_of_block)):
            out.append(Unit(held, re.sub(r"\s+|[{}]|\bunlikely\b|\blikely\b", "", stripped)))
            held, code = [], ""
    if held:
        out.append(Unit(held, ""))
    return out


def _aligned(a: list[Unit], b: list[Unit]) -> dict[int, int]:
    """Which unit of ``b`` is which of ``a``: the equal ones, and between them those that are alike."""
    out: dict[int, int] = {}
    i0 = j0 = 0
    keys_a, keys_b = ([u.key or f"{side}{i}" for i, u in enumerate(side_units)] for side, side_units in (("<", a), (">", b)))
    for i, j, n in SequenceMatcher(None, keys_a, keys_b, autojunk=False).get_matching_blocks():
        j_min = j0
        for k in range(i0, i):
            ratios = [(SequenceMatcher(None, a[k].key, b[m].key, autojunk=False).ratio(), -m) for m in range(j_min, j)]
            best = max(ratios, default=(0.0, 0))
            if best[0] >= ALIKE and a[k].key:
                out[k] = -best[1]
                j_min = -best[1] + 1
        out.update({i + k: j + k for k in range(n)})
        i0, j0 = i + n, j + n
    return out


def _depth(u: Unit) -> int:
    line = next((x for x in u.lines if x.strip() and not x.strip().startswith(("/*", "*"))), "")
    return len(line) - len(line.lstrip("\t"))


def _shift(a: Unit, b: Unit) -> int:
    """How much deeper a statement stands in the tree's form."""
    return _depth(b) - _depth(a)


def _moved(lines: list[str], by: int) -> list[str]:
    """Lines so many blocks deeper; those that no longer need to be broken are not put together again."""
    if by >= 0:
        return ["\t" * by + line if line.strip() else line for line in lines]
    return [line[min(-by, len(line) - len(line.lstrip("\t"))):] for line in lines]


def _laid(u: Unit, by: int) -> list[str]:
    """An emitted statement so many blocks deeper, broken where it has to be there."""
    code = next((n for n, line in enumerate(u.lines) if line.strip() and not line.strip().startswith(("/*", "*"))), None)
    rows = u.lines[code:] if code is not None else []
    if by >= 0 or len(rows) < 2 or "" in rows:
        return _moved(u.lines, by)
    text = " ".join(row.strip() for row in rows)
    return _moved(u.lines[:code], by) + layout.lay(_depth(u) + by, re.sub(r"(?<=[(\[]) ", "", text))


def _placed(lines: list[str], a: Unit, c: Unit) -> list[str]:
    """The tree's lines of a statement that stays, in a block more or less, and with the brackets that it has now."""
    out = _moved(lines, _depth(c) - _depth(a)) if _depth(c) != _depth(a) else list(lines)
    code = [n for n, line in enumerate(out) if line.strip() and not line.strip().startswith(("/*", "*"))]
    old, new = a.lines[-1].strip(), c.lines[-1].strip()
    if not code or old == "}" or new == "}":
        return out
    first, last = code[0], code[-1]
    if old.startswith("} ") != new.startswith("} "):
        row = out[first]
        bare = row.lstrip("\t")
        out[first] = row[:len(row) - len(bare)] + (bare.removeprefix("} ") if old.startswith("} ") else f"}} {bare}")
    if old.endswith(" {") != new.endswith(" {"):
        out[last] = out[last].removesuffix(" {") if old.endswith(" {") else f"{out[last]} {{"
    return out


def _before(at: dict[int, int], a: list[Unit], b: list[Unit], i: int) -> tuple[int, int] | None:
    """Where something goes that stands before unit ``i``, and how much deeper: told by what is above, else by what is below."""
    up = i - 1
    while up >= 0 and not a[up].key:
        up -= 1
    opened = up >= 0 and a[up].lines[-1].rstrip().endswith(("{", ":"))
    below = i in at and bool(a[i].key)
    if up in at and not opened and not (below and up < i - 1):
        place = at[up] + 1
        for _ in range(i - 1 - up):                # brackets that close
            if place >= len(b) or b[place].key:
                break
            place += 1
        return place, _shift(a[up], b[at[up]])
    if below:
        return at[i], _shift(a[i], b[at[i]])
    return (at[up] + 1, 0) if up in at else None


def merge(before: str, original: str, after: str) -> str | None:
    """``original`` with what differs between ``before`` and ``after``; None where the places cannot be told."""
    a, b, c = units(before), units(original), units(after)
    at = _aligned(a, b)
    out: list[str] = []
    done = 0
    kept: dict[int, list[str]] = {}                 # units of the tree whose place changes: their lines by now

    def copied(first: int, last: int) -> list[str]:
        return [line for n in range(first, last) for line in kept.get(n, b[n].lines)]

    rows = SequenceMatcher(None, [u.key for u in a], [u.key for u in c], autojunk=False).get_opcodes()
    for _, i1, i2, j1, _ in [r for r in rows if r[0] == "equal"]:
        for i in range(i1, i2):
            if i in at and a[i].key:
                kept[at[i]] = _placed(b[at[i]].lines, a[i], c[j1 + i - i1])
    for tag, i1, i2, j1, j2 in rows:
        if tag == "equal":
            continue
        if tag == "insert":
            place = _before(at, a, b, i1)
            if place is None:
                return None
            first, shift = place
            last = first
        else:
            keyed = [i for i in range(i1, i2) if a[i].key]          # brackets by themselves are looked after by the compiler
            places = [at[i] for i in keyed if i in at]
            if not places or len(places) != len(keyed) or sum(bool(u.key) for u in b[places[0]:places[-1] + 1]) != len(keyed):
                return None
            first, last = places[0], places[-1] + 1
            shift = _shift(a[keyed[0]], b[first])
        if first < done:
            return None
        out += copied(done, first) + [line for u in c[j1:j2] for line in _laid(u, shift)]
        done = last
    return "\n".join(out + copied(done, len(b)))
