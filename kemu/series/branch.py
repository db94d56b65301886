# SPDX-License-Identifier: GPL-2.0-only
"""A branch of a git tree as a series: what it has since some commit. The tree is only read."""
from __future__ import annotations

import os
import shutil
import subprocess

from kemu.rung.uml.errors import ConfigError
from kemu.series.whole import Whole, from_mail

SECONDS = 120


def from_branch(folder: str, base: str, to: str = "HEAD") -> Whole:
    """The commits of ``folder`` from ``base`` to ``to``, a patch each, as git format-patch writes them; merges are left out."""
    def git(*args: str) -> bytes:
        # neither hooks nor what the tree's configuration would have run
        quiet = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.attributesFile=/dev/null"]
        done = subprocess.run(["git", *quiet, "-C", folder, *args], capture_output=True, timeout=SECONDS,
                              stdin=subprocess.DEVNULL, env=os.environ | {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"})
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise ConfigError(f"--tree {folder} --base {base}: git: {said[0].removeprefix('fatal: ') if said else 'failed'}")
        return done.stdout

    if not shutil.which("git"):
        raise ConfigError("--base needs git, which is not installed")
    if not os.path.isdir(folder):
        raise ConfigError(f"--tree {folder}: no such folder")
    if base.startswith("-") or to.startswith("-"):
        raise ConfigError(f"--base {base}: no commit of {folder}")
    try:
        git("rev-parse", "--quiet", "--verify", f"{base}^{{commit}}")
    except ConfigError as e:
        raise (e if "failed" not in str(e) else ConfigError(f"--tree {folder} --base {base}: no such commit")) from None
    mails = git("format-patch", "--stdout", "--no-stat", "--no-signature", "--no-ext-diff", "--no-textconv", "--no-cover-letter",
                "--full-index", "--binary", "-M", f"{base}..{to}")
    if not mails.strip():
        raise ConfigError(f"--tree {folder} --base {base}: {to} has no commit that {base} has not")
    name = git("rev-parse", "--abbrev-ref", to).decode().strip()
    return Whole(name if name != "HEAD" else os.path.basename(os.path.abspath(folder)), f"--tree {folder} --base {base}",
                 from_mail(mails, (name if name != "HEAD" else "branch").replace("/", "-")))
