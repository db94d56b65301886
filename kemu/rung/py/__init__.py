# SPDX-License-Identifier: GPL-2.0-only
"""The py rung: a ported file system on the emulated kernel. What a port of any file system mounts, reads and unmounts with; it
knows no port.
"""
