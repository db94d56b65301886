# SPDX-License-Identifier: GPL-2.0-only
"""What is printed, written and kept: manifests, KTAP, tables, findings."""
