# SPDX-License-Identifier: GPL-2.0-only
"""A Python that lacks a decoder: what needs it is refused in one line with exit code 3, what can do without it gives the right
tree.
"""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.forge.compressors import compress
from tests.conftest import DATA

# what a Python without the module answers to `import`
WITHOUT = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from kemu.cli import main
sys.exit(main(sys.argv[1:]))
"""


def kemu(without: str, where: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT, without, *args], cwd=where, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("method, module", [("xz", "lzma,_lzma"), ("lzma", "lzma,_lzma"), ("bzip2", "bz2,_bz2"),
                                            ("zstd", "zstandard"), ("gzip", "zlib"), ("lz4", "lz4,lz4.block")])
def test_an_initrd_without_its_decoder(tmp_path, method, module):
    (tmp_path / "initrd").write_bytes(compress(method, (DATA / "root.cpio").read_bytes()))
    p = kemu(module, tmp_path, "boot", "initrd", "--manifest")
    assert "Traceback" not in p.stderr
    if p.returncode == 3:
        name = module.split(",")[0]
        assert p.stdout == "" and p.stderr.count("\n") == 1
        assert p.stderr.startswith(f"kemu: boot: {name}") and "cannot be imported" in p.stderr
    else:                   # the system's library, or our own decoder, does it as well
        assert method in ("gzip", "lz4") and p.returncode == 0, p.stderr
        whole = kemu("nothing_of_that_name", tmp_path, "boot", "initrd", "--manifest")
        assert p.stdout == whole.stdout and len(p.stdout.splitlines()) > 10


@pytest.mark.parametrize("name, module", [("tiny-zstd-allfrag", "zstandard"), ("tiny-lzma-allfrag", "lzma,_lzma"),
                                          ("none-lz4", "lz4,lz4.block")])
def test_an_image_without_its_decoder(tmp_path, name, module):
    p = kemu(module, tmp_path, "mount", str(DATA / "erofs" / f"{name}.erofs"), "--manifest")
    assert "Traceback" not in p.stderr
    if p.returncode == 3:
        assert p.stderr.count("\n") == 1 and "cannot be imported" in p.stderr
    else:
        assert p.returncode == 0 and p.stdout == (DATA / "erofs" / f"{name}.jsonl").read_text()


@pytest.mark.parametrize("module", ["bz2,_bz2", "lzma,_lzma", "zlib", "zstandard", "lz4,lz4.block"])
def test_what_does_not_need_it_works(tmp_path, module):
    p = kemu(module, tmp_path, "boot", "sample:root.cpio", "--json")
    assert (p.returncode, p.stderr) == (0, "") and json.loads(p.stdout)["ended"] == "init"
    p = kemu(module, tmp_path, "doctor", "--json")
    assert p.returncode == 3
    assert module.split(",")[0] in [c["name"] for c in json.loads(p.stdout)["checks"] if not c["found"]]


def test_a_search_is_not_blamed_for_it(tmp_path):
    p = kemu("lz4,lz4.block", tmp_path, "fuzz", "memback.ground-truth", "--examples", "30")
    assert p.returncode == 3 and p.stderr.count("\n") == 1 and "not ok" not in p.stdout


def test_no_libzstd_at_all(monkeypatch, capsys):
    from kemu.cli import main
    from kemu.linux import zstd

    monkeypatch.setattr(zstd, "_names", list)
    monkeypatch.setattr(zstd, "_state", {})
    assert main(["mount", str(DATA / "erofs" / "tiny-zstd-allfrag.erofs"), "--manifest"]) == 3
    out, err = capsys.readouterr()
    assert out == "" and err == "kemu: mount: zstandard cannot be imported, and zstd needs it: pip install zstandard\n"
