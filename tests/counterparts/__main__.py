# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.counterparts``: exit code 0 if all that C has not is in allowed.txt, 1 if not, 3 without a kernel tree.

``--bodies``: the same of the ``@dup`` bodies of kemu.linux, in both directions, against bodies.txt.
"""
from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from kemu.check.location import default_tree
from tests.counterparts import ratchet
from tests.counterparts.allowed import Malformed
from tests.counterparts.bodies import bodies
from tests.counterparts.judge import everything


def of_bodies(tree: Path, names: tuple[str, ...], write: bool) -> int:
    """``--bodies``: of some functions, the statements; of all, what is not as bodies.txt has it."""
    found = bodies(tree, names)
    now, held = ratchet.counted(found), ratchet.read()
    if names:
        for b in found:
            print(f"{b.where} ({b.place}): {b.statements} statements, {b.c_statements} in C")
            print("".join([f"  no C      {x}\n" for x in b.more] + [f"  only C    {x}\n" for x in b.less]), end="")
    else:
        if write:
            held = ratchet.lowered(now, held)
            ratchet.write(held)
        for line in ratchet.judge(now, held):
            print(line)
    print(f"{len(found)} bodies, {sum(b.statements for b in found)} statements, {sum(b.c_statements for b in found)} in C: "
          f"{sum(len(b.more) for b in found)} have no counterpart in the C, {sum(len(b.less) for b in found)} of C have none "
          f"here; "
          f"{sum(not b.more and not b.less for b in found)} bodies read line for line")
    return 1 if not found or (not names and ratchet.judge(now, held)) else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.counterparts",
                                     description="What do the ports have that their C has not?")
    parser.add_argument("function", nargs="*", help="only these C functions")
    parser.add_argument("--tree", type=Path, default=default_tree(), help="kernel tree (default: the one in the cache)")
    parser.add_argument("--all", action="store_true", help="show what is allowed too, with its reason")
    parser.add_argument("--bodies", action="store_true", help="the @dup bodies of kemu.linux instead of the ports")
    parser.add_argument("--write", action="store_true", help="with --bodies: write down the numbers that fell")
    args = parser.parse_args()
    if not (args.tree / "Makefile").is_file():
        print(f"counterparts: {args.tree} is no kernel tree; give one with --tree, or run: kemu linux fetch", file=sys.stderr)
        return 3
    try:
        if args.bodies:
            return of_bodies(args.tree, tuple(args.function), args.write)
        v = everything(args.tree, tuple(args.function))
    except Malformed as e:
        print(f"counterparts: {e}", file=sys.stderr)
        return 3
    if args.function and not v.functions:
        print(f"counterparts: no port of {', '.join(args.function)} whose C is in {args.tree}", file=sys.stderr)
        return 1
    for f, why in v.allowed if args.all or args.function else ():
        print(f"allowed  {f.where} | {f.what} | {why}")
    for f in v.new:
        print(f"no C     {f.where} | {f.what} ({f.place})")
    for line in v.stale:
        print(f"stale    {line}")
    for where, n in Counter(f.where.partition(":")[0] for f, _ in v.allowed).most_common() if args.all else ():
        print(f"{n:4} allowed in {where}")
    print(f"{v.functions} ported functions, {v.statements} statements: {len(v.allowed) + len(v.new)} have no counterpart in the "
          f"C, {len(v.allowed)} of them with a reason; "
          f"{len(v.stale)} stale lines; {len(v.unread)} functions of posted mails, whose C no tree has")
    return 1 if v.new or v.stale else 0


if __name__ == "__main__":
    sys.exit(main())
