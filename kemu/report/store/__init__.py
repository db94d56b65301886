# SPDX-License-Identifier: GPL-2.0-only
"""What was found, kept on disk: ``$XDG_STATE_HOME/kemu`` (``~/.local/state/kemu``).

    findings/ID.json        one file for each finding (series and cause)
    tokens/TOKEN            the choices behind a token that would be longer than 40 characters
    inputs/EXPERIMENT.jsonl runs that behaved as none before them
    runs/ID.json            searches that have not come to their end, to be gone on with

Every file is written beside and renamed, or a line is appended with one write; what cannot be read is passed over.
"""
