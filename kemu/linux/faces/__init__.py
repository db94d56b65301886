# SPDX-License-Identifier: GPL-2.0-only
"""The faces of the headers that have the name of a folder here."""
