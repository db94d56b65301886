# SPDX-License-Identifier: GPL-2.0-only
"""The VFS core, one file per fs/*.c. Ports import the headers (kemu.linux.fs, namei, mount, ...), which re-export what they declare."""
