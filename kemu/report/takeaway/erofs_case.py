# SPDX-License-Identifier: GPL-2.0-only
"""A KUnit case that mounts an EROFS image and looks at it: a C file for fs/erofs that needs nothing beside it."""
from __future__ import annotations

from kemu.report.takeaway.case import KunitCase, c_errno, part


class ErofsCase(KunitCase):
    """A mount: the first image, with the others as its devices. ``error``: the errno's name. Where nothing is known of the tree
    it has to be walked without a report.
    """

    folder = "fs/erofs"

    def _head(self) -> list[str]:
        return [part("includes"), part("erofs_includes")]

    def _body(self) -> list[str]:
        lines = [part("erofs_put")]
        if self.entries is not None and not self.error:
            lines += ["", part("read"), "", part("table"), "", *self._table(), "", part("check")]
        elif not self.error:
            lines += ["", part("read"), "", part("erofs_walk")]
        return [*lines, "", *self._case(), "", part("erofs_setup")]

    def _case(self) -> list[str]:
        devices = [f'device=" T_DIR "/image{i}' for i in range(1, len(self.images))]
        options = ",".join([o for o in (self.options.replace("\\", "\\\\").replace('"', '\\"'), *devices) if o])
        puts = [f"\tT_PUT(test, {i}, {len(image)});" for i, image in enumerate(self.images)]
        # init_mount() takes a page, and ends it itself
        page = [f'static char t_options[PAGE_SIZE] __initdata = "{options}";', ""] if options else []
        call = ['init_mount(T_DIR "/image0", T_MNT, "erofs", SB_RDONLY,', f"\t\t\t {'t_options' if options else 'NULL'})"]
        lines = [*page, "static void __init t_case(struct kunit *test)", "{", "\tint err;", "", *puts, f"\terr = {call[0]}",
                 f"{call[1]};"]
        if self.error or self.entries is not None:
            lines.append(f"\tKUNIT_ASSERT_EQ(test, err, {f'-{c_errno(self.error)}' if self.error else '0'});")
        if self.error:
            return [*lines, "}"]
        if self.entries is not None:
            lines += ["\tfor (int i = 0; i < ARRAY_SIZE(t_entries); i++)", "\t\tt_look(test, &t_entries[i]);"]
        else:
            lines += ["\tif (err)\t\t/* an image that is refused is no report */", "\t\treturn;", "\tt_walk(test, T_MNT, 0);"]
        return [*lines, "\tKUNIT_EXPECT_EQ(test, init_umount(T_MNT, 0), 0);", "}"]
