# SPDX-License-Identifier: GPL-2.0-only
"""What a cover letter can say of a series: what was run, on which tree, with which counts, and what was not."""
