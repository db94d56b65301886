# SPDX-License-Identifier: GPL-2.0-only
"""A third port, examples/cramfs: in a folder of its own, installed beside kemu, without a line in kemu/."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import TOP, matches, samples, shown

EXAMPLE = TOP / "examples" / "cramfs"
IMAGE = EXAMPLE / "tests" / "data" / "small.cramfs"


def call(*words: object, cwd: Path = TOP, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(w) for w in words], cwd=cwd, capture_output=True, text=True, timeout=300, env={**os.environ, "NO_COLOR": "1", **env}
    )


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a fresh virtual environment that has what this one has, and the example."""
    where = tmp_path_factory.mktemp("third")
    tree = where / "cramfs"
    subprocess.run(["cp", "-a", EXAMPLE, tree], check=True)
    assert call(sys.executable, "-m", "venv", "--without-pip", where / "venv").returncode == 0
    python = where / "venv" / "bin" / "python"
    site = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
    here = [p for p in sys.path if p.endswith("-packages")]
    (site / "kemu-of-the-tests.pth").write_text("".join(f"import site; site.addsitedir({p!r})\n" for p in here) + f"{TOP}\n")
    p = call(
        sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", tree
    )
    if p.returncode and "setuptools" in p.stderr:
        pytest.skip("no setuptools in this environment: " + p.stderr.strip().splitlines()[-1])
    assert p.returncode == 0, p.stderr
    return python


def test_nothing_in_kemu_knows_it() -> None:
    p = call("git", "grep", "-il", "cramfs", "--", "kemu")
    if p.returncode == 128:
        found = [
            str(f)
            for f in (TOP / "kemu").rglob("*")
            if f.suffix != ".pyc" and f.is_file() and b"cramfs" in f.read_bytes().lower()
        ]
    else:
        found = p.stdout.split()
    assert found == []


def test_its_own_tests_pass() -> None:
    p = call(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=EXAMPLE)
    assert p.returncode == 0, p.stdout[-3000:]


def test_its_command_experiments_and_functions_are_found(python: Path, tmp_path: Path) -> None:
    def kemu(*words: object) -> subprocess.CompletedProcess[str]:
        return call(python, "-m", "kemu", *words, cwd=tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))

    assert call(python, "-c", "import cramfs; print(cramfs.__file__)", cwd=tmp_path).stdout.startswith(str(python.parents[1]))
    p = kemu("cramfs", IMAGE, "--manifest")
    assert (p.returncode, p.stdout, p.stderr) == (0, IMAGE.with_suffix(".jsonl").read_text(), "")
    p = kemu("cramfs", TOP / "LICENSE")
    assert (p.returncode, p.stdout, p.stderr) == (1, "", "kemu: cramfs: EINVAL (Invalid argument): cramfs: wrong magic\n")
    p = kemu("cramfs", IMAGE, "--ls")
    assert p.returncode == 2 and p.stdout == "" and len(p.stderr.splitlines()) == 1
    assert "mount a cramfs image" in kemu("--help").stdout
    p = kemu("cramfs", IMAGE, "--backend", "bdev", "--stats")
    assert p.returncode == 0 and p.stdout.split()[:4] == ["backend", "bdev", "device", "ram0"]
    p = kemu("cramfs", IMAGE, "--backend", "fileio")  # is another file system's
    assert (p.returncode == 2 and p.stdout == ""
            and p.stderr.startswith("kemu: cramfs: --backend: invalid choice: 'fileio' (choose from"))
    assert "last sector" in kemu("cramfs", "--help").stdout and "last sector" not in kemu("mount", "--help").stdout
    p = kemu("fuzz", "cramfs.same-as-written", "--examples", "20", "--workers", "1")
    assert p.returncode == 0 and "ok 1 cramfs.same-as-written" in p.stdout, p.stdout + p.stderr
    mine = [f for f in json.loads(kemu("port", "list", "--json").stdout) if f["path"].startswith("fs/cramfs/")]
    assert len(mine) == 24 and all(f["hash"] and f["module"].startswith("cramfs.") for f in mine)


def test_the_commands_of_its_page(python: Path, tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(EXAMPLE / "tests")
    kemu = tmp_path / "bin" / "kemu"
    kemu.parent.mkdir()
    kemu.write_text(f'#!/bin/sh\nexec {python} -m kemu "$@"\n')
    kemu.chmod(0o755)
    found = samples(EXAMPLE / "README.md")
    assert len(found) > 5
    path = f"{kemu.parent}{os.pathsep}{os.environ['PATH']}"
    for s in found:
        p = call("bash", "-o", "pipefail", "-c", s.command, cwd=tmp_path, PATH=path, XDG_STATE_HOME=str(tmp_path / "state"))
        assert p.returncode == s.code, f"{s.command}: exit code {p.returncode}\n{p.stdout[-2000:]}{p.stderr[-2000:]}"
        assert matches(shown(s, s.lines), p.stdout + p.stderr), f"{s.command} printed:\n{p.stdout[-2000:]}{p.stderr[-2000:]}"
