# SPDX-License-Identifier: GPL-2.0-only
"""``kemu linux``: the real kernel, built for ARCH=um, as the oracle."""
from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kemu.cli.common import EXIT_FAILED, EXIT_OK, EXIT_USAGE, CommandError, errno_text
from kemu.cli.values import check_file, count, name_of_file, page_offset, seconds
from kemu.report import manifest
from kemu.rung.uml import config as kconfig
from kemu.rung.uml.build import Kernel, Recipe, build, configure, prepare, progress
from kemu.rung.uml.cache import DEFAULT_VERSION, cache_dir, default_tree, lock
from kemu.rung.uml.cases import Case
from kemu.rung.uml.errors import BootError, BuildError, RungError
from kemu.rung.uml.initrd import Boot
from kemu.rung.uml.inputs import MOST, check_input, head, kind_of
from kemu.rung.uml.listing import BUILD_PREFIX
from kemu.rung.uml.oracle import CPIO_BOOT, Oracle, Result
from kemu.rung.uml.tree import Tree, find_tree

if TYPE_CHECKING:
    from kemu.rung.uml.kunit import KunitRun

HELP = "the real kernel: fetch, config, build, boot, kunit, oracle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu linux``."""
    common = argparse.ArgumentParser(add_help=False, parents=[globals_parser()])
    common.add_argument("--tree", type=name_of_file, metavar="TREE",
                        help="a kernel tree of yours (it is not written to); default: Debian's source, fetched")
    common.add_argument("--series", metavar="S", action="append", default=[],
                        help="a folder of patches/, a path to a folder or an mbox, - (a mail on standard input), or a Python "
                             "Series that has C: applied to a copy; several stack in the order given")
    common.add_argument("--flavour", choices=kconfig.flavours(), default="fast", help="default: fast")
    common.add_argument("--config", metavar="CONFIG_X=y", action="append", default=[], help="more configuration lines")
    common.add_argument("--jobs", type=count(1, 4096), default=0, metavar="N", help="for make; default: all CPUs")
    common.add_argument("--timeout", type=seconds, default=None, metavar="S", help="seconds until a boot or a case is a hang")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    p = verbs.add_parser("fetch", help="get Debian's linux-source package", parents=[common])
    p.add_argument("version", nargs="?", default=DEFAULT_VERSION)

    p = verbs.add_parser("config", help="write the .config and show where it is", parents=[common])
    p.add_argument("--print", action="store_true", help="print its lines instead")

    verbs.add_parser("build", help="build the kernel and show where it is", parents=[common])

    p = verbs.add_parser("boot", help="boot once", parents=[common])
    p.add_argument("initrd", nargs="?", type=name_of_file, metavar="INITRD")
    p.add_argument("--at", type=page_offset, metavar="N", help="page offset of the initrd in memory")
    p.add_argument("--cmdline", default="", metavar="STRING")
    p.add_argument("--builtin", type=name_of_file, default="default", metavar="default|none|FILE")
    what = p.add_mutually_exclusive_group()
    what.add_argument("--manifest", action="store_true", help="the tree at / when the initramfs is in place")
    what.add_argument("--dmesg", action="store_true", help="the kernel's log (the default)")
    p.add_argument("--json", action="store_true")

    p = verbs.add_parser("kunit", help="run the kernel's KUnit suites", parents=[common])
    p.add_argument("glob", nargs="?", default="", help="suites, or suite.case")
    p.add_argument("--rung", choices=["linux", "c"], default="linux",
                   help="c: suites of init/initramfs.c and of a series in this process, in milliseconds (--flavour fast, kasan)")
    p.add_argument("--ktap", action="store_true", help="the kernel's KTAP, not the parser's rendering")
    p.add_argument("--json", action="store_true")

    p = verbs.add_parser("oracle", help="manifests made by the kernel", parents=[common])
    p.add_argument("images", nargs="+", type=name_of_file, metavar="IMAGE|DIR")
    p.add_argument("--at", type=page_offset, default=None, metavar="N", help="page offset of the image or archive in memory")
    p.add_argument("--memory", choices=["linear", "vmalloc", "slab"], help="kind of memory that it is placed in")
    p.add_argument("--backend", choices=["disk", "loop", "file"], default="disk", help="what EROFS is mounted from")
    p.add_argument("--device", action="append", type=name_of_file, default=[], metavar="FILE",
                   help="an extra device of the image")
    p.add_argument("-o", dest="options", default="", metavar="OPTIONS", help="mount options")
    p.add_argument("--as", dest="kind", choices=["erofs", "cpio"], help="take the files for images or for archives")
    p.add_argument("--check", action="store_true", help="compare with the manifests NAME.jsonl beside the images")
    p.add_argument("--dmesg", action="store_true", help="the kernel's lines instead of the manifest")
    p.add_argument("--coverage", metavar="FILE", nargs="?", const="", default=None,
                   help="instead of manifests, how much of the C was reached (flavour gcov); with FILE, which of its lines were "
                        "not")


