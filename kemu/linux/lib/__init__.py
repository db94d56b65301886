# SPDX-License-Identifier: GPL-2.0-only
"""lib/ of the kernel tree."""
