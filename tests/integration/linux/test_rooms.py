# SPDX-License-Identifier: GPL-2.0-only
"""Where things stand in kemu.linux: the tag of a function is its file, the rooms are the kernel's, and no circle of imports is
hidden.
"""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kemu.cli.api import load as symbols
from tests.integration.linux import untagged

TOP = Path(__file__).parents[3]
ROOMS = ("arch", "lib", "kernel", "mm", "block", "fs", "drivers", "security", "init")
OWN = ("port", "short")         # rooms of what Linux has not


def modules() -> dict[str, Path]:
    out = {}
    for path in sorted((TOP / "kemu/linux").rglob("*.py")):
        parts = path.relative_to(TOP).with_suffix("").parts
        out[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return out


def place(c_file: str) -> str:
    """The module in which a body of ``c_file`` stands."""
    parts = re.sub(r"\.[ch]$", "", c_file).replace("-", "_").split("/")
    return ".".join(["kemu", "linux", *(p + "_" if p == "async" else p for p in parts)])


def room(module: str) -> str:
    return module.split(".")[2] if module.count(".") > 1 else ""


def wrong(module: str, c_file: str, honesty: str) -> str:
    """Why a symbol with this tag may not stand in ``module``; "" if it may."""
    if room(module) in OWN:
        return ("" if honesty != "dup" or c_file.startswith("Documentation/")
                else "what Linux has does not stand in a room of what it has not")
    if c_file.startswith("include/"):
        return "" if room(module) not in ROOMS else "a header's function does not stand in a room"
    if room(module) in ROOMS or c_file.split("/")[0] in ROOMS:
        return "" if module == place(c_file) else f"is {place(c_file)}"
    return f"{c_file} is no file of a room"


def test_the_tag_of_a_function_is_its_file() -> None:
    bad = [f"{s.module}.{s.name}: @{s.honesty}({s.path}): {why}" for s in symbols() if s.module.startswith("kemu.linux.")
           and (why := wrong(s.module, s.path, s.honesty))]
    assert not bad, "\n".join(bad)


def test_a_function_in_a_wrong_file_is_told() -> None:
    assert not wrong("kemu.linux.mm.filemap", "mm/filemap.c", "dup")
    assert not wrong("kemu.linux.kernel.async_", "kernel/async.c", "dup")
    assert not wrong("kemu.linux.fs.iomap.buffered_io", "fs/iomap/buffered-io.c", "dup")
    assert wrong("kemu.linux.mm.readahead", "mm/filemap.c", "dup") == "is kemu.linux.mm.filemap"
    assert wrong("kemu.linux.pagemap", "mm/filemap.c", "custom") == "is kemu.linux.mm.filemap"
    assert wrong("kemu.linux.fs.inode", "include/linux/fs.h", "dup")
    assert wrong("kemu.linux.port.goto", "mm/filemap.c", "dup")


def misplaced(module: str, files: list[str]) -> bool:
    """Does the kernel have an untagged function of this module in other files only?"""
    return bool(files) and module not in map(place, files)


# untagged functions that do not stand in the file in which the kernel has them. This list may get shorter.
ELSEWHERE = frozenset("""
kemu.linux.lib.decompress_inflate.zlib_inflateInit2
kemu.linux.fs.file_table.put_file_access
kemu.linux.fs.namei.is_local_mountpoint
kemu.linux.fs.overlayfs.inode.ovl_get_inode_acl
kemu.linux.fs.overlayfs.inode.ovl_get_acl
kemu.linux.fs.overlayfs.util.ovl_get_opaquedir_val
kemu.linux.fs.overlayfs.util.ovl_is_impuredir
kemu.linux.fs.overlayfs.util.ovl_upper_is_whiteout
kemu.linux.fs.posix_acl.posix_acl_type
""".split())


def test_an_untagged_function_stands_where_the_kernel_has_it() -> None:
    table = untagged.read()
    bad = {f"{module}.{name}" for module, name in untagged.functions() if misplaced(module, table.get(name, []))}
    assert not bad - ELSEWHERE, sorted(bad - ELSEWHERE)
    assert not ELSEWHERE - bad, sorted(ELSEWHERE - bad)


def test_the_table_has_every_untagged_function_and_no_other() -> None:
    """If not: ``python -m tests.integration.linux.untagged``, with a kernel tree in the cache."""
    assert untagged.read().keys() == {name for _, name in untagged.functions()}


def test_an_untagged_function_in_a_wrong_file_is_told() -> None:
    assert misplaced("kemu.linux.fs.namei", ["fs/inode.c"]) and misplaced("kemu.linux.fs.inode", ["include/linux/fs.h"])
    assert not misplaced("kemu.linux.fs.inode", ["fs/inode.c"]) and not misplaced("kemu.linux.fs.inode", ["fs/x.c", "fs/inode.c"])
    assert not misplaced("kemu.linux.fs.inode", [])             # the kernel has no function of that name


def type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(path: Path, inside: bool) -> Iterator[tuple[ast.ImportFrom | ast.Import, str]]:
    """Imports of a file (``inside``: in its functions) with their first line's text; those for type checkers are left out."""
    text = path.read_text()
    lines = text.split("\n")

    def look(node: ast.AST, function: bool) -> Iterator[tuple[ast.ImportFrom | ast.Import, str]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt) and type_checking(child):
                continue
            if isinstance(child, ast.Import | ast.ImportFrom) and function == inside:
                yield child, lines[child.lineno - 1]
            yield from look(child, function or isinstance(child, ast.FunctionDef | ast.Lambda))

    yield from look(ast.parse(text), False)


def targets(node: ast.ImportFrom | ast.Import, known: dict[str, Path]) -> Iterator[str]:
    for alias in node.names:
        name = alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
        yield name if name in known else name.rpartition(".")[0]


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """One way round for each circle that a walk meets."""
    done: set[str] = set()
    out: list[list[str]] = []

    def walk(node: str, path: list[str]) -> None:
        if node in path:
            out.append([*path[path.index(node):], node])
            return
        if node in done:
            return
        for other in sorted(edges.get(node, ())):
            walk(other, [*path, node])
        done.add(node)

    for node in sorted(edges):
        walk(node, [])
    return out


def test_modules_do_not_import_each_other_in_circles() -> None:
    known = modules()
    edges = {m: {t for node, _ in imports(path, False) for t in targets(node, known) if t in known and t != m}
             for m, path in known.items()}
    assert not circles(edges), "\n".join(" -> ".join(c) for c in circles(edges))


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]


