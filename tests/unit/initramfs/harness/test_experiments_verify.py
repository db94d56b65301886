# SPDX-License-Identifier: GPL-2.0-only
"""What the experiment of verified segments says of a refused one whose undoing meets the one call that fails."""
from __future__ import annotations

from kemu.explore import token
from kemu.explore.experiment import load_entry_points, registry
from kemu.explore.run import replay


def test_an_empty_folder_that_cannot_be_removed_is_nothing_unverified() -> None:
    load_entry_points()
    again = replay(registry["layered.verified"], token.decode("94xw-ct1a72c3yf1r6"))
    assert again.finding is None and not again.diverged
