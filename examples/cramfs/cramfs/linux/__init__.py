# SPDX-License-Identifier: GPL-2.0-only
"""What fs/cramfs includes and ``kemu.linux`` does not have, header by header, tagged as there. A port that needs no more of Linux
than kemu has needs no such folder."""
