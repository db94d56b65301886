# SPDX-License-Identifier: GPL-2.0-only
"""Nothing of an input is run, and no kernel can reach a file of the host."""
from __future__ import annotations

import difflib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kemu.rung.uml import ConfigError, Oracle, RungError, boot_initrd, fence
from kemu.rung.uml import config as kconfig
from kemu.rung.uml.agentbin import WALK
from kemu.rung.uml.build import Kernel, Recipe, build
from kemu.rung.uml.patches import Patch
from kemu.rung.uml.process import Process
from kemu.rung.uml.tree import Tree
from tests.uml import own_init
from tests.unit.initramfs.archive import archive, record

pytestmark = pytest.mark.linux
SMALL = Path(__file__).parent.parent / "data" / "small.erofs"
BROKEN = b"#!/init2\n"
PROGRAMS = ("/init", "/linuxrc", "/sbin/init", "/etc/init", "/bin/init", "/bin/sh", "/sbin/modprobe", "/sbin/hotplug",
            "/sbin/request-key", "/sbin/poweroff",
            "/sbin/usermode-helper", "/interp")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("host")
    return own_init.compiled(Path(__file__).with_name("hostile.c"), folder / "hostile", f'-DFOLDER="{folder}"')


def planted(program: bytes, init: bytes | None = None) -> bytes:
    """An archive in which every program that a kernel might start is the hostile one."""
    files = dict.fromkeys(PROGRAMS, program) | ({"/init": init} if init is not None else {})
    return archive(*(record(d, 0o040755) for d in ("/sbin", "/etc", "/bin", "/dev")),
                   record("/dev/console", 0o020600, rdev=(5, 1)),
                   *(record(name, 0o100755, data) for name, data in files.items()))


def written(folder: Path) -> list[Path]:
    return [p for place in (folder, Path("/"), Path.home(), Path.cwd()) for p in [place / "written"] if p.exists()]


@pytest.mark.parametrize("init", [None, b"#!/interp -x\n", BROKEN], ids=["program", "script", "broken"])
@pytest.mark.parametrize("words", ["", "rdinit=/bin/sh", "init=/sbin/init rdinit=/none",
                                   "sysctl.kernel.core_pattern=|/bin/sh sysctl.kernel.modprobe=/bin/sh",
                                   "root=x rootfstype=tmpfs init=/init", "root=/dev/nosuch rootfstype=nosuchfs"])
def test_a_planted_init_is_loaded_and_not_run(kernel: Kernel, program: bytes, tmp_path: Path, init: bytes | None,
                                              words: str) -> None:
    initrd = planted(program, init)
    out, console = own_init.run(kernel, initrd, ["kunit.enable=0", "root=0:0", *words.split()], flags=WALK)
    assert b"ran " not in out and "ran /" not in console
    assert not written(tmp_path)
    boot = boot_initrd(initrd, words, kernel=kernel)
    assert {e["path"] for e in boot.entries or []} >= set(PROGRAMS)
    if "rdinit=/none" in words or ("init=/init" in words and init == BROKEN):
        assert boot.end == "panic"
    else:
        assert boot.end == "init" and boot.init in PROGRAMS and boot.kmsg[-1] == f"Run {boot.init} as init process"
        assert f"kemu: {boot.init} is loaded and not executed" in boot.trace


def test_the_planted_init_says_so_where_it_is_run_and_finds_no_way(kernel: Kernel, program: bytes, tmp_path: Path) -> None:
    """Which shows that the test above can fail; and that the kernel has no door even for a program that runs as root."""
    out, console = own_init.run(kernel, planted(program), ["kunit.enable=0", "root=0:0"])
    lines = out.decode().splitlines()
    assert lines[0] == "ran /init" and len(lines) > 15, console[-2000:]
    assert not [line for line in lines if line.endswith(": worked")], lines
    assert not written(tmp_path)


@pytest.mark.parametrize("word", ["hostfs=/", "initrd=/etc/passwd", "uml_dir=/tmp/x", "umid=x", "ubd0=/etc/passwd",
                                  "ubda=/etc/passwd", "con0=port:9000", "con=xterm",
                                  "xterm=/bin/sh", "mconsole=notify:/tmp/x", "vec0=transport=tap", "kemu=0,1", "dtb=/etc/passwd",
                                  "ssl0=pts"])
def test_words_about_the_host_are_refused(word: str) -> None:
    with pytest.raises(RungError, match="about the host") as e:
        boot_initrd(b"", f"quiet {word}", kernel=Path("/nonesuch"))
    assert e.value.exit_code == 2


