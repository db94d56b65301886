# SPDX-License-Identifier: GPL-2.0-only
"""kernel/ of the kernel tree."""
