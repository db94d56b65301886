# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kernel/ of the kernel tree."""
