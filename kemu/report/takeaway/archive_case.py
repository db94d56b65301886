# SPDX-License-Identifier: GPL-2.0-only
"""A KUnit case that unpacks an archive and looks at the tree: a C file for init that needs nothing beside it."""
from __future__ import annotations

from kemu.report.takeaway.case import KunitCase, part
from kemu.report.takeaway.ctext import string


class ArchiveCase(KunitCase):
    """An archive that is unpacked into the root. ``error``: what unpack_to_rootfs() says. Where nothing is known of the tree it
    has to be unpacked without a report.
    """

    folder = "init"

    def _head(self) -> list[str]:
        return [part("includes"), part("archive_includes")]

    def _body(self) -> list[str]:
        lines = [part("archive_unpack")]
        known = [e for e in self.entries or () if e["path"] != "/"]
        if known:
            self.entries = known
            lines += ["", part("read"), "", part("table"), "", *self._table(), "", part("check")]
        lines += ["", "static void __init t_case(struct kunit *test)", "{",
                  f"\tconst char *said = t_unpack(test, {len(self.images[0])});", ""]
        if self.error:
            lines += ["\tKUNIT_ASSERT_NOT_NULL(test, said);", f"\tKUNIT_EXPECT_STREQ(test, said, {string(self.error)});"]
        elif self.entries is not None:
            lines.append("\tKUNIT_EXPECT_PTR_EQ(test, said, NULL);")
        else:
            lines.append('\tkunit_info(test, "it says: %s", said ?: "nothing");')
        if known:
            lines += ["\tfor (int i = 0; i < ARRAY_SIZE(t_entries); i++)", "\t\tt_look(test, &t_entries[i]);"]
        return [*lines, "}", "", part("archive_setup")]
