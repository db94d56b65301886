# SPDX-License-Identifier: GPL-2.0-only
"""Calls of what is gone behind the boot."""
from __future__ import annotations

from kemu.rung.uml.patches import Patch
from kemu.series.static.section import called_later, init_functions

DIFF = """--- a/fs/erofs/super.c
+++ b/fs/erofs/super.c
@@ -10,4 +20,12 @@ static int x(void)
 {
 }
+void __init set_pending(void *data, unsigned long size)
+{
+}
+static int __init *other(void)
+{
+}
+void __init declared(void);
+int late(void)
 }
--- a/fs/erofs/internal.h
+++ b/fs/erofs/internal.h
@@ -1,1 +1,2 @@
 x
+void __init in_a_header(void);
"""
SERIES = [Patch("p", "p", DIFF.encode())]


def test_functions_of_init() -> None:
    assert init_functions(SERIES) == {"set_pending": "fs/erofs/super.c:22", "other": "fs/erofs/super.c:25"}


def test_a_call_is_told_with_both_places() -> None:
    text = "/* other() is not called */\nlong __ref kemu_backend_mount(void)\n{\n\tset_pending(base, size);\n\tlate();\n}\n"
    [found] = called_later(SERIES, "glue.c", text)
    assert (found.tool, found.status) == ("section", "fail")
    assert found.summary.startswith("fs/erofs/super.c:22: set_pending() is __init, and a mount calls it (glue.c:4)")


def test_no_call_is_no_finding() -> None:
    assert list(called_later(SERIES, "glue.c", 'puts("set_pending()"); reset_pending();')) == []
