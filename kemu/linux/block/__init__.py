# SPDX-License-Identifier: GPL-2.0-only
"""block/ of the kernel tree."""
