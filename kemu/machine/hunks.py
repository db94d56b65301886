# SPDX-License-Identifier: GPL-2.0-only
"""The text of ported code with the hunks of a series in it, and why a hunk does not apply, in one line."""
from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from types import CodeType, FunctionType
from typing import Any

Hunk = tuple[str, str] | tuple[str, str, int]
_FUTURE = "from __future__ import annotations\n"
TELLING = 4             # characters of new text from which on it is no chance that it is there


class SeriesError(ValueError):
    """A series that cannot be applied: the message is one line that names it, what it changes, and what stands in its way.
    ``exit_code``: of the command.
    """

    exit_code = 3


def called(original: Any) -> str:
    """What a series changes, as its author calls it."""
    return str(getattr(original, "__name__", None) or f"the {type(original).__name__} of {type(original).__module__}")


def source(original: Any) -> str:
    """The text of a function or class, from the margin. inspect.getsource() reads a function's text token by token, which takes
    ten times as long. Raises SeriesError for what has none.
    """
    import linecache  # noqa: PLC0415  (start-up: series that have no hunks need it not)
    import textwrap  # noqa: PLC0415  (start-up)

    code: CodeType | None = getattr(original, "__code__", None)
    lines = linecache.getlines(code.co_filename, original.__globals__) if code is not None else []
    if code is None or not lines:
        import inspect  # noqa: PLC0415  (only where the text is not in the cache)

        try:
            return textwrap.dedent(inspect.getsource(original))
        except (OSError, TypeError):
            raise SeriesError(f"{called(original)} has no text that hunks could apply to: replaces() it") from None
    return textwrap.dedent("".join(lines[code.co_firstlineno - 1:_last_line(code)]))


def _last_line(code: CodeType) -> int:
    last = max((end for _, end, _, _ in code.co_positions() if end is not None), default=code.co_firstlineno)
    return max([last, *(_last_line(c) for c in code.co_consts if isinstance(c, CodeType))])


def checked(hunks: Sequence[Any], who: str, name: str) -> tuple[Hunk, ...]:
    """The hunks of a call of edits(), if that is what they are. Raises SeriesError."""
    for h in hunks:
        if not (isinstance(h, tuple) and len(h) in (2, 3) and isinstance(h[0], str) and isinstance(h[1], str)
                and (len(h) == 2 or (isinstance(h[2], int) and h[2] > 0))):
            raise SeriesError(f"{who}: {name}: a hunk is (old, new) or (old, new, how many times), and this is {_short(repr(h))}")
        if not h[0]:
            raise SeriesError(f"{who}: {name}: a hunk without old text is to be put nowhere")
    if not hunks:
        raise SeriesError(f"{who}: {name}: edits() without a hunk")
    return tuple(hunks)


def patched(text: str, hunks: Sequence[Hunk], who: str, name: str, left_by: str = "") -> str:
    """``text`` with the hunks in it, each applied to what those before it left. Raises SeriesError: ``who`` is the series,
    ``left_by`` names the one that left the text.
    """
    for number, (old, new, *rest) in enumerate(hunks, 1):
        times, n = rest[0] if rest else 1, text.count(old)
        if n != times:
            which = f"hunk {number} of {len(hunks)}" if len(hunks) > 1 else "hunk"
            where = f"{name}() as {left_by} left it" if left_by else f"{name}()"
            why = (f"it matches {n} times (lines {', '.join(map(str, _where(text, old)))}), and is meant for {times}" if n
                   else "its new text is there already" if len(new.strip()) >= TELLING and new in text else nearest(text, old))
            raise SeriesError(f"{who}: {which} does not apply to {where}: {why}")
        text = text.replace(old, new)
    return text


def _where(text: str, old: str) -> list[int]:
    out, at = [], text.find(old)
    while at >= 0:
        out.append(text.count("\n", 0, at) + 1)
        at = text.find(old, at + len(old))
    return out


def _short(line: str, most: int = 90) -> str:
    return line if len(line) <= most else line[:most - 3] + "..."


