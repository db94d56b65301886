# SPDX-License-Identifier: GPL-2.0-only
"""A search that coverage steers: inputs that reach what none before them reached are kept, changed and tried again.

case.py what is tried, corpus.py what is kept, mutate.py how it is changed, search.py the loop, least.py the least input that
shows a crash, lines.py which lines and branches of the C the kept inputs reach.
"""
