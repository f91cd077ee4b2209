"""One piece of evidence: what was compared, how, and how it came out."""

from __future__ import annotations

from dataclasses import dataclass

from theory.errors import ArgumentError

SYMBOLIC = frozenset({"derivation", "exact"})
NUMERIC = frozenset({"monte-carlo", "training", "scaling"})
KINDS = ("derivation", "exact", "property", "monte-carlo", "training", "scaling")
OUTCOMES = ("agrees", "differs", "undecided")
FORMS = ("printed", "condition", "outside", "corrected")


@dataclass(frozen=True)
class Evidence:
    """How one check came out.

    ``measured`` is the figure to show and ``regime`` where it was measured, both in words.  ``form``
    says which form of the statement was put to the test: ``printed`` (as printed, in the printed
    generality), ``condition`` (as printed, where the added condition holds), ``outside`` (as printed,
    where it fails) or ``corrected``.  ``delta`` and ``alpha`` are the tolerance and the error
    probability of the test (0 where nothing is sampled), ``seconds`` the time that it took.  ``detects``
    is the deviation that the test notices, that is does not call ``agrees``, with probability 0.99 at
    least, in the units of ``delta``: what the test says, else ``delta`` where something is sampled, which
    a deviation passes for less with probability ``alpha``; None where nothing is sampled.

    Raises :class:`ArgumentError` for a word that is none of these, for empty text, and for a Monte
    Carlo check that declares no tolerance.
    """

    kind: str
    outcome: str
    measured: str
    regime: str
    delta: float | None = None
    alpha: float = 0.0
    form: str = "printed"
    detects: float | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in (("kind", KINDS), ("outcome", OUTCOMES), ("form", FORMS)):
            if getattr(self, name) not in allowed:
                raise ArgumentError(f"{name}={getattr(self, name)!r}: must be one of {', '.join(allowed)}")
        for name in ("measured", "regime"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise ArgumentError(f"{name}={getattr(self, name)!r}: must say something in words")
        if self.delta is not None and not self.delta > 0:
            raise ArgumentError(f"delta={self.delta!r}: must be positive, or None where nothing is tolerated")
        if not 0 <= self.alpha < 1:
            raise ArgumentError(f"alpha={self.alpha!r}: must lie in [0, 1)")
        if self.detects is None and 0 < self.alpha <= 0.01:
            object.__setattr__(self, "detects", self.delta)
        if self.detects is not None and not self.detects > 0:
            raise ArgumentError(
                f"detects={self.detects!r}: must be positive, or None where nothing is sampled"
            )
        if self.kind == "monte-carlo" and self.delta is None:
            raise ArgumentError(
                "delta=None: a monte-carlo check must declare the tolerance that it establishes"
            )
        if not self.seconds >= 0:
            raise ArgumentError(f"seconds={self.seconds!r}: must not be negative")
