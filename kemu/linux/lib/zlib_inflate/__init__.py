# SPDX-License-Identifier: GPL-2.0-only
"""lib/zlib_inflate/ of the kernel tree."""
