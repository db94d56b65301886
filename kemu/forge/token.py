# SPDX-License-Identifier: GPL-2.0-only
"""Tokens of forged inputs: ``e1-7fq2-0c`` is everything needed to make the same bytes again.

``KIND VERSION - SEED [- OPTIONS] - CHECK``: kind e (EROFS), c (cpio), i (initrd); the version of the generator; the seed in base
32; options as letters with numbers; two characters that catch typing mistakes. What a token makes depends on nothing else: not on
the process, nor on PYTHONHASHSEED.
"""
from __future__ import annotations

import re
from binascii import crc32
from dataclasses import dataclass, replace

from kemu.forge.compressors import COMPRESSORS
from kemu.forge.cpio_choose import CpioArchive, CpioOptions, break_cpio, choose_cpio
from kemu.forge.erofs.choose import ErofsOptions, choose_image
from kemu.forge.erofs.image import ErofsImage
from kemu.forge.erofs.mutate import CorruptImage, mutate
from kemu.forge.erofs.plan import LAYOUTS
from kemu.forge.initrd import Initrd, InitrdOptions, choose_initrd
from kemu.forge.pick import Pick, SeedValues

#: changes whenever the same seed would give other bytes
VERSION = 1

KINDS = {"erofs": "e", "cpio": "c", "initrd": "i"}
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"            # no i, l, o, u
_ALIASES = str.maketrans("ilo", "110")

#: what a token may be compressed with: always all of them, so that a token means the same everywhere
METHODS = tuple(COMPRESSORS)

Forged = ErofsImage | CorruptImage | CpioArchive | Initrd


class TokenError(ValueError):
    """Not a token, or one that this version cannot follow; the message is one line."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a token says.

    block_bits  EROFS: one block size (0: the default choice)
    layout      EROFS: one data layout ("" : all)
    damage      mutations of an image, breaks of an archive (0: none)
    nodes       EROFS: names in the tree (0: the default)
    flaws       EROFS: inodes that lookup refuses
    beyond      EROFS: what fsck.erofs cannot read and Linux can
    plain       EROFS: only layouts that mkfs.erofs makes too
    """

    kind: str
    seed: int
    block_bits: int = 0
    layout: str = ""
    damage: int = 0
    nodes: int = 0
    flaws: bool = False
    beyond: bool = False
    plain: bool = False

    def options(self) -> str:
        """The option letters of the token."""
        out = f"b{self.block_bits}" if self.block_bits else ""
        out += f"l{LAYOUTS.index(self.layout)}" if self.layout else ""
        out += f"d{self.damage}" if self.damage else ""
        out += f"n{self.nodes}" if self.nodes else ""
        return out + ("f" if self.flaws else "") + ("h" if self.beyond else "") + ("m" if self.plain else "")

    def token(self) -> str:
        """The token."""
        seed, text = self.seed, ""
        while seed or not text:
            text = _DIGITS[seed & 31] + text
            seed >>= 5
        body = f"{KINDS[self.kind]}{VERSION}-{text}" + (f"-{self.options()}" if self.options() else "")
        return f"{body}-{_check(body)}"

    def erofs_options(self) -> ErofsOptions:
        """The EROFS generator's options."""
        o = ErofsOptions(flaws=self.flaws, beyond_fsck=self.beyond, odd=not self.plain)
        if self.block_bits:
            o = replace(o, block_bits=(self.block_bits,))
        if self.layout:
            o = replace(o, layouts=(self.layout,))
        if self.nodes:
            o = replace(o, max_nodes=self.nodes)
        return o

    def forge(self) -> Forged:
        """Make it. ``MissingLibrary`` where it needs a library that is not here."""
        pick = Pick(SeedValues(self.seed))
        label = self.token()
        if self.kind == "erofs":
            image = choose_image(pick, self.erofs_options(), label)
            return mutate(image, pick, self.damage) if self.damage else image
        if self.kind == "cpio":
            archive = choose_cpio(pick, CpioOptions(methods=METHODS), label=label)
            return break_cpio(archive, pick, self.damage, METHODS) if self.damage else archive
        options = InitrdOptions(cpio=CpioOptions(max_segments=2, max_members=4, methods=METHODS),
                                erofs=replace(self.erofs_options(), max_nodes=self.nodes or 4))
        return choose_initrd(pick, options, label)


def _check(body: str) -> str:
    crc = crc32(body.encode())
    return _DIGITS[crc & 31] + _DIGITS[crc >> 5 & 31]


def parse(token: str) -> Recipe:
    """The recipe behind ``token``. Raises TokenError."""
    text = token.strip().lower()
    m = re.fullmatch(r"([a-z])(\d+)-([0-9a-z]+)(?:-([a-z0-9]+))?-([0-9a-z]{2})", text)
    if m is None:
        raise TokenError(f"{token!r} is not a token of the forge (they look like {Recipe('erofs', 7).token()})")
    letter, version, seed_text, options, check = m.groups()
    seed_text, check = seed_text.translate(_ALIASES), check.translate(_ALIASES)
    body = f"{letter}{version}-{seed_text}" + (f"-{options}" if options else "")
    if letter not in KINDS.values() or any(c not in _DIGITS for c in seed_text) or _check(body) != check:
        raise TokenError(f"token {token!r} has a typing mistake (its last two characters do not fit the rest)")
    if int(version) != VERSION:
        raise TokenError(f"token {token!r} was made by version {version} of the forge, this is version {VERSION}")
    seed = 0
    for c in seed_text:
        seed = seed << 5 | _DIGITS.index(c)
    recipe = Recipe(next(k for k, v in KINDS.items() if v == letter), seed)
    for name, number in re.findall(r"([a-z])(\d*)", options or ""):
        n = int(number or 0)
        if name == "b" and 9 <= n <= 16:
            recipe = replace(recipe, block_bits=n)
        elif name == "l" and n < len(LAYOUTS):
            recipe = replace(recipe, layout=LAYOUTS[n])
        elif name == "d":
            recipe = replace(recipe, damage=n)
        elif name == "n":
            recipe = replace(recipe, nodes=n)
        elif name == "f" and not number:
            recipe = replace(recipe, flaws=True)
        elif name == "h" and not number:
            recipe = replace(recipe, beyond=True)
        elif name == "m" and not number:
            recipe = replace(recipe, plain=True)
        else:
            raise TokenError(f"token {token!r} has an unknown option {name}{number}")
    return recipe
