# SPDX-License-Identifier: GPL-2.0-only
"""``python -m kemu``."""
import os
import sys

# Python puts the working folder first: a file there that is called like a module which is installed would be run in its place
if sys.path and sys.path[0] in ("", os.getcwd()):
    here = sys.path.pop(0)
    if os.path.dirname(os.path.dirname(os.path.abspath(__file__))) == os.path.abspath(here):
        sys.path.append(here)

from kemu.start import main

sys.exit(main())
