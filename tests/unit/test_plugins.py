# SPDX-License-Identifier: GPL-2.0-only
"""kemu knows no port: what a port adds comes by entry points."""
from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.cli.common import subcommands
from kemu.plugins import installed_modules, installed_objects, load_object, ported_packages
from kemu.rung.py.backend import GROUP, Backend, UnknownBackend, find, names_of
from tests.samples import TOP

COMMAND = '''
from kemu.cli.common import CommandError

HELP = "says its argument"

def add_arguments(parser):
    parser.add_argument("word")

def run(args):
    if args.word == "no":
        raise CommandError("ENOENT (No such file or directory): no", 1)
    print(args.word)
    return 0
'''
PORT = '''
from kemu.linux.port.honesty import port_of

@port_of("fs/other/inode.c", "other_iget")
def other_iget():
    return 0
'''
BACKEND = '''
from kemu.rung.py.backend import Backend
from kemu.rung.py.disks import Disks

class Slow(Backend):
    name = "slow"
    help = "a disk that answers later"

    def open(self, images, medium):
        medium.completion = "kworker"
        return Disks.open(images, medium, pad=4096)

SLOW = Slow()
NONE = 1
'''


def test_no_module_of_kemu_names_a_port() -> None:
    ports = ("erofs_memback", "initramfs")
    found = []
    for path in sorted((TOP / "kemu").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [a.name for a in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
                  and isinstance(node.args[0].value, str)):
                names = ([node.args[0].value] if ast.unparse(node.func).endswith(("import_module", "__import__", "find_spec"))
                         else [])
            found += [f"{path}:{node.lineno}: {n}" for n in names if n.partition(".")[0] in ports]
    assert found == []


def test_what_is_installed() -> None:
    assert {"erofs_memback", "initramfs"} <= set(ported_packages())
    assert {"mount", "demo", "boot", "compare"} <= {name for name, _ in installed_modules("kemu.commands")}
    assert subcommands()["mount"].startswith("erofs_memback.") and subcommands()["fuzz"] == "kemu.cli.fuzz"


def kemu(where: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "kemu", *args], cwd=where, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([str(where), str(TOP)])})


def test_a_port_in_a_folder_of_its_own_brings_a_command_and_its_pins(tmp_path: Path) -> None:
    (tmp_path / "otherport").mkdir()
    (tmp_path / "otherport" / "__init__.py").write_text("")
    (tmp_path / "otherport" / "command.py").write_text(COMMAND)
    (tmp_path / "otherport" / "inode.py").write_text(PORT)
    (tmp_path / "otherport" / "pins.json").write_text('{"fs/other/inode.c:other_iget": "0123456789abcdef"}')
    info = tmp_path / "otherport-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: otherport\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[kemu.commands]\nother = otherport.command\nfuzz = "
                                           "otherport.command\n\n[kemu.ports]\nother = otherport\n")
    p = kemu(tmp_path, "other", "yes")
    assert (p.returncode, p.stdout, p.stderr) == (0, "yes\n", "")
    p = kemu(tmp_path, "other", "no")
    assert (p.returncode, p.stderr) == (1, "kemu: other: ENOENT (No such file or directory): no\n")
    assert "says its argument" in kemu(tmp_path, "--help").stdout
    assert "other_iget" in kemu(tmp_path, "port", "list").stdout
    assert "list the experiments" in kemu(tmp_path, "fuzz", "--help").stdout          # kemu's own commands stay kemu's


def test_a_command_whose_module_is_not_there_is_one_line(tmp_path: Path) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[kemu.commands]\nbroken = nowhere.command\n")
    p = kemu(tmp_path, "broken")
    assert p.returncode == 3 and p.stdout == "" and len(p.stderr.splitlines()) == 1 and "nowhere" in p.stderr
    p = kemu(tmp_path, "--help")
    assert p.returncode in (0, 3) and "Traceback" not in p.stderr


def test_every_backend_that_is_installed_is_one() -> None:
    assert names_of("erofs") == ["bdev", "dax", "fileio", "memback", "memback-rfc"] and names_of("nothing") == []
    for name, where in installed_objects(GROUP):
        backend = load_object(where)
        filesystem, _, short = name.partition(".")
        assert isinstance(backend, Backend) and backend is find(filesystem, short)
        assert backend.name == short and backend.help and "\n" not in backend.help and backend.copies > 0
    with pytest.raises(UnknownBackend, match="backend 'floppy': one of bdev, dax, "):
        find("erofs", "floppy")
    with pytest.raises(UnknownBackend, match="nothing has none that is installed"):
        find("nothing", "bdev")


def test_a_back_end_of_another_package_stands_beside_those_of_the_port(tmp_path: Path) -> None:
    (tmp_path / "otherport").mkdir()
    (tmp_path / "otherport" / "__init__.py").write_text("")
    (tmp_path / "otherport" / "backend.py").write_text(BACKEND)
    info = tmp_path / "otherport-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: otherport\nVersion: 1\n")
    (info / "entry_points.txt").write_text('[kemu.backends]\nerofs.slow = otherport.backend:SLOW\nerofs.none = '
                                           'otherport.backend:NONE\n'
                                           'erofs.gone = otherport.gone:GONE\nother.bdev = otherport.backend:SLOW\n')
    plain, slow = (kemu(tmp_path, "mount", "sample:demo.erofs", "--manifest", "--backend", name) for name in ("bdev", "slow"))
    assert (slow.returncode, slow.stdout, slow.stderr) == (0, plain.stdout, "") and plain.stdout
    assert "mounted as ram0 (slow), 3 blocks" in kemu(tmp_path, "mount", "sample:demo.erofs", "--backend", "slow").stdout
    told = " ".join(kemu(tmp_path, "mount", "--help").stdout.split())
    assert "a disk that answers later (slow)" in told and "gone (cannot be imported: ModuleNotFoundError" in told
    for name, code, said in (("none", 3, "otherport.backend:NONE is no Backend"), ("gone", 3, "cannot be imported"),
                             ("floppy", 2, "invalid choice")):
        p = kemu(tmp_path, "mount", "sample:demo.erofs", "--backend", name)
        assert p.returncode == code and p.stdout == "" and len(p.stderr.splitlines()) == 1 and said in p.stderr, p.stderr
