# SPDX-License-Identifier: GPL-2.0-only
"""arch/um/kernel/ of the kernel tree."""
