# SPDX-License-Identifier: GPL-2.0-only
"""What a finding is taken away with: its input, how a real kernel shows it, and a KUnit case."""
