"""The verdict on a statement: computed from its evidence here, and typed nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from theory.statement import Statement
from verify.ledger.evidence import NUMERIC, SYMBOLIC, Evidence

VERDICTS = ("confirmed", "confirmed-if", "misprint", "refuted", "supported", "open")


def verdict(statement: Statement, evidence: Sequence[Evidence]) -> str:
    """One of :data:`VERDICTS`; ``open`` for everything that the evidence does not settle.

    - ``supported``: a qualitative claim that a numeric check bears out.
    - ``confirmed``: nothing differs; the printed form agrees symbolically and numerically.
    - ``confirmed-if``: there is a counterexample; the printed form agrees symbolically and
      numerically under the condition, is seen to fail without it, and nobody found it true as printed.
      A corrected form, which then says what holds without the condition, must agree too.
    - ``misprint``, ``refuted``: there is a counterexample, the printed form differs symbolically, the
      corrected form agrees symbolically and numerically and never differs.  Refuted when consequences
      hang on it.

    A property test replaces neither a symbolic nor a numeric check, but blocks like any other.  Evidence
    on a form that the statement does not have contradicts the statement: open.
    """
    if any(e.outcome == "undecided" for e in evidence):
        return "open"
    forms = {"printed"}
    forms |= {"condition", "outside"} if statement.condition else set()
    forms |= {"corrected"} if statement.corrected is not None else set()
    if any(e.form not in forms for e in evidence):
        return "open"

    def found(form: str, outcome: str, kinds: frozenset[str] = SYMBOLIC | NUMERIC | {"property"}) -> bool:
        return any(e.form == form and e.outcome == outcome and e.kind in kinds for e in evidence)

    def settled(form: str) -> bool:
        agree = found(form, "agrees", SYMBOLIC) and found(form, "agrees", NUMERIC)
        return agree and not found(form, "differs")

    if statement.corrected is not None and not statement.condition:
        wrong = statement.counterexample is not None and found("printed", "differs", SYMBOLIC)
        if not (wrong and settled("corrected")):
            return "open"
        return "refuted" if statement.consequences else "misprint"
    if statement.condition:
        needed = statement.counterexample is not None and found("outside", "differs", SYMBOLIC | NUMERIC)
        contradicted = found("printed", "agrees")
        general = statement.corrected is None or settled("corrected")
        sound = needed and settled("condition") and general and not contradicted
        return "confirmed-if" if sound else "open"
    if statement.counterexample is not None:
        return "open"  # fails somewhere, and neither a condition nor a correction says so
    if statement.qualitative:
        seen = found("printed", "agrees", NUMERIC) and not found("printed", "differs")
        return "supported" if seen else "open"
    return "confirmed" if settled("printed") else "open"
