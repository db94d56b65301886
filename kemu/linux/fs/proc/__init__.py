# SPDX-License-Identifier: GPL-2.0-only
"""fs/proc/ of the kernel tree."""