def test_words_that_only_look_like_it_are_not(kernel: Kernel) -> None:
    assert boot_initrd(b"", "console=tty3 consoleblank=0 ethernet=x contig=1 dtbs", kernel=kernel).end == "panic"


@pytest.mark.parametrize("line", ["CONFIG_HOSTFS=y", "CONFIG_MCONSOLE=y", "CONFIG_BLK_DEV_UBD=y",
                                  "# CONFIG_STATIC_USERMODEHELPER is not set",
                                  'CONFIG_STATIC_USERMODEHELPER_PATH="/sbin/modprobe"', "CONFIG_XTERM_CHAN=y", "CONFIG_MODULES=y",
                                  "CONFIG_UML_NET_VECTOR=y"])
def test_no_kernel_is_built_with_a_door(tree: Tree, kernel: Kernel, line: str) -> None:
    with pytest.raises(ConfigError, match=f"{line.strip('# ').split('=')[0].split()[0]} would let what is booted reach the host"):
        build(Recipe(tree, "fast", ("CONFIG_BLK_DEV=y", "CONFIG_NET=y", line), slot="doors"))


def test_the_kernel_in_use_has_none(kernel: Kernel) -> None:
    config = kernel.path.with_name("config").read_text()
    assert kconfig.open_door(config) is None
    for symbol in ("UEVENT_HELPER", "COREDUMP", "KEYS", "CGROUPS", "DEVMEM", "DEVPORT", "PROC_KCORE"):
        assert f"CONFIG_{symbol}=y" not in config.splitlines(), symbol


def test_the_oracle_sees_its_inputs_only(kernel: Kernel) -> None:
    with Oracle(kernel=kernel) as o:
        assert b"hostfs" not in o.read("proc/filesystems") and b"erofs" in o.read("proc/filesystems")
        mounts = o.read("proc/mounts").decode().splitlines()
        assert {line.split()[2] for line in mounts} <= {"rootfs", "tmpfs", "ramfs", "proc", "sysfs", "debugfs"}, mounts
        image = SMALL.read_bytes()
        plain, file = o.erofs(image), o.erofs(SMALL, backend="file")
        assert not file.mount_error and plain.entries == file.entries
        assert SMALL.read_bytes() == image


@pytest.mark.skipif(not fence.abi(), reason="no Landlock on this host")
def test_the_host_fences_the_process(kernel: Kernel, tmp_path: Path) -> None:
    """Asked of a process under the same rules: it reads itself and its folder, and nothing else."""
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()
    (other / "secret").write_text("x")
    script = f"cat {other}/secret; echo x > {other}/new; echo x > {mine}/new && cat {mine}/new; cat /etc/passwd | wc -c"
    with fence.fence(Path("/bin/sh"), mine) as restrict:
        done = subprocess.run(["/bin/sh", "-c", script], preexec_fn=restrict, capture_output=True, text=True, check=False)
    assert done.stdout == "x\n0\n" and done.stderr.count("ermission denied") == 3
    assert not (other / "new").exists()
    process = Process(kernel.path, None, ["rdinit=/none"])
    try:
        status = Path(f"/proc/{process.popen.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
    finally:
        process.close()


def test_a_boot_by_the_command_line(kernel: Kernel, program: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.cpio"
    path.write_bytes(planted(program))
    for command in (["boot", path, "--rung", "linux", "--manifest"], ["linux", "boot", path, "--manifest"]):
        done = subprocess.run([sys.executable, "-m", "kemu", *map(str, command)], capture_output=True, text=True,
                              env=dict(os.environ), check=False)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert "/sbin/modprobe" in [json.loads(line)["path"] for line in done.stdout.splitlines()]
    assert not written(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not fence.abi(), reason="no Landlock on this host")
def test_what_a_makefile_of_a_patch_runs_writes_nothing(tree: Tree, kernel: Kernel, tmp_path: Path) -> None:
    """Neither elsewhere on the host nor, through the hard links of the copy, in the tree."""
    text = (tree.path / "init" / "Makefile").read_text()
    for n, command in enumerate((f"echo x > {tmp_path}/written", "echo x >> $(srctree)/init/main.c",
                                 "cp /etc/passwd $(srctree)/init/passwd")):
        data = "".join(difflib.unified_diff(text.splitlines(True), [*text.splitlines(True), f"\nX{n} := $(shell {command})\n"],
                                            "a/init/Makefile", "b/init/Makefile"))
        before = (tree.path / "init" / "main.c").read_bytes()
        built = build(Recipe(tree, "fast", (), (Patch("x", "x", data.encode()),), slot="doors"))
        assert (not written(tmp_path) and (tree.path / "init" / "main.c").read_bytes() == before
                and not (built.source / "init" / "passwd").exists())
