# SPDX-License-Identifier: GPL-2.0-only
"""Odd command lines: each command with each of its options and every kind of value that such an option should not be given."""
from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from kemu.cli import values
from kemu.cli.common import build_parser

#: for options that take text of some kind; what each is called in a test's name comes from repr()
TEXTS = ("", " ", "-1", "0", "1e9", "nan", "inf", "0x", "0x10", "1_0", "\u0661", "99999999999999999999999999", "9" * 5000,
         "x" * 300, "K", "1KK", "-", "--", "\n", "a\nb",
         "\udcff", "../..", "/", "CONFIG_X=maybe", "CONFIG_X=", "=y", "%s%n", "*", "[", "\\", "\u202e", "None", "true")
#: what a path may turn out to be: made by :func:`make_files`
FILES = ("missing", "folder", "empty", "garbage", "fifo", "unreadable", "two\nlines", "not\udce9text", "n" * 200, "loop",
         "to-device", "zeros", "cut.erofs", "cut.cpio",
         "/dev/null", "/dev/zero", "/dev/full", "/proc/self/mem", "/nowhere/at/all", "x" * 5000, "folder/", "empty/x", "", "-",
         "sample:", "sample:nothing", "sample:../demo.erofs")
#: what keeps a command short where nothing is wrong; the options that are tried take their place
SHORT = {"demo": {"--no-review": None, "--step": "4096", "--workers": "1"},
         "fuzz": {"EXPERIMENT": "memback.ground-truth", "--examples": "1"},
         "review": {"NAME": "erofs-memback", "--examples": "1", "--workers": "1"}, "replay": {"TOKEN": "w1kx-ce"},
         "doctor": {"--json": None}}


def make_files(where: Path, image: bytes, archive: bytes) -> None:
    """Every file of :data:`FILES` that is not outside, in ``where``."""
    (where / "folder").mkdir()
    (where / "empty").write_bytes(b"")
    (where / "garbage").write_bytes(bytes((i * 167 + (i >> 3) * 91) & 0xFF for i in range(9000)))
    os.mkfifo(where / "fifo")
    (where / "unreadable").write_bytes(b"x")
    (where / "unreadable").chmod(0)
    for name in ("two\nlines", "not\udce9text", "n" * 200):
        (where / name).write_bytes(image)
    (where / "loop").symlink_to("loop")
    (where / "to-device").symlink_to("/dev/zero")
    with open(where / "zeros", "wb") as f:
        f.truncate(1 << 20)
    (where / "cut.erofs").write_bytes(image[:len(image) // 2])
    (where / "cut.cpio").write_bytes(archive[:len(archive) // 3])


def parsers() -> Iterator[tuple[list[str], argparse.ArgumentParser]]:
    """(words, parser) of every command, and of every verb of those that have verbs."""
    def below(words: list[str], parser: argparse.ArgumentParser) -> Iterator[tuple[list[str], argparse.ArgumentParser]]:
        subs = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        if not subs:
            yield words, parser
        for sub in subs:
            for name, p in sub.choices.items():
                yield from below([*words, name], p)
    yield from below([], build_parser([], whole=True))


def is_path(action: argparse.Action) -> bool:
    return action.type is values.name_of_file


def needed(parser: argparse.ArgumentParser, without: argparse.Action, image: str, output: str) -> list[str]:
    """Words that make the rest of the command line right."""
    words: list[str] = []
    short = SHORT.get(parser.prog.split()[-1], {})
    taken = {without.metavar, *without.option_strings}
    if taken & {"--seconds", "--examples"}:
        taken |= {"--seconds", "--examples"}
    for word, value in short.items():
        if word not in taken:
            words += ([word] if word.startswith("-") else []) + ([value] if value is not None else [])
    for a in parser._actions:
        if a.metavar in short:
            continue
        if a is without or (not a.required and a.option_strings) or a.nargs in ("?", "*"):
            continue
        value = output if "output" in a.dest else image if is_path(a) else str(next(iter(a.choices))) if a.choices else "x"
        words += [a.option_strings[0], value] if a.option_strings else [value]
    return words


def command_lines(image: str, output: str) -> Iterator[list[str]]:
    """All of them."""
    for words, parser in parsers():
        nothing = argparse.Action([], "")
        yield [*words, "--nonsense"]
        yield [*words, "--", "--help"]
        yield [*words, *needed(parser, nothing, image, output), "--json", "--json"]
        yield [*words, *needed(parser, nothing, image, output), "-q", "-v", "-v", "--no-color"]
        for a in parser._actions:
            if isinstance(a, (argparse._HelpAction, argparse._SubParsersAction)):
                continue
            rest = needed(parser, a, image, output)
            if a.nargs == 0:
                yield [*words, *rest, f"{a.option_strings[-1]}=1"]
                continue
            odd = FILES if is_path(a) else TEXTS
            if a.option_strings:
                option = a.option_strings[-1]
                yield [*words, *rest, option]
                for value in odd:
                    yield [*words, *rest, f"{option}={value}" if option.startswith("--") else f"{option}{value}" if value
                           else option]
            else:
                for value in odd:
                    yield [*words, *rest, "--", value]
    for line in ([], [""], ["-"], ["--"], ["nonsense"], ["\n"], ["\udcff"], ["-x"], ["-q"], ["-v", "-v"], ["--version=1"],
                 ["--print-completion"], ["--print-completion=fish"],
                 ["--no-color"], ["mount"] * 3, ["Mount"], ["mount", "mount"], ["x" * 5000]):
        yield list(line)
