# SPDX-License-Identifier: GPL-2.0-only
"""Kernel command lines on the port and on Linux: what the kernel says about them, which program it runs, and the arguments and
environment it gives.

KEMU_CMDLINES: how many (60); KEMU_CMDLINE_SEED: where the seeds begin.
"""
from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from kemu.linux.binfmts import Programs
from kemu.rung.uml.build import Kernel
from tests.uml import own_init
from tests.unit.initramfs.archive import archive, record

from initramfs.harness.boots import boot_initrd

pytestmark = pytest.mark.linux
PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
int main(int argc, char **argv, char **envp)
{
	FILE *f;
	if (mknod("/channel", S_IFCHR | 0600, makedev(240, 0)) || !(f = fopen("/channel", "w")))
		return 1;
	while (*argv)
		fprintf(f, "arg %s\n", *argv++);
	while (*envp)
		fprintf(f, "env %s\n", *envp++);
	fclose(f);
	reboot(RB_POWER_OFF);
}
"""
# hostname and mitigations without a value are not here: their handlers read through NULL, and the kernel does not come up
NAMES = ("foo", "bar", "fo-o", "fo_o", "HOME", "TERM", "x.y", "erofs.nosuch", "-", "---", "a", "kexec", "BOOT_IMAGE",
         "numa_zonelist_order", "init_on", "ro0")
KNOWN = ("ro", "rw", "rootwait", "rootdelay", "retain_initrd", "noinitrd", "initramfs_async", "initcall_debug", "loglevel",
         "debug", "ignore_loglevel", "panic",
         "slub_nomerge", "loop.max_part", "loop.max-loop", "printk.time", "erofs.reserved_pages", "panic_on_warn", "bootconfig",
         "initcall_blacklist", "rodata", "keepinitrd", "ramdisk_start", "rootflags", "rootfstype", "printk.devkmsg", "quietly",
         "rdinit-", "elevator")
VALUES = ("", "1", "0", "y", "n", "on", "off", "abc", "ext4", "a=b", "=", "\"a b\"", "\"a", "a\"b c\"", "\"\"", "\"", "7,8", "-5",
          "\\", "'a b'")
PROGRAMS = ("/init", "/bin/other", "/none", "/dir", "/plain", "/link", "init")


def word(r: random.Random) -> str:
    kind = r.randrange(20)
    if kind < 7:
        out = r.choice(NAMES) + r.choice(("", "=" + r.choice(VALUES)))
    elif kind < 14:
        out = r.choice(KNOWN) + r.choice(("", "=" + r.choice(VALUES)))
    elif kind < 16:
        out = r.choice(("init=", "rdinit=", "rdinit", "init")) + r.choice(PROGRAMS)
    elif kind < 17:
        out = "--"
    elif kind < 18:
        out = r.choice(("\"", "\"\"", "=", "=a", "\"a=b c\"", "\"x\"y", "a\"=\"b"))
    else:
        out = r.choice(NAMES) + r.choice(("", "_", "-")) + str(r.randrange(100))
    return "\"" + out + "\"" if r.random() < 0.08 else out


def cmdline(seed: int) -> str:
    r = random.Random(seed)
    if seed % 10 == 9:                              # at the limit of CONFIG_INIT_ENV_ARG_LIMIT
        n, form = r.randrange(125, 132), r.choice(("w{}", "w{}=1"))
        words = [form.format(i) for i in range(n)]
        words.insert(r.randrange(n), r.choice(("--", "rdinit=/bin/other", "init=/x", "ro", "TERM=a")))
        return " ".join(words)
    return " ".join(word(r) for _ in range(r.randrange(1, 9)))


def tree(program: bytes) -> bytes:
    return archive(record("/bin", 0o040755), record("/dir", 0o040755), record("/init", 0o100755, program),
                   record("/bin/other", 0o100755, program),
                   record("/plain", 0o100644, program), record("/link", 0o120777, b"/init"))


def told(lines: list[str]) -> list[str]:
    """What the kernel says about its command line and about init."""
    marks = ("Unknown kernel command line", "Malformed early option", "check access for rdinit", " as init process",
             "Failed to execute", "Requested init",
             "invalid for parameter", "Unknown parameter", "WARNING: 'bootconfig'", "Kernel panic", "exists but couldn't",
             "Setting init args", "deprecated")
    lines = [re.sub(r"^\[ *\d+\.\d+\] ", "", line) for line in lines]
    return [line for line in lines if any(m in line for m in marks) and not line.startswith(("    ", "Kernel command line"))]


def on_linux(kernel: Kernel, initrd: bytes, line: str) -> tuple[list[str], list[str]]:
    out, console = own_init.run(kernel, initrd, ("ignore_loglevel", "root=0:0", *line.split()))
    got = out.decode("utf-8", "surrogateescape").splitlines()
    return told(console.splitlines()), [g for g in got if not g.startswith(("env kunit", "arg kunit"))]


def on_py(initrd: bytes, line: str) -> tuple[list[str], list[str]]:
    ran: list[str] = []

    def program(argv: list[str], envp: list[str]) -> None:
        ran.extend([f"arg {a}" for a in argv] + [f"env {e}" for e in envp])

    def prepare(m: Any) -> None:
        m.part(Programs).at = dict.fromkeys(("/init", "/bin/other", "/link", "init"), program)

    r = boot_initrd(initrd, cmdline="root=0:0 " + line, tree=False, prepare=prepare, config={"CONFIG_INIT_ENV_ARG_LIMIT": 128})
    return told(r.log), ran


def test_command_lines(kernel: Kernel, tmp_path: Path) -> None:
    source = tmp_path / "init.c"
    source.write_text(PROGRAM)
    initrd = tree(own_init.compiled(source, tmp_path / "init"))
    seed = int(os.environ.get("KEMU_CMDLINE_SEED", "0"))
    wrong = []
    for i in range(int(os.environ.get("KEMU_CMDLINES", "60"))):
        line = cmdline(seed + i)
        linux, here = on_linux(kernel, initrd, line), on_py(initrd, line)
        if linux != here:
            wrong.append(f"seed {seed + i}: {line}\n  Linux {linux}\n  here  {here}")
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:10])
