# SPDX-License-Identifier: GPL-2.0-only
"""What a port needs and Linux has not."""
