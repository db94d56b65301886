# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.unreached [--seconds S] [--write] [FILE...]``: what a search by coverage did not reach, with why.

The table of reasons is kept by hand, by function and words of the line; a reason that explains nothing any more is said, so that
the table gets shorter. ``python -m benchmarks coverage`` gives the figures alone, of a search of two minutes
(KEMU_COVERAGE_SECONDS: of another length).
"""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure

OUT = Path(__file__).parent / "UNREACHED.md"
DAX = "DAX: no device of the C rung (nor of ARCH=um) has it, and without CONFIG_FS_DAX no option asks for it"
RACE = "two tasks at one time: the C rung switches tasks only where they sleep"
CONFIGURED = "every algorithm and every method is configured, and no attribute is a bool: nobody is told that it is not"
NEVER = "cannot happen: what is asked for is made sure of before, or those who are called do not return that"
BACKING = "files to be mounted from are ramfs's: their reads are not direct, and end at once"
ONE_CPU = "one CPU has one buffer"
NAMESAKE = "another file system of this name is registered"

# (function, words that are in "NUMBER: TEXT" of its line) -> reason
REASONS: dict[tuple[str, str], str] = {
    **{("erofs_fc_fill_super", words): DAX for words in ("614:", "615:", "679:", "680:")},
    **{("erofs_init_device", words): DAX for words in ("DAX",)},
    **{("erofs_scan_devices", words): DAX for words in ("DAX",)},
    **{(function, words): RACE for function, words in (
        ("__z_erofs_deflate_decompress", "z_erofs_deflate_wq"), ("__z_erofs_deflate_decompress", "goto again"),
        ("z_erofs_load_lzma_config", "z_erofs_lzma_wq"),
        ("z_erofs_load_lzma_config", "goto again"), ("z_erofs_lzma_decompress", "z_erofs_lzma_wq"),
        ("z_erofs_lzma_decompress", "goto again"), ("z_erofs_isolate_strms", "z_erofs_zstd_wq"),
        ("z_erofs_isolate_strms", "goto again"), ("erofs_init_inode_xattrs", "58: goto out_unlock"),
        ("z_erofs_fill_inode", "647: goto out_unlock"), ("z_erofs_bind_cache", "folio_put("),
        ("z_erofs_get_pcluster", "return false"), ("z_erofs_register_pcluster", "784: xa_lock"),
        ("z_erofs_register_pcluster", "fe->pcl = pre"), ("z_erofs_register_pcluster", "801: goto err_out"),
        ("z_erofs_fill_bio_vec", "1559: if (page)"), ("z_erofs_fill_bio_vec", "goto repeat"),
        ("erofs_shrink_scan", "p = p->next"), ("erofs_shrink_scan", "279: continue"))},
    **{(function, ""): CONFIGURED for function in ("z_erofs_parse_cfgs", "erofs_attr_show", "erofs_attr_store")},
    **{("?", words): CONFIGURED for words in ("struct_erofs_mount_opts", "&sbi->opt + offset")},
    ("unpack_to_rootfs", "not configured"): CONFIGURED, ("unpack_to_rootfs", "566: error("): CONFIGURED,
    ("erofs_fill_inode", "PTR_ERR(aops)"): CONFIGURED,
    **{(function, words): NEVER for function, words in (
        ("z_erofs_deflate_exit", "28: continue"), ("z_erofs_lzma_exit", "32: return"), ("_erofs_printk", "erofs: %pV"),
        ("__z_erofs_deflate_decompress", "goto failed_zinit"), ("z_erofs_zstd_decompress", "goto failed_zinit"),
        ("erofs_init_device", "138:"), ("erofs_init_device", "139:"), ("erofs_init_device", "140:"),
        ("erofs_init_device", "142:"), ("erofs_init_device", "143:"), ("erofs_fc_get_tree", "No source specified"),
        ("erofs_init_inode_xattrs", "bogus xattr ibody"), ("erofs_init_inode_xattrs", "77: goto out_unlock"),
        ("z_erofs_load_lcluster_from_disk", "unknown type"), ("z_erofs_load_lcluster_from_disk", "260: return"),
        ("xwrite", "44: continue"))},
    ("erofs_fileio_ki_complete", "kfree(rq)"): BACKING, ("erofs_fileio_rq_submit", "IOCB_DIRECT"): BACKING,
    ("z_erofs_gbuf_growsize", "83: continue"): ONE_CPU,
    ("erofs_module_init", "goto fs_err"): NAMESAKE, ("erofs_module_init", "975: erofs_exit_ishare"): NAMESAKE,
}


def reason(function: str, number: int, text: str) -> tuple[str, str] | None:
    """The row of the table that explains a line; None if none does."""
    return next((key for key in REASONS if key[0] == function and key[1] in f"{number}: {text}"), None)


def search(seconds: float, files: Sequence[str], corpus: str = "") -> dict[str, Any] | None:
    """What the search says as JSON; None if it failed."""
    command = [sys.executable, "-m", "kemu", "fuzz", "--coverage", "--seconds", str(seconds), *files, "--json"]
    with tempfile.TemporaryDirectory() as nowhere:
        done = subprocess.run([*command, "--corpus", corpus or nowhere], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> int:
    """Search, print and, if asked, write; the exit code."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.unreached",
                                description="What a search by coverage does not reach, and why.")
    p.add_argument("--seconds", type=int, default=600, help="how long (default: 600)")
    p.add_argument("--write", action="store_true", help="into UNREACHED.md, and the figures into RESULTS.md")
    p.add_argument("file", nargs="*", default=["tests/data"],
                   help="what it begins with, besides forged inputs (default: tests/data)")
    p.add_argument("--corpus", help="where inputs are kept (default: nowhere)")
    p.add_argument("--from", dest="said", metavar="FILE", help="what a search has said already (kemu fuzz --coverage --json)")
    args = p.parse_args()
    result = json.loads(Path(args.said).read_text()) if args.said else search(args.seconds, args.file, args.corpus or "")
    if result is None:
        return 1
    text = page(result, " ".join(["kemu fuzz --coverage --seconds", str(args.seconds), *args.file]))
    print(text)
    if args.write:
        from benchmarks.__main__ import write

        OUT.write_text(text)
        write(figures(result))
    return 0


