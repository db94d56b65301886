# SPDX-License-Identifier: GPL-2.0-only
"""The wheel has what the commands need, and they work from any folder without the clone."""
from __future__ import annotations

import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kemu.forge.compressors import compress
from tests.samples import TOP, matches, samples, shown

PACKAGES = ("kemu", "erofs_memback", "initramfs")
UNWANTED = {"__pycache__", ".mypy_cache"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the wheel's contents, as pip would install it."""
    where = tmp_path_factory.mktemp("wheel")
    tree = where / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (tree / name).symlink_to(TOP / name)
    for name in (*PACKAGES, "patches", "tests"):
        subprocess.run(["cp", "-a", str(TOP / name), str(tree / name)], check=True)
    p = subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w",
                        str(where), str(tree)],
                       capture_output=True, text=True, timeout=300)
    if p.returncode and "setuptools" in p.stderr:
        pytest.skip("no setuptools in this environment: " + p.stderr.strip().splitlines()[-1])
    assert p.returncode == 0, p.stderr
    with zipfile.ZipFile(next(where.glob("*.whl"))) as z:
        z.extractall(where / "site")
    return where / "site"


def kemu(site: Path, cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(site), "NO_COLOR": "1"}
    return subprocess.run([sys.executable, "-m", "kemu", *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


def test_every_file_of_the_packages_is_in_the_wheel(site):
    for package in PACKAGES:
        for folder, folders, files in os.walk(TOP / package, followlinks=True):
            folders[:] = [f for f in folders if f not in UNWANTED]
            for name in files:
                path = Path(folder, name).relative_to(TOP)
                if path.suffix != ".pyc":
                    assert (site / path).is_file(), f"{path} is not in the wheel"
                    assert (site / path).read_bytes() == (TOP / path).read_bytes()


def test_the_commands_need_no_clone(site, tmp_path):
    p = kemu(site, tmp_path, "api", "kmap_local_page")
    assert p.returncode == 0 and "kemu.linux.highmem" in p.stdout
    p = subprocess.run([sys.executable, "-c", "import kemu; print(kemu.__file__)"], env={**os.environ, "PYTHONPATH": str(site)},
                       cwd=tmp_path,
                       capture_output=True, text=True)
    assert p.stdout.startswith(str(site)), "the clone was used"
    p = kemu(site, tmp_path, "demo", "--step", "512", "--no-review", "--workers", "2")
    assert p.returncode == 0 and "16 mounts" in p.stdout and "0 differ" in p.stdout
    p = kemu(site, tmp_path, "series", "list")
    assert p.returncode == 0 and p.stdout.startswith("erofs-kunit ")
    p = kemu(site, tmp_path, "boot", "sample:root.cpio", "--initcalls")
    assert p.returncode == 0 and "calling  populate_rootfs @ 1" in p.stdout
    p = kemu(site, tmp_path, "port", "list")
    assert p.returncode == 0 and "not pinned" not in p.stdout.split("\n\n")[0]
    assert list(tmp_path.iterdir()) == []


def test_the_readme_from_another_folder(site, tmp_path):
    tried = 0
    for s in samples(TOP / "README.md"):
        if not s.notes:
            tried += 1
            argv = shlex.split(s.command)
            assert argv[0] == "kemu"
            p = kemu(site, tmp_path, *argv[1:])
            assert p.returncode == s.code, p.stderr
            assert s.terminal or matches(shown(s, s.lines), p.stdout + p.stderr)
    assert tried >= 3
    (tmp_path / "initrd.zst").write_bytes(compress("zstd", (TOP / "tests/data/root.cpio").read_bytes()))
    p = kemu(site, tmp_path, "boot", "initrd.zst", "--manifest")
    assert p.returncode == 0 and '"/init"' in p.stdout
    assert [f.name for f in tmp_path.iterdir()] == ["initrd.zst"]
