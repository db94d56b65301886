# SPDX-License-Identifier: GPL-2.0-only
"""Inputs: EROFS images, cpio archives, layered initrds, and damage to them; from a seed, a token or Hypothesis (strategies.py).

Every choice is one call of ``value(name, low, high)`` (pick.py), so one generator serves them all. What is made carries its
ground truth.
"""
