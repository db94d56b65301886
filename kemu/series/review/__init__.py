# SPDX-License-Identifier: GPL-2.0-only
"""A series of C patches against the kernel without it: both are loaded, asked the same, and what differs is a finding.

changed.py what the diff changes and which basic blocks that is, trial.py what both are asked, watched.py and seen.py what
is looked at, inputs.py where it begins, search.py the loop, least.py the smallest trigger, found.py and replay.py findings.
"""
