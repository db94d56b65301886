# SPDX-License-Identifier: GPL-2.0-only
"""Does a series link in every configuration that its Kconfig allows, and for 32 bits?

What it takes from files that a configuration symbol decides about is found in the objects of a build. Each such symbol is
switched off: if what the series adds can still be chosen, its objects are compiled again, and what they then need must be there.
"""
from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from kemu.rung.uml import config
from kemu.rung.uml.build import Kernel, Recipe
from kemu.rung.uml.cache import cache_dir
from kemu.rung.uml.errors import BuildError
from kemu.rung.uml.listing import BUILD_PREFIX
from kemu.rung.uml.make import Say, make, nothing
from kemu.rung.uml.series import Series

# what gcc calls for 64-bit arithmetic on 32-bit machines; the kernel has none of it on purpose (use div64.h)
LIBGCC = {f"__{u}{op}di3" for u in ("", "u") for op in ("div", "mod")} | {"__divmoddi4", "__udivmoddi4"} | {
    f"__aeabi_{u}ldivmod" for u in ("", "u")}
_GATE = r"^\s*([\w-]+)-\$\({0}\)\s*[+:]?=(?:.*\s|)"


def _nm(files: Sequence[Path], *options: str) -> Iterator[tuple[str, str]]:
    """(file, symbol) of ``nm -A``."""
    for i in range(0, len(files), 500):
        done = subprocess.run(["nm", "-A", *options, *map(str, files[i:i + 500])], capture_output=True, text=True,
                              errors="replace")
        for line in done.stdout.splitlines():
            name, _, rest = line.rpartition(":")
            yield name, rest.split()[-1]


def needed(objects: Sequence[Path]) -> dict[str, Path]:
    """Undefined symbol -> the first of the objects that needs it."""
    out: dict[str, Path] = {}
    for file, symbol in _nm(objects, "-u"):
        out.setdefault(symbol, Path(file))
    return out


def definitions(build: Path) -> dict[str, Path]:
    """Global symbol -> the object that defines it, of a whole build."""
    files = [p for p in build.rglob("*.o") if p.name not in ("vmlinux.o", "built-in.o") and not p.name.startswith(".")]
    # a composite object (ld -r) comes after its parts: the part is kept
    out: dict[str, Path] = {}
    for file, symbol in _nm(sorted(files, key=lambda p: p.stat().st_size), "--defined-only", "-g"):
        out.setdefault(symbol, Path(file))
    return out


def gates(source: Path, name: str, depth: int = 0) -> set[str]:
    """Configuration symbols that decide whether ``name`` (an object or a directory, relative) is built."""
    path = Path(name)
    if depth > 8 or str(path) in (".", ""):
        return set()
    makefile = next((f for f in (source / path.parent / "Kbuild", source / path.parent / "Makefile") if f.exists()), None)
    if makefile is None:
        return set()
    text = makefile.read_text(errors="replace").replace("\\\n", " ")
    item = re.escape(path.name + ("/" if (source / path).is_dir() else "")) + r"(?:\s|$)"
    found = {m[2] for m in re.finditer(_GATE.format(r"(CONFIG_\w+)") + item, text, re.M)}
    for m in re.finditer(r"^\s*([\w-]+?)-(?:y|objs|\$\(CONFIG_\w+\))\s*[+:]?=(?:.*\s|)" + item, text, re.M):
        if m[1] not in ("obj", "lib"):          # a part of a composite object
            found |= gates(source, str(path.parent / f"{m[1]}.o"), depth + 1)
    return found | gates(source, str(path.parent), depth + 1)


def _fresh(kernel: Kernel, name: str) -> Path:
    return kernel.source / f"{BUILD_PREFIX}{name}"


def _configure(objects: Path, text: str, *arguments: str) -> dict[str, str | None]:
    objects.mkdir(parents=True, exist_ok=True)
    fragment = objects / ".kemu-fragment"
    fragment.write_text(config.merged(text))
    make(objects, [*arguments, "allnoconfig"], nothing, 1, {"KCONFIG_ALLCONFIG": str(fragment)}, top=objects.parent)
    return config.settings((objects / ".config").read_text())


