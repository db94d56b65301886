# SPDX-License-Identifier: GPL-2.0-only
"""Nothing is defined twice: a public constant, function or class has one file that declares it, and everybody else imports it
from there.
"""
from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

TOP = Path(__file__).parents[2]
PACKAGES = ("kemu/linux", "kemu/machine", "erofs_memback", "initramfs")

# name -> why it stands in more than one file
EXCEPTIONS = {
    "C": "the C file of the tags below it: each file has its own",
    "P": "the header, or the C file, of the tags below it: each file has its own",
    "POSTED": "the date of the mail that a file was ported from",
    "BLOCK": "an oracle owes nothing to what it judges",
    "EROFS_SB": "a series has the accessor of C for its own files (docs/explanation/porting.md)",
    "PAGE": "the page size that one experiment or command is about",
    "QUARANTINE": "how many freed pages, and how many freed objects, are kept: two settings",
    "empty_fops": "fs/erofs/ishare.c has a static one of that name in the function",
}

Where = tuple[str, str]         # kind, value or body


def body(node: ast.FunctionDef | ast.ClassDef) -> str:
    """Its statements without the docstring."""
    first = node.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return "\n".join(ast.unparse(s) for s in node.body[told:])


def constants(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, str]]:
    """Names with the text of their values."""
    if isinstance(target, ast.Name):
        yield target.id, ast.unparse(value)
    elif isinstance(target, ast.Tuple):
        for i, t in enumerate(target.elts):
            if isinstance(value, ast.Tuple):
                yield from constants(t, value.elts[i])
            elif isinstance(t, ast.Name):
                yield t.id, f"{i} of {ast.unparse(value)}"


def definitions(tree: ast.Module) -> Iterator[tuple[str, Where]]:
    """The public names that a file defines itself."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, ("function", f"{ast.unparse(node.args)}\n{body(node)}")
        elif isinstance(node, ast.ClassDef):
            yield node.name, ("class", body(node))
        elif isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith("TypeVar("):
            for target in node.targets:
                for name, value in constants(target, node.value):
                    yield name, ("constant", value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            for name, value in constants(node.target, node.value):
                yield name, ("constant", value)


def twice(files: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """Name -> the files (path -> text, and what its module has) that define it in the same way. Numbers and text are compared by
    value, the rest by text.
    """
    found: dict[tuple[str, Where], list[str]] = {}
    for path, (text, has) in files.items():
        for name, (kind, same) in dict(definitions(ast.parse(text))).items():
            value = has[name]
            if kind == "constant" and isinstance(value, (int, str, bytes, tuple)):
                same = repr(value)
            if not name.startswith("_"):
                found.setdefault((name, (kind, same)), []).append(path)
    return {name: paths for (name, _), paths in found.items() if len(paths) > 1}


@cache
def tree() -> dict[str, tuple[str, Mapping[str, Any]]]:
    out = {}
    for path in sorted(p for package in PACKAGES for p in (TOP / package).rglob("*.py") if not p.name.startswith("_cdefs")):
        parts = path.relative_to(TOP).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        out[str(path.relative_to(TOP))] = path.read_text(), vars(importlib.import_module(module))
    return out


def test_nothing_is_defined_twice() -> None:
    found = twice(tree())
    bad = [f"{name}: {', '.join(paths)}" for name, paths in sorted(found.items()) if name not in EXCEPTIONS]
    assert not bad, "\n".join(bad)


def test_every_exception_is_one() -> None:
    assert not EXCEPTIONS.keys() - twice(tree()).keys()


# name -> why another file has what is spelt nearly so
SPELT = {
    **dict.fromkeys(("_bunzip2", "_gunzip", "_unlz4", "_unlzma", "_unlzo", "_unxz", "_unzstd"),
                    "loads that decompressor when such data comes"),
    "_kern_path": "its answer, or the error, for the callers of fs/namespace.c",
    "_names": "of libzstd's errors; names() of the tags is something else",
    "_rootfs_init_fs_context": "ramfs, where no port of init/do_mounts.c says what rootfs is",
}


def spelt(name: str) -> str:
    """What two spellings of a name have in common: ``PipeInodeInfo`` and ``pipe_inode_info``."""
    return name.replace("_", "").lower()


def spellings(files: Mapping[str, tuple[str, Mapping[str, Any]]]) -> dict[str, list[str]]:
    """What stands in two files under one name or two spellings of it, whatever its value: classes; constants that are equal; and
    a private function of one file whose name another file has for everybody. ``name -> files``, by the spelling that is not
    public or not the last.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    public: dict[str, str] = {}
    private: dict[str, list[tuple[str, str]]] = {}
    for path, (text, has) in files.items():
        for name, (kind, _) in dict(definitions(ast.parse(text))).items():
            value = has.get(name)
            if kind == "class" and isinstance(value, type):
                if not any(spelt(base.__name__) == spelt(name) for base in value.__bases__):
                    found.setdefault((spelt(name), "class"), {})[path] = name
            elif kind == "constant" and type(value) in (int, str, bytes) and not name.startswith("__") and len(name) > 1:
                found.setdefault((spelt(name), repr(value)), {})[path] = name
            elif kind == "function" and not name.startswith("_"):
                public[name] = path
            elif kind == "function" and not name.startswith("__"):
                private.setdefault(name[1:], []).append((name, path))
    out = {min(names.values()): sorted(names) for names in found.values() if len(names) > 1}
    for name, own in private.items():
        for mine, path in own:
            if public.get(name, path) != path:
                out[mine] = sorted([path, public[name]])
    return out