def nearest(text: str, old: str) -> str:
    """Where most of ``old`` stands in ``text``, and the first line that differs."""
    import difflib  # noqa: PLC0415  (only where a hunk does not apply)

    lines, want = text.split("\n"), old.strip("\n").split("\n")

    def alike(a: str, b: str) -> float:
        a, b = a.strip(), b.strip()
        if a == b or (b and b in a):
            return 1.0 if a == b else 0.9
        begins = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b))) / max(len(a), len(b))
        names, others = set(re.findall(r"\w+", a)), set(re.findall(r"\w+", b))
        shared = len(names & others) / max(len(names | others), 1)
        return (begins + shared + difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()) / 3

    best, at = max((sum(alike(a, b) for a, b in zip(lines[i:], want)), -i) for i in range(len(lines)))
    if best < 0.3 * len(want):
        return f"nothing in it is like {_short(want[0].strip())!r}"
    i = -at
    rows = list(zip(lines[i:], want))
    k = next((k for k, (a, b) in enumerate(rows) if a.rstrip() != b.rstrip()), len(rows) - 1)
    have, wanted = rows[k]
    if have.strip() == wanted.strip():
        return (f"nearest is line {i + k + 1}, {_short(have.strip())!r}, indented by {len(have) - len(have.lstrip())} columns, "
                f"and the hunk's by {len(wanted) - len(wanted.lstrip())}")
    return f"nearest is line {i + k + 1}, {_short(have.strip())!r}, and the hunk wants {_short(wanted.strip())!r}"


def space_of(original: Any) -> dict[str, Any]:
    """The module's names that the text of a function or class is compiled with."""
    found: dict[str, Any] | None = getattr(original, "__globals__", None)
    return found if found is not None else vars(sys.modules[original.__module__])


def compiled(text: str, original: Any, who: str, left_by: Sequence[str] = (), of: str = "") -> Any:
    """The function or class whose text is ``text``, in the place of ``original``; ``of``: what it is called in the port. Raises
    SeriesError.
    """
    import linecache  # noqa: PLC0415  (start-up)

    name = original.__name__
    lines = text.split("\n")
    start = next((i for i, line in enumerate(lines) if line.startswith(("def ", "class ", "async def "))), None)
    if start is None:
        left = f" as {' and '.join(left_by)} left it" if left_by else ""
        raise SeriesError(f"{who}: {of or name}{left}: no def or class that hunks could apply to: replaces() it")
    free = original.__code__.co_freevars if isinstance(original, FunctionType) else ()
    body = lines[start:]
    if free:                    # defined in another function, whose variables it uses
        body = ["def outside():", f"    {' = '.join(free)} = None", *("    " + line for line in body), f"    return {name}"]
    whole = _FUTURE + "\n".join(body)
    filename = base = f"<{', '.join([*left_by, who])}: {original.__module__}.{name}>"
    number = 1
    while filename in linecache.cache and "".join(linecache.cache[filename][2]) != whole + "\n":     # type: ignore[misc]
        number += 1
        filename = f"{base[:-1]} ({number})>"
    scope: dict[str, Any] = {}
    space = space_of(original)
    try:
        exec(compile(whole, filename, "exec"), space, scope)        # the text is the port's own with the hunks applied
        made = scope["outside"]() if free else scope[name]
    except SyntaxError as e:
        raise SeriesError(f"{who}: {of or name}() with its hunks in it: {e.msg} ({_short((e.text or '').strip())!r})") from None
    except Exception as e:
        raise SeriesError(f"{who}: {of or name} with its hunks in it: {type(e).__name__}: {e}") from e
    if free:
        cells = dict(zip(free, original.__closure__))
        inner = FunctionType(made.__code__, space, name, made.__defaults__, tuple(cells[n] for n in made.__code__.co_freevars))
        inner.__kwdefaults__ = made.__kwdefaults__
        made = inner
    linecache.cache[filename] = (len(whole), None, [line + "\n" for line in whole.split("\n")], filename)
    made.__module__ = original.__module__
    return made
