# SPDX-License-Identifier: GPL-2.0-only
"""The README beside a finding that is taken away: what it is, and the commands that show it on a real kernel."""
from __future__ import annotations

import shlex
from collections.abc import Sequence

from kemu.explore.finding import Finding
from kemu.machine.given import GivenBoot, GivenMount


def readme(f: Finding, given: GivenMount | GivenBoot | None, names: Sequence[str], has_expected: bool, kunit: str, token: str
           ) -> str:
    """Markdown. ``names``: files of the images, or of the initrd; ``kunit``: the folder of the case, or why there is none."""
    where = f.c_location or f.function or "not in one function"
    lines = [f"# {f.title}", "", f"Where: {where}. Found by: {f.detector} ({f.severity}).", "", "What it takes:", "",
             *(f"    {line}" for line in [*(f.input or f.headlines), *f.choices]), ""]
    if isinstance(given, GivenMount):
        lines += ["## On a real kernel", "", *_mount(given, names, has_expected), "", *_of_memory(given)]
    elif given is not None:
        lines += ["## On a real kernel", "", *_boot(given, names), ""]
    if f.choices:
        lines += ["Calls that fail and switches of tasks are part of it (above). A call is made to fail with "
                  "`/proc/self/fail-nth` of a kernel with CONFIG_FAULT_INJECTION; there its number is another one.", ""]
    case = [f"    kemu linux kunit --series {kunit}", f"    kemu linux kunit --series {kunit} --rung c"]
    lines += ["## As a KUnit case", "", *(case if kunit.endswith("/kunit") else [f"There is none: {kunit}."]), ""]
    lines += ["## Again, by kemu", "", f"    kemu replay {token}", f"    kemu replay {token} --trace", "",
              "The options that the kernel needs are in `config`, as a fragment for scripts/kconfig/merge_config.sh.", ""]
    return "\n".join(lines)


def _mount(g: GivenMount, names: Sequence[str], has_expected: bool) -> list[str]:
    options = ["ro", "loop", *([g.options] if g.options else [])]
    before = []
    for i, name in enumerate(names[1:], 1):
        before.append(f"    losetup -r /dev/loop{i} {shlex.quote(name)}")
        options.append(f"device=/dev/loop{i}")
    lines = [*before, f"    mount -t {g.filesystem} -o {shlex.quote(','.join(options))} {shlex.quote(names[0])} /mnt"]
    if has_expected:
        lines.append("    (cd /mnt && find . -type f -exec sha256sum {} +) | sort -k2 | diff expected.sha256 -")
    else:
        lines.append("    find /mnt -type f -exec cat {} + > /dev/null; find /mnt -ls > /dev/null")
    lines.append("    dmesg | tail")
    return lines


def _of_memory(g: GivenMount) -> list[str]:
    image = g.images[0]
    out = []
    if g.page_size != 4096:
        out += [f"The kernel has pages of {g.page_size} bytes.", ""]
    if g.backend not in ("bdev", "fileio"):
        out += [f"It was mounted by the back end {g.backend}: from {image.memory} memory, {image.at} bytes behind a page "
                "boundary. A kernel needs that series.", ""]
    return out


def _boot(g: GivenBoot, names: Sequence[str]) -> list[str]:
    initrd = shlex.quote(names[0]) if names else ""
    words = shlex.quote(g.cmdline)
    lines = [f"    ./linux mem=256M {f'initrd={initrd} ' if initrd else ''}{g.cmdline}",
             f"    qemu-system-x86_64 -m 512 -nographic -kernel bzImage {f'-initrd {initrd} ' if initrd else ''}-append {words}"]
    if g.initrd is not None and g.initrd.at:
        lines += ["", f"The initrd began {g.initrd.at} bytes behind a page boundary; where a boot loader puts it is its own "
                  "choice."]
    if len(names) > 1:
        lines += ["", f"The kernel's own archive is {names[1]} (CONFIG_INITRAMFS_SOURCE)."]
    return lines
