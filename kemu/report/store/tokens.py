# SPDX-License-Identifier: GPL-2.0-only
"""Tokens that would be too long to type: a short one stands for them, what it stands for is kept."""
from __future__ import annotations

from kemu.explore import token
from kemu.report.store.folder import state_dir, write

LONGEST = 39


def keep(text: str) -> str:
    """The token itself, or a short one for it, whose meaning is on disk afterwards (``OSError``: it could not be written)."""
    if len(text) <= LONGEST:
        return text
    short = token.short(text)
    path = state_dir() / "tokens" / short
    if not path.exists():
        write(path, text + "\n")
    return short


def whole(text: str) -> str:
    """The token that a short one stands for; any other as it is. ``TokenError``: it is not known here."""
    short = token.normal(text)
    if not token.is_short(short):
        return text
    try:
        long = (state_dir() / "tokens" / short).read_text().strip()
    except (OSError, ValueError):
        raise token.TokenError(f"{text}: the choices of this token are kept where it was found, not here; there: kemu findings "
                               f"export {text} -o FILE, "
                               "here: kemu replay FILE") from None
    if token.short(long) != short:
        raise token.TokenError(f"{text}: what is kept for this token is damaged")
    return long