@pytest.mark.parametrize("package", ["kemu", "erofs_memback", "initramfs"])
def test_an_import_inside_a_function_says_why(package: str) -> None:
    files = [p for p in sorted((TOP / package).rglob("*.py")) if not p.name.startswith("_cdefs")]
    bad = [f"{path.relative_to(TOP)}:{node.lineno}: {line.strip()}" for path in files
           for node, line in imports(path, True) if not re.search(r"#.*\(.+\)|#(?! noqa).+", line)]
    assert not bad, "\n".join(bad)


def test_no_folder_is_a_flat_room() -> None:
    """At most 60 files in a folder; kemu/linux itself has the faces of headers."""
    counts = {d: len(list(d.glob("*.py"))) for p in ("kemu", "erofs_memback", "initramfs", "tests", "benchmarks")
              for d in [TOP / p, *(TOP / p).rglob("*/")]}
    assert not [str(d.relative_to(TOP)) for d, n in counts.items() if n > 60 and d != TOP / "kemu/linux"]


def test_long_files_follow_one_c_file() -> None:
    """A file of more than 600 lines stands beside one file of the kernel tree: all its tags name that file."""
    tags: dict[str, set[str]] = {}
    for s in symbols():
        tags.setdefault(s.module, set()).add(place(s.path))
    bad = []
    for path in sorted(p for package in ("kemu", "benchmarks") for p in (TOP / package).rglob("*.py")):
        n = path.read_text().count("\n")
        module = ".".join(path.relative_to(TOP).with_suffix("").parts)
        if n > 600 and len(tags.get(module, ())) != 1:
            bad.append(f"{path.relative_to(TOP)}: {n} lines")
    assert not bad, "\n".join(bad)


def test_a_file_of_a_room_says_which_file_of_linux_it_is() -> None:
    bad = []
    for module, path in modules().items():
        if room(module) in ROOMS and path.name != "__init__.py" and not path.name.startswith("_cdefs"):
            said = re.findall(rf"\b(?:{'|'.join(ROOMS)})/[\w/.-]+\.[ch]\b", ast.get_docstring(ast.parse(path.read_text())) or "")
            if module not in map(place, said):
                bad.append(f"{module}: {said}")
    assert not bad, "\n".join(bad)
