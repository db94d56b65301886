# SPDX-License-Identifier: GPL-2.0-only
"""The block of a cover letter."""
from __future__ import annotations

import json

from kemu.series.evidence.claims import Claim, Evidence, counted


def evidence(*claims: Claim) -> Evidence:
    return Evidence("mine", "0.1.0", "Linux 7.2.13", list(claims), ["races", "real hardware"])


def test_the_block_fits_a_mail_and_names_each_command() -> None:
    out = evidence(Claim("port", "a long sentence about what was run " * 5, "kemu review mine"),
                   Claim("covered", "3 of 4 changed lines ran", "", None)).text()
    assert max(map(len, out)) <= 72
    assert "    $ kemu review mine" in out and out.count("") == 3
    assert out[0] == "Tested with kemu 0.1.0 on Linux 7.2.13:" and out[-1].endswith("races; real hardware.")


def test_what_speaks_against_it_is_not_outvoted() -> None:
    good, none, bad = (Claim("x", "y", "z", holds) for holds in (True, None, False))
    assert evidence(good, none).holds
    assert not evidence(good, bad, none).holds


def test_the_object_has_the_counts() -> None:
    there = json.loads(json.dumps(evidence(Claim("C", "10 trials", "kemu review x", True, {"trials": 10})).as_json()))
    assert there["claims"] == [{"what": "C", "said": "10 trials", "command": "kemu review x", "holds": True,
                                "counts": {"trials": 10}}]
    assert there["holds"] is True and there["base"] == "Linux 7.2.13"


def test_words_for_numbers() -> None:
    assert [counted(1, "patch", "patches"), counted(2, "patch", "patches"), counted(1234, "trial")] == [
        "1 patch", "2 patches", "1,234 trials"]
