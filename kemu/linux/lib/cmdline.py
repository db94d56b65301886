# SPDX-License-Identifier: GPL-2.0-only
"""Numbers, sizes and words of the command line (lib/cmdline.c)."""
from __future__ import annotations

from kemu.linux.lib.vsprintf import simple_strtoull
from kemu.linux.port.honesty import custom, dup
from kemu.linux.types import ULLONG_MAX, Ref, s32
from kemu.machine.current import NULL

C = "lib/cmdline.c"

_SPACE = " \t\n\v\f\r\xa0\udca0"


@custom(C, "get_option", "the string is not moved on")
def get_option(str: str, pint: Ref) -> int:
    """``int get_option(char **str, int *pint)``: 0 no number, 1 a number, 2 and a comma behind it, 3 a hyphen behind it."""
    if not str:
        return 0
    cur = str[1:] if str[0] == "-" else str
    value, rest = simple_strtoull(cur, 0)
    pint.v = s32(-value if str[0] == "-" else value)
    if rest == cur:
        return 0
    return {",": 2, "-": 3}.get(rest[:1], 1)


@custom(C, "memparse", "gives the rest of the string instead of a pointer")
def memparse(ptr: str) -> tuple[int, str]:
    """``unsigned long long memparse(const char *ptr, char **retptr)``: a number with K, M, G, T, P or E behind it, and what
    follows.
    """
    ret, end = simple_strtoull(ptr)
    shl = 0
    suffix = end[:1].upper()
    if suffix and suffix in "KMGTPE":
        shl = 10 * ("KMGTPE".index(suffix) + 1)
        if end != ptr:
            ret = min(ret << shl, ULLONG_MAX) if ret << shl <= ULLONG_MAX else ULLONG_MAX
            end = end[1:]
    return ret, end


@dup(C, "next_arg")
def next_arg(args: str) -> tuple[str, str, str]:
    """``char *next_arg(char *args, char **param, char **val)``: what is left, the parameter, and its value or None."""
    equals = 0
    in_quote = quoted = False

    if args[:1] == '"':
        args = args[1:]
        in_quote = quoted = True

    i = 0
    while i < len(args):
        c = args[i]
        if c in _SPACE and not in_quote:
            break
        if equals == 0 and c == "=":
            equals = i
        if c == '"':
            in_quote = not in_quote
        i += 1

    word, rest = args[:i], args[i + 1:]
    last_quote = word[-1:] == '"'
    if not equals:
        param, val = word, NULL
        if quoted and last_quote:
            param = param[:-1]
    else:
        param, v = word[:equals], word[equals + 1:]
        # Don't include quotes in value.
        if v[:1] == '"':
            v = v[1:]
            if last_quote:
                v = v[:-1]
                last_quote = False
        if quoted and last_quote:
            v = v[:-1]
        val = v
    # Chew up trailing spaces.
    return rest.lstrip(_SPACE), param, val
