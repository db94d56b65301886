# SPDX-License-Identifier: GPL-2.0-only
"""``kemu boot``: boot an initrd and see the tree, the log, the initcalls, the memory, the mounts."""
from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from kemu.cli import _series
from kemu.cli.common import EXIT_FAILED, EXIT_OK, EXIT_PANIC, EXIT_USAGE, CommandError
from kemu.cli.values import (
    byte_offset,
    byte_size,
    check_at,
    check_file,
    check_holes,
    count,
    name_of_file,
    never_asked,
    page_size,
    parse_config,
)
from kemu.cli.views import read_limit
from kemu.machine import parameters
from kemu.machine.boot import BootResult
from kemu.machine.machine import Machine

from initramfs.harness.designs import DESIGNS

LINUX_MEMORY = 512 << 20        # RAM of a UML kernel
HELP = "boot an initrd: the tree that PID 1 sees, the log, the initcalls, who owned which page, the mounts"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``kemu boot``."""
    parser.add_argument("initrd", type=name_of_file, metavar="INITRD", nargs="?",
                        help="what the boot loader puts into memory: cpio archives, compressed or not, in any row "
                        "(default: no initrd; sample:NAME: one that comes with kemu)")
    parser.add_argument("--design", choices=DESIGNS, default="upstream", help="how the kernel uses it (default: upstream)")
    parser.add_argument("--at", type=byte_offset, default=0, metavar="N", help="the initrd begins N bytes behind a page boundary")
    parser.add_argument("--cmdline", default="", metavar="STRING",
                        help="kernel command line (root=0:0 is put before it if it has no root=); what no built-in code takes "
                             "goes to init")
    parser.add_argument("--memory-size", type=byte_size(1 << 20, 1 << 42), default=0, metavar="SIZE",
                        help="RAM; K, M and G are powers of 1024 (default: 512M, or more for a "
                        "large initrd); mem= on the command line leaves less")
    parser.add_argument("--read-limit", type=byte_size(), default=0, metavar="SIZE",
                        help="bytes of files that a view reads at most (default: 1G, or 16 for each byte of a "
                        "larger initrd)")
    parser.add_argument("--config", action="append", default=[], metavar="CONFIG_X=y",
                        help="a kernel option (y, n, a number or a text); may be given several times")
    parser.add_argument("--builtin", type=name_of_file, default="default", metavar="default|none|FILE",
                        help="the kernel's built-in archive")
    parser.add_argument("--image", type=name_of_file, metavar="FILE",
                        help="an image for designs that take one besides the initrd")
    parser.add_argument("--rung", choices=("py", "c", "linux"), default="py",
                        help="the port on the emulated kernel, the kernel's own C in this process (which unpacks, and starts no "
                             "init), or Linux under UML")
    parser.add_argument("--flavour", choices=("plain", "asan", "ubsan"), default="plain",
                        help="of --rung c: plain, or with the sanitizer of addresses or of undefined behaviour")
    _series.add_series_arguments(parser)
    parser.add_argument("--page-size", type=page_size, default=4096, metavar="4096|16384|65536", help="py only")
    parser.add_argument("--table", type=name_of_file, metavar="FILE",
                        help="another build's initcalls: its vmlinux (then its parameters, too), System.map, or a log with "
                             "initcall_debug")
    view = parser.add_mutually_exclusive_group()
    view.add_argument("--manifest", action="store_true",
                      help="the tree when the kernel looks for the init program, one JSON object a line")
    view.add_argument("--dmesg", action="store_true", help="the kernel's log; its last line tells how the boot ended")
    view.add_argument("--initcalls", action="store_true",
                      help="initcalls in order, as initcall_debug prints them (-v: which of them are ported)")
    view.add_argument("--memory", action="store_true", help="who owned which page of the initrd, and when it was freed")
    view.add_argument("--mounts", action="store_true", help="the mount tree at the end")
    view.add_argument("--compare-table", type=name_of_file, metavar="FILE",
                      help="what moves from this build's initcalls (or --table's) to those of FILE; boots nothing")
    view.add_argument("--faults", action="store_true",
                      help="boot once for each call that can fail, with that call failing: what each boot ends in (exit code 1 "
                           "if "
                      "one has a detector's report or leaves something behind; -v: every place)")
    parser.add_argument("--fail-nth", type=count(), default=0, metavar="N",
                        help="the N-th call that can fail fails (as --faults counts them); with any view")
    parser.add_argument("--no-short", action="store_true",
                        help="run every function itself, and none in its short form: the same result, later")
    parser.add_argument("--json", action="store_true", help="one JSON object or array instead of text")


def read_table(path: str) -> list[Any]:
    """The initcalls of a vmlinux, a System.map or a log."""
    from kemu.machine import initcalls  # start-up

    check_file(path, "a table of initcalls", null=True)
    try:
        return list(initcalls.load(path))
    except ValueError as e:
        raise CommandError(f"{path}: {e}") from None


def read_parameters(path: str) -> Any:
    """Of a vmlinux; the packaged ones where the file has only initcalls."""
    from kemu.machine import parameters  # start-up

    try:
        return parameters.load(path)
    except ValueError as e:
        raise CommandError(f"{path}: {e}") from None


def check_inputs(args: argparse.Namespace) -> None:
    """Refuse files that are none, or that the machine has no memory for."""
    archive = args.builtin if args.builtin not in ("default", "none") else None
    if args.initrd is not None:
        check_file(args.initrd, "an initrd", null=True)
    if archive is not None:
        check_file(archive, "--builtin", null=True)
    if args.image:
        check_file(args.image, "--image", null=True)
    for path in (args.initrd, args.image, archive):
        if path is not None:
            check_holes(path, args.memory_size)


def watchers(args: argparse.Namespace, seen: dict[str, Any], recorder: Any) -> tuple[Callable[[Machine], None],
                                                                                     Callable[[BootResult], None]]:
    """What is done to the machine before it boots, and what is looked at afterwards and kept in ``seen``."""
    def prepare(m: Machine) -> None:
        check_at(args.at, m.mem.nr_pages * m.mem.page_size)
        if args.table:
            m.part(parameters.Build).parameters = read_parameters(args.table)
        if recorder is not None:
            recorder.install(m)
        if args.initcalls:
            from initramfs.main import g  # start-up

            g.initcall_debug = True

    def after(result: BootResult) -> None:
        from kemu.linux.rodata import changed  # start-up

        seen["changed"] = changed()
        m = result.machine
        seen["exhausted"] = m.mem.nr_pages * m.mem.page_size if m.alloc.exhausted and not args.fail_nth else 0
        if args.memory:
            from initramfs.harness import boot_memory  # start-up

            seen["memory"] = boot_memory.memory(result)
        if args.mounts:
            from initramfs.harness import boot_views  # start-up

            seen["mounts"] = boot_views.mounts()

    return prepare, after


def run(args: argparse.Namespace) -> int:
    """``kemu boot``; its exit code."""
    if args.compare_table:
        return compare_tables(args)
    if args.faults and args.fail_nth:
        raise CommandError("--fail-nth: --faults fails every call, one after the other", EXIT_USAGE)
    design = find_design(args)
    check_inputs(args)
    config = parse_config(args.config)
    if args.flavour != "plain" and args.rung != "c":
        raise CommandError(f"--flavour {args.flavour}: of --rung c, and this is --rung {args.rung}", EXIT_USAGE)
    if args.rung == "linux":
        return run_linux(args)
    if args.rung == "c":
        return run_c(args)
    for name in never_asked(config) if config and not args.quiet else ():
        print(f"kemu: boot: {name}: no code here asks for it, so it changes nothing", file=sys.stderr)
    from initramfs.harness import boot_views as views  # start-up
    from initramfs.harness.boots import boot_initrd  # start-up

    seen: dict[str, Any] = {}
    recorder = None
    if args.memory:
        from initramfs.harness import boot_memory  # start-up: it knows all designs

        recorder = boot_memory.Recorder()
    prepare, after = watchers(args, seen, recorder)

    def prepare_and_fail(m: Machine) -> None:
        prepare(m)
        if args.fail_nth:
            from kemu.rung.py.failing import failing  # start-up

            seen["choices"] = failing(args.fail_nth, m)

    try:
        # what a real boot lets pass, a write to constants, is told afterwards
        boot = functools.partial(boot_initrd, args.initrd, design=design, cmdline=args.cmdline, builtin=args.builtin, at=args.at,
                                 config=config, page_size=args.page_size,
                                 initcalls=read_table(args.table) if args.table else None, second_image=args.image,
                                 rodata="plain", series=series_of(args, design))
        if args.faults:
            return faults(args, boot, prepare)
        limit = read_limit(args.read_limit, [args.initrd] if args.initrd else [])
        result = boot(memory=args.memory_size, limit=limit, short=short_forms(args), prepare=prepare_and_fail, after=after,
                      tree=args.manifest or not (args.dmesg or args.initcalls or args.memory or args.mounts))
    except MemoryError as e:
        raise CommandError(f"{args.initrd or 'no initrd'}: ENOMEM (Cannot allocate memory): the machine has {e or 'no room'}: "
                           f"--memory-size SIZE (or mem=) "
                           "says how much it has") from None
    finally:
        if recorder is not None:
            recorder.remove()
    show(args, result, seen, views)
    if args.fail_nth:
        print(told_fault(seen["choices"]), file=sys.stderr)
    return conclude(args, result, seen, limit)


def conclude(args: argparse.Namespace, result: BootResult, seen: dict[str, Any], limit: Any) -> int:
    """Say what was wrong, on stderr; the exit code."""
    from kemu.report.manifest import show as manifest_show  # start-up

    for line in seen["changed"]:
        print(f"kemu: boot: constant data was written to: {line}", file=sys.stderr)
    wrong = refusals(result)
    if seen["exhausted"]:
        print(f"kemu: boot: ENOMEM (Cannot allocate memory): the machine's {seen['exhausted'] >> 20}M of memory were used up: "
              f"--memory-size SIZE gives it more"
              f"{' (mem= takes some away)' if 'mem=' in args.cmdline else ''}", file=sys.stderr)
    if limit.over:
        wrong.append(f"EFBIG (File too large): {manifest_show(limit.over)}: more than {limit.limit} bytes of files; the rest "
                     f"was not read: --read-limit SIZE raises that")
    if result.ok and not result.splats:
        if wrong:
            print(f"kemu: boot: {'; '.join(wrong)}", file=sys.stderr)
        return EXIT_FAILED if wrong else EXIT_OK
    for s in result.splats:
        print(f"kemu: boot: {s.title}", file=sys.stderr)
    if not result.ok and result.ended == "panic":
        print(f"kemu: boot: {'; '.join([*wrong, str(result.error).split(chr(10))[0]])}", file=sys.stderr)
    return EXIT_FAILED if result.ok else EXIT_PANIC


def series_of(args: argparse.Namespace, design: Any) -> list[Any]:
    """What --series puts on top of the design."""
    series = _series.python_of(_series.stack_of(args))
    if series:
        from kemu.series.whole import check_stack  # start-up

        check_stack([*design.series, *series])
    return series


def short_forms(args: argparse.Namespace) -> list[Any]:
    """What the boot may do in fewer steps: nothing if somebody looks into it."""
    if args.no_short or args.fail_nth or args.memory:
        return []
    from initramfs.harness.short import forms  # start-up

    return forms()


def told_fault(choices: Any) -> str:
    """Which call has failed, or that there are not that many."""
    return (f"kemu: boot: {choices.faults[0]}" if choices.faults
            else f"kemu: boot: only {choices.fault_points} calls can fail: none has failed")


def faults(args: argparse.Namespace, boot: Any, prepare: Any) -> int:
    """--faults"""
    from initramfs.harness import boot_faults as f  # start-up

    started = time.monotonic()
    rows = list(f.sweep(boot, prepare))
    wrong = any(map(f.bad, rows))
    print(json.dumps(rows) if args.json else "\n".join(f.lines(rows, time.monotonic() - started,
                                                               bool(getattr(args, "verbose", 0)))))
    return EXIT_FAILED if wrong else EXIT_OK


def refusals(result: BootResult) -> list[str]:
    """What the log says of an initrd or an image that was refused, or turned out to be damaged."""
    said = [line for line in result.log if (line.startswith("initrd: ") and line.endswith((": refused", " is corrupted")))
            or (line.startswith("storage-init: ") and not line.startswith("storage-init: /init of "))]
    return list(dict.fromkeys(said))


def show(args: argparse.Namespace, result: BootResult, seen: dict[str, Any], views: Any) -> None:
    """The view that was asked for."""
    from kemu.report import manifest  # start-up

    if args.manifest:
        if args.json:
            print(json.dumps(manifest.ordered(result.tree)))
        else:
            sys.stdout.write(manifest.dump(result.tree))
    elif args.dmesg:
        log = last_line_tells(result)
        if args.json:
            print(json.dumps([{"time": t / 1e9, "level": lvl, "text": text} for t, lvl, text in result.entries]))
        elif args.verbose:
            print("\n".join(f"[{t / 1e9:12.6f}] {text}" for t, _, text in result.machine.log.entries))
        else:
            print("\n".join(log))
    elif args.initcalls:
        lines = views.initcall_lines(result)
        print(json.dumps(lines) if args.json else "\n".join(lines))
        if getattr(args, "verbose", 0):
            from kemu.linux.init import initcalls as ported  # start-up

            called = [line.split()[1] for line in lines if line.startswith("calling  ")]
            mine = [name for name in called if name in ported]
            print(f"kemu: boot: {len(mine)} of {len(called)} initcalls are ported, the others do nothing and succeed: "
                  f"{', '.join(mine)}", file=sys.stderr)
    elif args.memory:
        from initramfs.harness.boot_memory import memory_lines  # start-up

        print(json.dumps(seen["memory"]) if args.json else "\n".join(memory_lines(seen["memory"])))
    elif args.mounts:
        print(json.dumps(seen["mounts"]) if args.json else "\n".join(views.mount_lines(seen["mounts"])))
    else:
        summary = {"ended": result.ended, "last": last_line_tells(result)[-1], "unpacking": result.unpack_error,
                   "entries": len(result.tree),
                   "bytes": sum(e["size"] or 0 for e in result.tree if e["type"] == "file"),
                   "reports": [s.title for s in result.splats],
                   "freed_pages": sum(f[2] for f in result.freed)}
        if args.json:
            print(json.dumps(summary))
        else:
            print(f"initramfs: {summary['unpacking'] or 'unpacked'}; {summary['entries']} entries, {summary['bytes']} bytes in "
                  f"files")
            print(f"initrd: {summary['freed_pages']} pages freed" if result.initrd is not None else "initrd: none")
            print(f"ended: {summary['last']}")


def last_line_tells(result: BootResult) -> list[str]:
    """The log, ending with the line that tells how the boot ended."""
    log: list[str] = result.log
    if result.error is not None and result.ended == "splat":
        log = [*log, *str(result.error).split("\n"), f"Kernel panic - not syncing: {result.error.title}"]
    return log


def compare_tables(args: argparse.Namespace) -> int:
    """``--compare-table``: what two builds call in another order; the exit code."""
    from kemu.machine import initcalls  # start-up

    a = read_table(args.table) if args.table else list(initcalls.load())
    lines = initcalls.compare(a, read_table(args.compare_table))
    print(json.dumps(lines) if args.json else "\n".join(lines) if lines else "the same order")
    return EXIT_OK


def find_design(args: argparse.Namespace) -> Any:
    """The design, and whether what was asked goes with it."""
    from initramfs.harness.designs import find, for_cmdline  # start-up

    design = for_cmdline(find(args.design), args.cmdline)
    if args.image and not design.image:
        raise CommandError(f"--image: --design {args.design} takes none", EXIT_USAGE)
    if design.image and not args.image:
        raise CommandError(f"--design {args.design}: the second image is given with --image FILE", EXIT_USAGE)
    if args.rung != "py" and args.design != "upstream":
        raise CommandError(f"--rung {args.rung} has upstream's design only: {args.design} is a port without C", EXIT_USAGE)
    return design


def run_c(args: argparse.Namespace) -> int:
    """populate_rootfs() of the kernel's own C in this process."""
    from kemu.cli.linux import failures, say_of  # start-up
    from kemu.machine.boot import default_builtin  # start-up
    from kemu.report import manifest  # start-up
    from kemu.rung.c.kernel import UNKNOWN_WORDS, Kernel  # start-up
    from kemu.rung.protocol import Answer  # start-up

    for name in ("initcalls", "memory", "mounts", "faults", "fail_nth", "table", "memory_size", "read_limit"):
        if getattr(args, name):
            raise CommandError(f"--{name.replace('_', '-')}: --rung c unpacks an initrd, and shows --manifest and --dmesg",
                               EXIT_USAGE)
    if args.initrd is None:
        raise CommandError("--rung c unpacks an initrd, and none is given", EXIT_USAGE)
    if args.at >= 4096 or args.page_size != 4096:
        raise CommandError("--rung c has pages of 4096 bytes, and places the initrd within one (--at 0 to 4095)", EXIT_USAGE)
    builtin = default_builtin() if args.builtin == "default" else None
    if args.builtin not in ("default", "none"):
        with open(args.builtin, "rb") as f:
            builtin = f.read()
    answers: list[Answer] = []

    def action() -> int:
        patches, extra, slot = _series.c_of(_series.stack_of(args))
        with Kernel(args.flavour, os.environ.get("KEMU_TREE"), [*extra, *args.config], patches, slot, say=say_of(args)) as kernel:
            answers.append(kernel.cpio(args.initrd, args.at or -1, builtin=builtin, cmdline=args.cmdline))
        return EXIT_OK

    failures("", action)
    a = answers[0]
    failed = f"Initramfs unpacking failed: {a.message}" if a.message else ""
    unknown = next((line for line in a.kmsg if line.startswith(UNKNOWN_WORDS)), "")
    if unknown:
        word = unknown.removeprefix(UNKNOWN_WORDS).split('"')[1]
        raise CommandError(f"--cmdline {word}: --rung c has the parameters of init/initramfs.c and do_mounts only", EXIT_USAGE)
    if a.crash:
        print("\n".join(a.console.splitlines()[:24]), file=sys.stderr)
        raise CommandError(str(a.message), {"hang": 124, "splat": EXIT_FAILED}.get(a.crash, EXIT_PANIC))
    if args.dmesg:
        lines = [line.removeprefix(" ") for line in a.kmsg]
        print(json.dumps(lines) if args.json else "\n".join(lines))
    elif args.manifest:
        print(json.dumps(a.entries)) if args.json else sys.stdout.write(manifest.dump(a.entries))
    else:
        size = sum(e["size"] or 0 for e in a.entries if e["type"] == "file")
        summary = {"unpacking": a.message, "entries": len(a.entries), "bytes": size}
        print(json.dumps(summary) if args.json else
              f"initramfs: {a.message or 'unpacked'}; {len(a.entries)} entries, {size} bytes in files")
    sys.stdout.flush()
    if failed:
        print(f"kemu: boot: {failed}", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_OK


def run_linux(args: argparse.Namespace) -> int:
    """The same initrd on Linux under UML."""
    from kemu.cli.linux import failures, say_of, verdict_of  # start-up
    from kemu.report import manifest  # start-up
    from kemu.rung.uml.initrd import Boot, boot_initrd  # start-up

    from initramfs.harness.boots import mem_limit  # start-up
    from initramfs.harness.designs import asks_to_verify  # start-up

    if args.initcalls or args.memory or args.mounts or args.faults or args.fail_nth:
        raise CommandError("--rung linux shows --manifest and --dmesg", EXIT_USAGE)
    if args.at >= 4096:
        raise CommandError(f"--at {args.at}: --rung linux places the initrd within a page, from 0 to 4095", EXIT_USAGE)
    if asks_to_verify(args.cmdline):
        raise CommandError("--cmdline initrd_segments=: Linux has no such parameter, and would boot what it did not verify",
                           EXIT_USAGE)
    if args.page_size != 4096 or args.table:
        raise CommandError(f"--rung linux has pages of 4096 bytes: --page-size {args.page_size}" if args.page_size != 4096
                           else "--rung linux has its own initcalls: --table is for the port", EXIT_USAGE)
    boots: list[Boot] = []

    # UML takes it from its own word, which is the last
    size = min(args.memory_size or LINUX_MEMORY, mem_limit(args.cmdline) or 1 << 62)
    cmdline = " ".join(w for w in args.cmdline.split() if not (w.startswith("mem=") and mem_limit(w)))

    def action() -> int:
        patches, extra, slot = _series.c_of(_series.stack_of(args))
        boots.append(boot_initrd(args.initrd, cmdline, args.at or None, args.builtin, config=(*extra, *args.config),
                                 memory=str(size), patches=patches, slot=slot, say=say_of(args)))
        return EXIT_OK

    failures("", action)
    b = boots[0]
    if args.dmesg:
        print(json.dumps(b.console.splitlines()) if args.json else b.console.rstrip("\n"))
    else:
        entries = b.entries or []
        sys.stdout.write(json.dumps(manifest.ordered(entries)) + "\n" if args.json else manifest.dump(entries))
    return verdict_of(b, not args.dmesg, 30.0)
