# SPDX-License-Identifier: GPL-2.0-only
"""Does a Series do what its C patches do? Function by function in the kernel's C, and mount by mount on the port itself."""
