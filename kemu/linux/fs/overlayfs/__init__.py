# SPDX-License-Identifier: GPL-2.0-only
"""fs/overlayfs/ of the kernel tree."""
