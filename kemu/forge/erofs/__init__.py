# SPDX-License-Identifier: GPL-2.0-only
"""EROFS images from a tree and a plan, with everything that their maker knows about them.

plan.py says what can be asked for, writer.py's ``build(tree, plan)`` makes it, choose.py draws both at random, mutate.py damages
the result, suspects.py lists what Linux reads wrongly. Layouts follow what fs/erofs accepts, not what mkfs.erofs makes.
"""
