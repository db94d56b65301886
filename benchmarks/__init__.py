# SPDX-License-Identifier: GPL-2.0-only
"""Figures, not tests: ``python -m benchmarks [NAME...]`` measures and prints; with ``--write`` the table goes into RESULTS.md."""