def kernel() -> dict[str, tuple[str, Mapping[str, Any]]]:
    """What stands for C: the emulated kernel and the ports, without what stands around them."""
    return {path: x for path,
            x in tree().items() if path.startswith(("kemu/linux/", "erofs_memback/", "initramfs/")) and "/harness/" not in path}


def test_nothing_is_defined_under_two_spellings() -> None:
    bad = [f"{name}: {', '.join(paths)}" for name, paths in sorted(spellings(kernel()).items())
           if name not in SPELT and name not in EXCEPTIONS]
    assert not bad, "\n".join(bad)


def test_every_spelling_that_is_excepted_is_one() -> None:
    assert not SPELT.keys() - spellings(kernel()).keys()


def test_a_second_spelling_is_found() -> None:
    a = "class PipeInodeInfo:\n    n = 1\nEND_AT = 7\ndef alloc_file(x):\n    return x\nclass base:\n    pass\n"
    b = "class pipe_inode_info:\n    m = 2\n_end_at = 7\ndef _alloc_file(x):\n    return 2 * x\nclass other:\n    pass\n"
    assert spellings({"a.py": (a, run(a)), "b.py": (b, run(b))}) == {n: ["a.py", "b.py"]
                                                                     for n in ("PipeInodeInfo", "END_AT", "_alloc_file")}
    a, b = ("END_AT = 7\ndef alloc(x):\n    return x\ndef _alloc(x):\n    return x\n",
            "end_at = 8\ndef __alloc(x):\n    return x\n")
    assert not spellings({"a.py": (a, run(a)), "b.py": (b, run(b))})


def run(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"TypeVar": TypeVar}
    exec(text, names)
    return names


def test_what_is_defined_twice_is_found() -> None:
    a = ("X = 1 << 4\nA, B = range(2)\nT = TypeVar('T')\ndef f(x):\n    '''Here.'''\n    return x + X\nclass c:\n    n = "
         "1\n_own = 3\nE = 5\n")
    b = ("X = 0x10\nB = 1\nA, C = range(2)\nT = TypeVar('T')\ndef f(x):\n    return x + X\nclass c:\n    '''There.'''\n    n = "
         "1\n_own = 3\nE: int = 5\n")
    assert twice({"a.py": (a, run(a)), "b.py": (b, run(b))}) == {n: ["a.py", "b.py"] for n in ("X", "A", "B", "f", "c", "E")}
    a, b = "X = 1\ndef f(x):\n    return x\n", "from sys import maxsize as X\ndef f(x, y):\n    return x\nY = 1\n"
    assert not twice({"a.py": (a, run(a)), "b.py": (b, run(b))})
