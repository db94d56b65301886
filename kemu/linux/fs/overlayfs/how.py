# SPDX-License-Identifier: GPL-2.0-only
"""What this overlayfs leaves out."""
from __future__ import annotations

AS_A_BOOT = "overlayfs as a boot uses it: no index, metacopy, origin, case folding or file attributes, and the layers' answers are not doubted"
