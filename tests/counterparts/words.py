# SPDX-License-Identifier: GPL-2.0-only
"""What a word of both languages is, and what one of them has because it is that language (docs/explanation/porting.md)."""
from __future__ import annotations

import re
from collections.abc import Iterable

from kemu.report.samecheck.ctext import ERRNOS

# conversions, cells, the machine's parameters and statics, Python's own: there is no name for them in C, or C says it with a cast
SILENT = frozenset("""
    u8 u16 u32 u64 s8 s16 s32 s64 uint ulong loff_t size_t pgoff_t sector_t erofs_off_t erofs_blk_t erofs_nid_t
    Ref ptr_to v self arch g NULL None True False true false cast Any BITS_PER_LONG SIZE Labels label goto return const struct
    unsigned long char void static
    READ_ONCE WRITE_ONCE likely unlikely inline if else for while do switch case default break continue sizeof nbytes copy
    le16_to_cpu le32_to_cpu le64_to_cpu cpu_to_le16 cpu_to_le32 cpu_to_le64 IS_ENABLED config_value mem_read get_char c_path super
    __init__
""".split())


BUILTINS = frozenset("len range int bool bytes bytearray str list tuple dict set isinstance enumerate reversed zip min max any "
                     "all next iter sorted".split())
_NUMBER = re.compile(r"_[A-Z0-9_]+|CONFIG_\w+")         # a sizeof that is computed once; what is compiled in
_CAPWORDS = re.compile(r"[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)*")


def of_names(names: Iterable[str]) -> frozenset[str]:
    """The words among names: ``len_`` is C's len, ``BioVec`` its bio_vec, ``spin_lock`` is what spin_lock_irqsave() is; errnos
    are ``kemu port check``'s.
    """
    return frozenset(w for w in (_word(n) for n in names if n not in SILENT and not _NUMBER.fullmatch(n)) if w and w not in SILENT
                     and w not in ERRNOS)


def _word(name: str) -> str:
    name = name.strip("_") or name
    if _CAPWORDS.fullmatch(name):
        return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    return re.sub(r"^struct_(?=\w)|(?<=lock)_(?:irqsave|irqrestore|irq|bh)$", "", name)
