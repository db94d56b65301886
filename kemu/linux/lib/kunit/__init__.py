# SPDX-License-Identifier: GPL-2.0-only
"""lib/kunit/ of the kernel tree."""
