"""Gaussian integration by parts on traces of words, all monomials of an expectation at once.

Words are strings, a character a factor, so that rotation, transposition and search are C code.  The
states of one order (the number of S left) are merged before any is contracted; a state is the traces
that still hold an S, against the finished ones it has been reached with.  A coefficient is one integer:
the number of pairings per power of 1/n and per symbolic factor, ``width`` bits each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

Traces = tuple[str, ...]
Progress = Callable[[float], None]
S, CENTRED, SIGMA = "\x01", "\x02", "\x03"  # S = XXᵀ/n, S − Σ, Σ


class Contraction:
    """E over S of polynomials in traces; ``mirror`` maps each letter to its transpose (S, Σ to themselves).

    A word is a string of :data:`S`, :data:`CENTRED`, :data:`SIGMA` and other characters.
    """

    def __init__(self, mirror: Mapping[str, str], width: int) -> None:
        self._mirror = str.maketrans(dict(mirror))
        self._over_n = 1 << width  # 1/n
        self._least: dict[str, str] = {}

    def transpose(self, word: str) -> str:
        """The word read backwards, each letter as its transpose."""
        return word[::-1].translate(self._mirror)

    def least(self, word: str) -> str:
        """The least of the rotations of ``word`` and of its transpose: one form for one trace."""
        found = self._least.get(word)
        if found is None:
            size, once = len(word), word + word
            turned = self.transpose(word)
            again = turned + turned
            found = min(
                min(once[i : i + size] for i in range(size)), min(again[i : i + size] for i in range(size))
            )
            self._least[word] = found
        return found

    def _sort(self, words: Iterable[str]) -> tuple[Traces, Traces]:
        """(traces that hold an S, traces that do not), each in canonical order."""
        live: list[str] = []
        finished: list[str] = []
        for word in words:
            (live if S in word or CENTRED in word else finished).append(self.least(word))
        return tuple(sorted(live)), tuple(sorted(finished))

    def _moves(self, live: Traces) -> dict[tuple[Traces, Traces], int]:
        """What one S of ``live`` contracts to: {(live, newly finished): number of ways, per power of 1/n}.

        The left x_a of the first S of the longest trace, tr(S R), meets its own right x_aᵀ (not if the S is
        centred: that is what Σ is subtracted for) and both sides of every other S, centred or not, whose
        partner side is left in an S that is not centred.
        """
        at = max(range(len(live)), key=lambda i: len(live[i]))
        word, others = live[at], live[:at] + live[at + 1 :]
        first = word.find(CENTRED)
        own = first < 0
        if own:
            first = word.index(S)
        rest = word[first + 1 :] + word[:first]
        found: dict[tuple[Traces, Traces], int] = defaultdict(int)
        if own:
            found[self._sort((SIGMA + rest, *others))] += 1
        for i, factor in enumerate(rest):
            if factor in (S, CENTRED):
                inner, tail = rest[:i], rest[i + 1 :]
                found[self._sort((SIGMA + self.transpose(inner) + S + tail, *others))] += self._over_n
                found[self._sort((inner + S, SIGMA + tail, *others))] += self._over_n
        for t, other in enumerate(others):
            remaining = others[:t] + others[t + 1 :]
            for i, factor in enumerate(other):
                if factor in (S, CENTRED):
                    opened = other[i + 1 :] + other[:i]
                    for side in (opened, self.transpose(opened)):
                        found[self._sort((SIGMA + side + S + rest, *remaining))] += self._over_n
        return found

    def expectation(
        self, monomials: Mapping[Traces, int], progress: Progress | None = None
    ) -> dict[Traces, int]:
        """E of Σ coefficient · Π tr(word): {finished traces: coefficient}.

        ``progress`` is called with the share of the orders done so far, 0 to 1.
        """
        levels: dict[int, dict[Traces, dict[Traces, int]]] = defaultdict(dict)

        def enter(order: int, live: Traces) -> dict[Traces, int]:
            return levels[order].setdefault(live, defaultdict(int))

        for words, coefficient in monomials.items():
            live, finished = self._sort(words)
            enter(sum(w.count(S) + w.count(CENTRED) for w in live), live)[finished] += coefficient
        top = max(levels, default=0)
        for order in range(top, 0, -1):
            current = levels.pop(order, {})
            for done, (live, reached) in enumerate(current.items()):
                if progress is not None and done % 256 == 0:
                    progress((top - order + done / len(current)) / top)
                for (after, new), ways in self._moves(live).items():
                    target = enter(order - 1, after)
                    for finished, coefficient in reached.items():
                        target[tuple(sorted(finished + new)) if new else finished] += coefficient * ways
        if progress is not None:
            progress(1.0)
        return {key: value for key, value in levels[0].get((), {}).items() if value}
