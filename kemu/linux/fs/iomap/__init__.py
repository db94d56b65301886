# SPDX-License-Identifier: GPL-2.0-only
"""fs/iomap/ of the kernel tree."""
