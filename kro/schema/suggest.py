"""A word near a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return the candidate that the author may have meant, or an empty text when none is near.

    The same word in other letters' case is nearest of all. Cost is bounded: long words are not
    compared, and no more than the first 500 candidates are.
    """
    if not word or len(word) > 64:
        return ""
    known = sorted(candidates)[:500]
    folded = word.casefold()
    for candidate in known:
        if candidate.casefold() == folded:
            return candidate
    from difflib import get_close_matches  # only a failing definition pays for the import

    short = [candidate for candidate in known if len(candidate) <= 80]
    return next(iter(get_close_matches(word, short, n=1, cutoff=0.7)), "")
