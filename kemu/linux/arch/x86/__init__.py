# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/ of the kernel tree."""
