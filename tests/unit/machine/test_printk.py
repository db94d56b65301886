# SPDX-License-Identifier: GPL-2.0-only
"""C's format strings."""
from __future__ import annotations

import pytest

from kemu.linux.err import ERR_PTR
from kemu.linux.printk import KERN_INFO, VaFormat, pr_err, printk, vsprintf


@pytest.mark.parametrize("fmt,args,want", [
    ("%d", (-5,), "-5"), ("%u", (-1,), "4294967295"), ("%llu", (-1,), "18446744073709551615"), ("%x", (255,), "ff"),
    ("%08x", (0xABC,), "00000abc"), ("%lu %ld", (1 << 63, 1 << 63), "9223372036854775808 -9223372036854775808"),
    ("%pe", (ERR_PTR(-12),), "-ENOMEM"), ("%s|%5s|%-5s|", ("a", "b", b"c"), "a|    b|c    |"), ("%.3s", ("abcdef",), "abc"),
    ("%o", (0o644,), "644"), ("100%%", (), "100%"), ("%*d", (4, 7), "   7"), ("%c%c", (1, "x"), "\x01x"),
    ("%s", (None,), "(null)"),
    ("%pV!", (VaFormat("%d-%s", (3, "x")),), "3-x!"), ("%hhu", (257,), "1"), ("%#x", (16,), "0x10"),
])
def test_vsprintf(fmt, args, want):
    assert vsprintf(fmt, args) == want


def test_levels(machine):
    pr_err("bad\n")
    printk(KERN_INFO + "fine %d\n", 1)
    assert [(lvl, t) for _, lvl, t in machine.log.entries] == [(3, "bad"), (6, "fine 1")]
