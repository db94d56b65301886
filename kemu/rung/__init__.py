# SPDX-License-Identifier: GPL-2.0-only
"""The rungs: the emulated kernel (py) and the real one (uml)."""
