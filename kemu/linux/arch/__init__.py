# SPDX-License-Identifier: GPL-2.0-only
"""arch/ of the kernel tree."""
