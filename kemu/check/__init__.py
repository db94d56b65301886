# SPDX-License-Identifier: GPL-2.0-only
"""Detectors: what is wrong in a run, said in the kernel's words."""
