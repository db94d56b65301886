# SPDX-License-Identifier: GPL-2.0-only
"""drivers/base/firmware_loader/ of the kernel tree."""
