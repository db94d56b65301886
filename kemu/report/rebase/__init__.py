# SPDX-License-Identifier: GPL-2.0-only
"""What a newer kernel tree has changed under the ports: definitions, what became of each, and where in the port that stands."""
