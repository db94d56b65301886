# SPDX-License-Identifier: GPL-2.0-only
"""mm/kasan/ of the kernel tree."""
