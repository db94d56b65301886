# SPDX-License-Identifier: GPL-2.0-only
"""How ``kemu review`` mounts by the erofs-memback series: any offset in a page, in whatever memory the image lies.
Extra devices are refused by its own errno."""
from kemu.machine.region import KINDS
from kemu.series.backend import Backend

backend = Backend(glue="backend.c", folder="fs/erofs", memory=KINDS, at=range(4096), without=("device=",))
