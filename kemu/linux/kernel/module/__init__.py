# SPDX-License-Identifier: GPL-2.0-only
"""kernel/module/ of the kernel tree."""
