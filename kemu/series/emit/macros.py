# SPDX-License-Identifier: GPL-2.0-only
"""What the tree's declarations cannot say: the types of some macros, as a table. Whatever is not here is read from the macro."""
from __future__ import annotations

from kemu.series.emit.ctype import BOOL, INT, VOIDP, CType, base, ptr

_ULONG = base("unsigned long")

# macro -> the type of what it gives
MACRO_TYPES: dict[str, CType] = {
    "BIT_ULL": base("u64"), "GENMASK_ULL": base("u64"), "BIT": _ULONG, "GENMASK": _ULONG, "IS_ENABLED": BOOL,
    "PAGE_ALIGN": _ULONG, "ilog2": INT, "roundup_pow_of_two": _ULONG, "in_range": BOOL, "in_range32": BOOL,
    "IS_DAX": BOOL, "S_ISREG": BOOL, "S_ISDIR": BOOL, "S_ISLNK": BOOL, "S_ISBLK": BOOL, "PAGE_SIZE": _ULONG, "PAGE_SHIFT": INT,
    "PAGE_MASK": base("long"), "mutex_trylock": INT, "kmap_local_page": VOIDP, "check_add_overflow": BOOL,
    "erofs_pos": base("u64"), "erofs_blknr": base("u64"), "erofs_blkoff": base("unsigned int"), "test_opt": base("unsigned int"),
    "erofs_iblks": base("u64"), "page_folio": ptr(base("struct folio")), "folio_page": ptr(base("struct page")),
    "virt_to_page": ptr(base("struct page")), "offset_in_page": _ULONG,
    "page_private": _ULONG, "current_cred": ptr(base("struct cred")), "compound_head": ptr(base("struct page")),
}

# macros that give what their first argument is
LIKE_FIRST = {"round_up", "round_down", "ALIGN", "ALIGN_DOWN", "roundup", "rounddown", "DIV_ROUND_UP", "DIV_ROUND_UP_POW2",
              "xchg", "cmpxchg"}

# functions and macros whose arguments are places: the number of the argument that is one
PLACES = {"set_bit": 1, "clear_bit": 1, "test_bit": 1, "test_and_set_bit": 1, "wait_on_bit_lock": 0, "clear_and_wake_up_bit": 1,
          "wait_on_bit": 0}