def touched(series: Series, kernel: Kernel) -> list[str]:
    """The objects of the files that the series changes, as far as this configuration builds them."""
    names = [str(Path(p).with_suffix(".o")) for patch in series.patches for p in patch.touched() if p.endswith(".c")]
    return [n for n in dict.fromkeys(names) if (kernel.objects / n).exists()]


def _before(recipe: Recipe, names: Sequence[str]) -> dict[str, set[str]]:
    """What the same objects needed without the series, where the plain tree has been built."""
    plain = cache_dir() / "work" / f"{recipe.tree.slot()}-plain" / f"{BUILD_PREFIX}{recipe.flavour}"
    return {n: set(needed([plain / n])) for n in names if (plain / n).exists()}


def without(series: Series, kernel: Kernel, recipe: Recipe, say: Say = nothing, jobs: int = 0) -> list[str]:
    """One line for each symbol that an object of the series needs in a configuration that has the object and not the symbol."""
    names = touched(series, kernel)
    defined = definitions(kernel.objects)
    have = kernel.config()
    switches: dict[str, set[str]] = {}          # configuration symbol -> what comes with it
    own: dict[str, set[str]] = {n: gates(kernel.source, n) for n in names}
    before = _before(recipe, names)
    for symbol, user in needed([kernel.objects / n for n in names]).items():
        if symbol in before.get(str(user.relative_to(kernel.objects)), ()):
            continue
        giver = defined.get(symbol)
        if giver is None or not giver.is_relative_to(kernel.objects):
            continue
        mine = own[str(user.relative_to(kernel.objects))]
        for gate in gates(kernel.source, str(giver.relative_to(kernel.objects))) - mine:
            if have.get(gate) == "y":
                switches.setdefault(gate, set()).add(symbol)
    out = []
    objects = _fresh(kernel, "links")
    for gate, symbols in sorted(switches.items()):
        say(f"without {gate}")
        got = _configure(objects, recipe.fragment() + f"# {gate} is not set\n")
        left = [n for n in names if got.get(gate) is None and all(got.get(g) for g in own[n])]
        if not left:
            continue
        try:
            make(objects, left, say, jobs, top=objects.parent)
        except BuildError as e:
            why = (e.output or str(e)).splitlines()[0]
            out.append(f"without {gate}, which it does not depend on, it does not compile: {why}")
            continue
        missing = {s: u for s, u in needed([objects / n for n in left]).items() if s in symbols}
        for symbol, user in sorted(missing.items()):
            giver = defined[symbol].relative_to(kernel.objects)
            options = ", ".join(sorted(own[str(user.relative_to(objects))])) or "what it is built for"
            out.append(f"{user.relative_to(objects)}: undefined reference to {symbol} ({giver}) without {gate}, on which "
                       f"{options} does not depend")
    return out


def on_32_bits(series: Series, kernel: Kernel, recipe: Recipe, say: Say = nothing, jobs: int = 0) -> list[str]:
    """One line for each call of libgcc's 64-bit arithmetic in an object of the series, compiled for i386."""
    objects = _fresh(kernel, "i386")
    names = touched(series, kernel)
    got = _configure(objects, recipe.fragment() + "# CONFIG_64BIT is not set\nCONFIG_X86_32=y\n", "ARCH=i386")
    names = [n for n in names if all(got.get(g) for g in gates(kernel.source, n)) and not n.startswith("arch/")]
    if not names:
        return []
    try:
        make(objects, ["ARCH=i386", *names], say, jobs, top=objects.parent)
    except BuildError as e:
        return [f"for i386 it does not compile: {e.output or e}"]
    return [f"{user.relative_to(objects)}: undefined reference to {symbol} on 32 bits: a division of 64-bit numbers; see "
            f"linux/math64.h"
            for symbol, user in sorted(needed([objects / n for n in names]).items()) if symbol in LIBGCC]


__all__ = ["definitions", "gates", "needed", "on_32_bits", "touched", "without"]
