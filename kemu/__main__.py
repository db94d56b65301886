# SPDX-License-Identifier: GPL-2.0-only
"""``python -m kemu``."""
import sys

from kemu.cli import main

sys.exit(main())
