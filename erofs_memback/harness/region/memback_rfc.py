# SPDX-License-Identifier: GPL-2.0-only
"""How the C of erofs-memback-rfc mounts from memory: any offset in a page, in whatever memory the image lies."""
from kemu.series.backend import Backend

backend = Backend(glue="memback_rfc.c")
