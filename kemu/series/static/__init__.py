# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel's own tools say of a series that is not run: W=1, sparse, kernel-doc; what they say of its base is left out."""
