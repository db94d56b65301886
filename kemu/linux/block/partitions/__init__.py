# SPDX-License-Identifier: GPL-2.0-only
"""block/partitions/ of the kernel tree."""
