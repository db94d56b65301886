# SPDX-License-Identifier: GPL-2.0-only
"""The C rung: the kernel's own C, compiled with its own headers and flags, in this process."""
