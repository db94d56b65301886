# SPDX-License-Identifier: GPL-2.0-only
"""Names of structures in kemu.linux: a structure has its C name; those in OBJECTS, and no others, are CapWords
(docs/explanation/porting.md, Structures).
"""
from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

TOP = Path(__file__).parents[2]

# what the page cache, the block layer and the VFS pass around, under the name of its tag or a shorter one: the variables of C.
# This list may get shorter.
OBJECTS = frozenset("""
address_space backing_dev_info bio bio_set bio_vec blk_plug block_device buffer_head bvec_iter cred dentry dir_context
fiemap_extent fiemap_extent_info file file_ra_state file_system_type folio_batch folio_iter fs_context fs_parameter fs_struct
gendisk inode iomap iomap_iter iomap_read_folio_ctx iov_iter kiocb kmem_cache kstat kvec mount path pipe_buffer pipe_inode_info
posix_acl qstr queue_limits readahead_control request_queue seq_file super_block user_namespace vfsmount
""".split())

# classes of ours that do what C has functions for: not the structure that they are told to stand for
DECODERS = frozenset(("Inflate", "Lzma2", "LzmaState", "QuickLzma2", "XzDec", "ZstdStream"))


class Class(NamedTuple):
    name: str
    tag: str                # of the structure that it is; "" if it is none of C's
    place: str              # file of the kernel tree
    module: str


def first_line(node: ast.ClassDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def tag_of(node: ast.ClassDef) -> str:
    """The structure that a class is: the name at the start of its docstring, if it is written as C has it."""
    m = re.match(r"``(?:struct )?(\w+)``", first_line(node))
    return m[1] if m else ""


def classes(text: str, module: str) -> list[Class]:
    tree = ast.parse(text)
    of_module = {t.id: s.value.value for s in tree.body if isinstance(s, ast.Assign) and isinstance(s.value, ast.Constant)
                 and isinstance(s.value.value, str)
                 for t in s.targets if isinstance(t, ast.Name)}
    out = []
    for node in tree.body:
        if (not isinstance(node, ast.ClassDef) or node.name.startswith("_")
            or any(ast.unparse(d) == "statics" for d in node.decorator_list)):
            continue
        place = of_module.get("C", of_module.get("P", ""))
        for d in node.decorator_list:
            if isinstance(d, ast.Call) and d.args:
                a = d.args[0]
                place = a.value if isinstance(a, ast.Constant) else of_module.get(ast.unparse(a), place)
        out.append(Class(node.name, tag_of(node), place, module))
    return out


def everything() -> list[Class]:
    return [c for p in sorted((TOP / "kemu/linux").rglob("*.py"))
            if p.relative_to(TOP / "kemu/linux").parts[0] not in ("port", "short")
            for c in classes(p.read_text(), str(p.relative_to(TOP)))]


def wrong(c: Class) -> str:
    """What is wrong with a name; "" if nothing is."""
    if not c.tag or c.name in DECODERS or c.name in (c.tag, f"{c.tag}_t"):
        return "C's variables are called so: CapWords" if c.name == c.tag and c.tag in OBJECTS else ""
    if c.name.lower() != c.tag.replace("_", "").lower():
        return f"is struct {c.tag} and says something else"
    if c.tag not in OBJECTS:
        return f"is struct {c.tag}, whose name is {c.tag}"
    return "" if c.place.startswith("include/") or c.tag == "mount" else f"is private to {c.place}: its name is {c.tag}"


def test_structures_have_their_names() -> None:
    found = everything()
    assert len([c for c in found if c.tag]) > 120
    bad = [f"{c.module}: {c.name} {why}" for c in found if (why := wrong(c))]
    assert not bad, "\n".join(bad)


def test_an_object_that_is_not_there_any_more_is_not_listed() -> None:
    gone = OBJECTS - {c.tag for c in everything() if c.name not in (c.tag, f"{c.tag}_t")}
    assert not gone, gone


def test_a_structure_is_one_class() -> None:
    tags: dict[str, list[str]] = {}
    for c in everything():
        if c.tag and c.name not in DECODERS:
            tags.setdefault(c.tag, []).append(f"{c.module}: {c.name}")
    twice = {t: names for t, names in tags.items() if len(names) > 1}
    assert not twice, twice


def test_a_wrong_name_is_told() -> None:
    def why(text: str) -> str:
        return wrong(classes('P = "include/linux/x.h"\nC = "fs/x.c"\n' + text, "x")[0])

    assert not why('class nameidata:\n    """``struct nameidata``"""')
    assert not why('@dup(P)\nclass SuperBlock:\n    """``struct super_block``: one."""')
    assert not why('class Registry:\n    """The disks of one machine."""')
    assert why('class Nameidata:\n    """``struct nameidata``"""') == "is struct nameidata, whose name is nameidata"
    assert why('@dup(C)\nclass SuperBlock:\n    """``struct super_block``"""') == "is private to fs/x.c: its name is super_block"
    assert why('@dup(P)\nclass Sb:\n    """``struct super_block``"""') == "is struct super_block and says something else"
    assert why('@dup(P)\nclass inode:\n    """``struct inode``"""') == "C's variables are called so: CapWords"