def percent(a: int, b: int) -> str:
    """A share as it is shown."""
    return f"{100 * a / max(b, 1):.1f} %"


def figures(result: dict[str, Any]) -> list[Figure]:
    """For RESULTS.md."""
    lines, branches = result["lines"], result["branches"]
    unexplained = sum(reason(function, number, text) is None for _, number, function, text in result["unreached"])
    return [Figure("C rung: lines of fs/erofs/*.c and init/initramfs.c that a search by coverage reaches, one core",
                   f"{percent(*lines)} of {lines[1]} lines, {percent(*branches)} of {branches[1]} branches in "
                   f"{result['seconds']:.0f} s ({result['executions']} executions); {lines[1] - lines[0]} lines are left, "
                   f"{unexplained} of them without a reason (UNREACHED.md)",
                   "95 % of lines in 600 s", "python -m benchmarks.unreached --write")]


def coverage() -> list[Figure]:
    """A search of two minutes, or of KEMU_COVERAGE_SECONDS."""
    result = search(float(os.environ.get("KEMU_COVERAGE_SECONDS", "120")), ["tests/data"])
    return figures(result) if result is not None else []


def page(result: dict[str, Any], command: str) -> str:
    """The page."""
    lines, branches = result["lines"], result["branches"]
    out = ["# What a search by coverage reaches, and what not", "",
           f"`{command}` on one core of a shared machine: {result['executions']} executions in {result['seconds']:.0f} s, "
           f"{result['faults']} of them with a failing call, {result['kept']} inputs kept. "
           f"Lines: {percent(*lines)} of {lines[1]}; branches: {percent(*branches)} of {branches[1]} (gcov, at -O2). "
           "`python -m benchmarks.unreached --write` makes this page.",
           "", "| file | lines | branches |", "|---|---|---|"]
    out += [f"| {name} | {percent(f[0], f[1])} of {f[1]} | {percent(f[2], f[3])} of {f[3]} |"
            for name, f in result["files"].items()]
    missed: dict[str, dict[tuple[str, str], list[int]]] = defaultdict(lambda: defaultdict(list))
    used = set()
    for file, number, function, text in result["unreached"]:
        key = reason(function, number, text)
        used.add(key)
        missed[REASONS[key] if key else ""][file, function].append(number)
    for why in [*dict.fromkeys(REASONS.values()), ""]:
        if why in missed:
            count = sum(map(len, missed[why].values()))
            out += ["", f"## {count} lines: {why or 'reachable as far as is known: gaps to close'}", ""]
            out += [f"- {file} {function}(): {', '.join(map(str, numbers))}" for (file, function), numbers in missed[why].items()]
    done = [f"{function}() {words}".strip() for function, words in REASONS if (function, words) not in used]
    out += ["", f"Reasons that explain nothing any more: {', '.join(done) or 'none'}.", ""]
    return "\n".join(out)


ALL = {"coverage": coverage}


if __name__ == "__main__":
    raise SystemExit(main())