def globals_parser() -> argparse.ArgumentParser:
    """The global options once more, for after the verb."""
    p = argparse.ArgumentParser(add_help=False)
    p.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="no progress")
    p.add_argument("-v", "--verbose", action="count", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    p.add_argument("--no-color", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return p


def run(args: argparse.Namespace) -> int:
    """``kemu linux``; its exit code."""
    verbs: dict[str, Callable[[argparse.Namespace], int]] = {
        "fetch": _fetch, "config": _config, "build": _build, "boot": _boot, "kunit": _kunit, "oracle": _oracle}
    return failures(args.verb, lambda: verbs[args.verb](args))


def failures(verb: str, action: Callable[[], int]) -> int:
    """Run a verb; an error of the rung becomes the command's one line, after the compiler's or the kernel's own words."""
    try:
        return action()
    except BuildError as e:
        if e.output:
            print(e.output, file=sys.stderr)
        raise CommandError(f"{verb}: {e}" if verb else str(e), e.exit_code) from None
    except BootError as e:
        if e.console:
            print("\n".join(e.console.splitlines()[-30:]), file=sys.stderr)
        raise CommandError(f"{verb}: {e}" if verb else str(e), e.exit_code) from None
    except RungError as e:
        raise CommandError(f"{verb}: {e}" if verb else str(e), e.exit_code) from None


# ---- what the verbs share ----

def say_of(args: argparse.Namespace) -> Callable[[str], None]:
    """Progress on stderr, or silence."""
    return (lambda text: None) if args.quiet else progress()


def tree_of(args: argparse.Namespace) -> Tree:
    """The tree of ``--tree``, or Debian's, fetched if need be."""
    if not args.tree and not (default_tree() / "Makefile").exists():
        from kemu.rung.uml.fetch import fetch  # start-up
        return fetch(say=say_of(args))
    return find_tree(args.tree)


def recipe_of(args: argparse.Namespace) -> Recipe:
    """What the options say to build."""
    tree = tree_of(args)
    if not args.series:
        return Recipe(tree, args.flavour, tuple(args.config))
    from kemu.rung.uml.series import together  # start-up
    from kemu.series.whole import Whole, c_halves, in_c_named  # start-up

    halves = c_halves([Whole(s.name, given, s) for given in args.series for s in [in_c_named(given)]])
    patches, config, slot = together(halves)
    return Recipe(tree, args.flavour, (*config, *args.config), patches, slot)


def kernel_of(args: argparse.Namespace) -> Kernel:
    """The built kernel."""
    return build(recipe_of(args), say_of(args), args.jobs)


# ---- verbs ----

def _fetch(args: argparse.Namespace) -> int:
    from kemu.rung.uml.fetch import fetch  # start-up
    tree = fetch(args.version, say_of(args))
    print(tree.path)
    return EXIT_OK


def _config(args: argparse.Namespace) -> int:
    recipe = recipe_of(args)
    kconfig.need_tools()
    work = cache_dir() / "work" / f"{recipe.tree.slot()}-{recipe.slot}"
    with lock(work, say_of(args)):
        prepare(recipe, work, say_of(args))
        path = configure(recipe, work / f"{BUILD_PREFIX}{recipe.flavour}", say_of(args))
    print(path.read_text() if args.print else path, end="" if args.print else "\n")
    return EXIT_OK


def _build(args: argparse.Namespace) -> int:
    kernel = kernel_of(args)
    for line in kernel.warnings:
        print(line, file=sys.stderr)
    print(kernel.path)
    return EXIT_OK


def _boot(args: argparse.Namespace) -> int:
    from kemu.rung.uml.initrd import boot_initrd, builtin_config, cmdline_words, read_initrd  # start-up
    cmdline_words(args.cmdline)                 # what is wrong with the arguments comes before a kernel is built
    if args.initrd is not None:
        check_file(args.initrd, "boot: an initrd", null=True)
    initrd = read_initrd(args.initrd)
    if args.builtin not in ("default", "none"):
        check_file(args.builtin, "boot: --builtin", null=True)
        args.config = [*args.config, builtin_config(Path(args.builtin))]
    live = not (args.manifest or args.json)
    boot = boot_initrd(initrd, args.cmdline, args.at, "none" if args.builtin == "none" else "default", kernel=kernel_of(args),
                       timeout=args.timeout or 30.0)
    if args.json:
        print(json.dumps({"end": boot.end, "init": boot.init, "panic": boot.panic, "splat": boot.splat,
                          "unpack_error": boot.unpack_error,
                          "seconds": round(boot.seconds, 3), "dmesg": boot.kmsg, "manifest": boot.entries,
                          "no_tree": boot.no_tree}))
    elif args.manifest:
        sys.stdout.write(manifest.dump(boot.entries or []))
    if live:
        sys.stdout.write(boot.console)
    if boot.exit_code:
        if not live:
            print("\n".join(boot.kmsg[-12:]), file=sys.stderr)
    return verdict_of(boot, not live, args.timeout or 30.0, "boot: ")


def verdict_of(boot: Boot, wants_tree: bool, timeout: float, verb: str = "") -> int:
    """0 for a boot that came to an init program, with its whole tree if that was asked for; else the one line that says what is
    wrong.
    """
    why = {"panic": f"Kernel panic - not syncing: {boot.panic}" if not verb else f"kernel panic: {boot.panic}", "init": "",
           "hang": f"the boot did not finish within {timeout:g} s"}.get(boot.end,
                                                                        "the kernel ended before it came to an init program")
    tree = boot.no_tree if wants_tree else None
    if not why and not tree:
        return EXIT_OK
    raise CommandError(verb + "; ".join(filter(None, (tree, why))), boot.exit_code or EXIT_FAILED)


def _kunit(args: argparse.Namespace) -> int:
    from kemu.rung.uml.kunit import check, run_kunit  # start-up
    result = (_kunit_in_c(args) if args.rung == "c" else
              run_kunit(kernel_of(args), tree_of(args).path, args.glob, timeout=args.timeout or 120.0))
    check(result)
    if args.json:
        print(json.dumps({"cases": [vars(c) for c in result.outcome.cases], "summary": result.outcome.summary,
                          "splat": result.splat}))
    elif args.ktap or not sys.stdout.isatty():
        lines = result.console.splitlines()
        first = next((i for i, line in enumerate(lines) if line.lstrip().startswith("KTAP version")), len(lines))
        print("\n".join(line for line in lines[first:] if line.strip() and not line.startswith("reboot:")))
    else:
        print(result.outcome.text, end="")
    if result.exit_code == 125:
        raise CommandError(f"kunit: no test ran{f' (no suite matches {args.glob!r})' if args.glob else ''}", 125)
    if result.exit_code:
        raise CommandError(f"kunit: {result.splat or result.outcome.summary}", result.exit_code)
    return EXIT_OK


def _kunit_in_c(args: argparse.Namespace) -> KunitRun:
    from kemu.rung.c import kunit  # start-up
    from kemu.rung.c.build import build as build_library  # start-up
    if args.flavour not in kunit.FLAVOURS:
        raise CommandError(f"kunit: --flavour {args.flavour}: --rung c has {', '.join(kunit.FLAVOURS)}", EXIT_USAGE)
    flavour, args.flavour = kunit.FLAVOURS[args.flavour], "fast"
    library = build_library(recipe_of(args), flavour, say_of(args), args.jobs)
    return kunit.run_kunit(library, tree_of(args).path, args.glob, args.timeout or 120.0)


# ---- oracle ----

FILE_MOST = 1 << 50                     # of a file with holes

def _cases(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What to ask: path, devices, options. A folder may have an index.jsonl that says so."""
    for name in args.images:
        path = Path(name)
        if not path.is_dir():
            check_file(path)
            yield {"path": path, "devices": args.device, "options": args.options, "named": True}
            continue
        index = {}
        if (path / "index.jsonl").exists():
            for line in (path / "index.jsonl").read_text().splitlines():
                row = json.loads(line)
                index[row["name"]] = row
        extra = {d for row in index.values() for d in row.get("devices", [])}
        for child in sorted(path.iterdir()):
            row = index.get(child.stem if child.suffix == ".erofs" else child.name, {})
            if child.is_file() and child.suffix not in (".jsonl", ".json", ".md", ".txt") and child.name not in extra:
                yield {"path": child, "devices": [path / d for d in row.get("devices", [])],
                       "options": row.get("mount_options", args.options), "named": bool(row)}


def _oracle(args: argparse.Namespace) -> int:
    cases = list(_cases(args))
    for case in cases:
        case["kind"] = args.kind or kind_of(head(case["path"], 1 << 16))
        if not case["kind"] and case["named"]:
            case["kind"] = "erofs" if case["path"].suffix == ".erofs" else "cpio"
    skipped = [case for case in cases if not case["kind"]]
    cases = [case for case in cases if case["kind"]]
    for case in skipped:
        print(f"kemu: linux: oracle: {case['path']}: neither an EROFS image nor an archive; skipped (--as takes it for one)",
              file=sys.stderr)
    if not cases:
        raise CommandError("oracle: no image found")
    for case in cases:                          # before anything is built for them
        for path in (case["path"], *case["devices"]):
            check_input(path, FILE_MOST if args.backend == "file" and case["kind"] == "erofs" else MOST)
    worst = EXIT_OK
    if args.coverage is not None:
        return _coverage(args, cases)
    with Oracle(kernel=kernel_of(args), timeout=args.timeout or 20.0, memory=memory_for(cases)) as oracle:
        for case, result in zip(cases, oracle.many(_question(args, oracle, case) for case in cases)):
            worst = max(worst, _show(args, case, result, alone=len(cases) == 1))
    if args.check and not args.quiet:
        print(f"{len(cases)} compared", file=sys.stderr)
    return worst


def _question(args: argparse.Namespace, oracle: Oracle, case: dict[str, Any]) -> Case:
    if case["kind"] == "erofs":
        return oracle.erofs_case(case["path"], args.at or 0, case["options"], case["devices"], args.backend,
                                 args.memory or "linear")
    return oracle.cpio_case(case["path"], CPIO_BOOT if args.at is None else args.at, args.memory or "linear")


def memory_for(cases: list[dict[str, Any]]) -> str:
    """RAM in which the largest image can be placed; the host gives what is used of it."""
    def data(path: Any) -> int:
        st = Path(path).stat()
        return min(st.st_size, st.st_blocks * 512 + (1 << 20))

    largest = max(sum(map(data, [case["path"], *case["devices"]])) for case in cases)
    if largest > 8 << 30:
        raise CommandError(f"oracle: {errno_text(27)}: {largest} bytes of data in one image; at most {8 << 30} are taken")
    return f"{max(512, 256 + 3 * (largest >> 20))}M"


def _coverage(args: argparse.Namespace, cases: list[dict[str, Any]]) -> int:
    from kemu.rung.uml.coverage import Coverage  # start-up
    args.flavour = "gcov"
    kernel = kernel_of(args)
    coverage = Coverage(kernel)
    with Oracle(kernel=kernel, timeout=args.timeout or 20.0, memory=memory_for(cases)) as oracle:
        for case in cases:
            if oracle.ask(_question(args, oracle, case)).crash and not args.quiet:
                print(f"kemu: linux: oracle: {case['path']}: crashed the kernel; what it reached is not counted", file=sys.stderr)
            else:
                coverage.note(oracle)
    coverage.finish()
    sys.stdout.write(coverage.unreached(args.coverage) if args.coverage else coverage.table())
    return EXIT_OK


def _show(args: argparse.Namespace, case: dict[str, Any], result: Result, alone: bool) -> int:
    path = case["path"]
    if args.check:
        return _compare(path, result)
    if not alone:
        print(json.dumps({"image": str(path), "mount_error": result.mount_error, "message": result.message,
                          "crash": result.crash}))
    if args.dmesg:
        print("\n".join(result.kmsg))
    else:
        sys.stdout.write(manifest.dump(result.entries))
    sys.stdout.flush()
    return _verdict(path, result)


def _verdict(path: Path, result: Result) -> int:
    """One line on stderr for what went wrong; the exit code."""
    why, code = None, EXIT_FAILED
    if result.crash:
        print("\n".join(result.console.splitlines()[-30:]), file=sys.stderr)
        why, code = result.message, {"hang": 124, "splat": EXIT_FAILED}.get(result.crash, 255)
    elif result.mount_error:
        why = f"{_errno_text(result.mount_error)}: {result.kmsg[-1] if result.kmsg else 'mount failed'}"
    elif result.message:
        why = f"Initramfs unpacking failed: {result.message}"
    if why is None:
        return EXIT_OK
    print(f"kemu: linux: oracle: {path}: {why}", file=sys.stderr)
    return code


def _errno_text(name: str) -> str:
    """``"EUCLEAN (Structure needs cleaning)"`` for ``"EUCLEAN"``."""
    number = getattr(errno, name, None)
    return errno_text(number) if number else name


def _compare(path: Path, result: Result) -> int:
    """Compare with the manifest beside the image (none: the image cannot be mounted, or crashes the kernel)."""
    beside = path.parent / f"{path.stem if path.suffix == '.erofs' else path.name}.jsonl"
    if result.crash in ("panic", "hang", "exit") or result.mount_error:
        if beside.exists():
            print(f"{path}: {result.message or result.mount_error}, but there is a manifest")
            return EXIT_FAILED
        return EXIT_OK
    text = (manifest.diff(manifest.load(beside), result.entries, beside.name, "linux") if beside.exists()
            else "no manifest beside it")
    if text:
        print(f"{path}:\n{text}")
        return EXIT_FAILED
    return EXIT_OK
