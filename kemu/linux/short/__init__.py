# SPDX-License-Identifier: GPL-2.0-only
"""short/ of the kernel tree."""
