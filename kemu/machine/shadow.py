# SPDX-License-Identifier: GPL-2.0-only
"""What the shadow says of a byte of memory: one code each, KASAN's where KASAN has one."""

OK = 0x00
UNINIT = 0x01
CONST = 0x02
FREE_PAGE = 0xFF        # KASAN_PAGE_FREE
PAGE_REDZONE = 0xFE     # KASAN_PAGE_REDZONE
SLAB_REDZONE = 0xFC     # KASAN_SLAB_REDZONE
SLAB_FREE = 0xFB        # KASAN_SLAB_FREE
GLOBAL_REDZONE = 0xF9   # KASAN_GLOBAL_REDZONE
STACK_REDZONE = 0xF1    # KASAN_STACK_LEFT
RELEASED_INIT = 0xE1    # init memory after it was given back
NOT_PRESENT = 0xE0      # no memory there

BAD_KIND = {
    FREE_PAGE: "use-after-free",
    PAGE_REDZONE: "out-of-bounds",
    SLAB_REDZONE: "slab-out-of-bounds",
    SLAB_FREE: "slab-use-after-free",
    GLOBAL_REDZONE: "global-out-of-bounds",
    STACK_REDZONE: "stack-out-of-bounds",
    RELEASED_INIT: "use-after-free",
    NOT_PRESENT: "wild-memory-access",
}

ONLY_UNINIT = bytes(1 if i == UNINIT else 0 for i in range(256))       # a table for bytes.translate()
