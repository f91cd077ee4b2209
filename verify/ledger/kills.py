"""How many of a statement's mutants its checks noticed: from ``notes/mutation.json``, for the ledger."""

from __future__ import annotations

import json
from pathlib import Path

from theory.errors import ArgumentError
from verify.ledger import store


def committed_path() -> Path:
    """The findings under version control, beside the ledger; :mod:`verify.mutation.report` writes them."""
    return store.committed_path().with_name("mutation.json")


def committed_kills() -> dict[str, str]:
    """Killed of tried, by id, the forms of a statement taken together.

    Raises :class:`ArgumentError` for a file that is something else.
    """
    counts: dict[str, tuple[int, int]] = {}
    try:
        text = committed_path().read_text(encoding="utf-8")
        for one in json.loads(text):
            killed, tried = counts.get(one["id"], (0, 0))
            counts[one["id"]] = killed + one["killed"], tried + one["tried"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ArgumentError(f"{committed_path()}: not what `lsatheory mutate` writes ({error})") from None
    return {id: f"{killed}/{tried}" if tried else "none" for id, (killed, tried) in counts.items()}
