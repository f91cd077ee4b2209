"""From a claim to its row of the ledger, and to what is known of where it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from theory.errors import ArgumentError
from theory.statement import Counterexample, Statement
from verify.claims import differences, drawn, measured, symbolic
from verify.claims.claim import Claim
from verify.claims.faults import told
from verify.claims.points import points
from verify.ledger import store
from verify.ledger.evidence import NUMERIC, SYMBOLIC, Evidence
from verify.profiles import Profile

GOOD = ("confirmed", "confirmed-if")


@dataclass(frozen=True)
class Finding:
    """Statement and row, as the ledger has them, and in words what is wrong and what is lacking."""

    statement: Statement
    row: store.Row
    notes: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the claim is borne out, under its condition if it has one."""
        return self.row["verdict"] in GOOD


def check(claim: Claim, id: str, seed: int, profile: Profile) -> Finding:
    """All the evidence there is for the claim, and the verdict that follows from it by the ledger's rules.

    Raises :class:`ArgumentError` for what cannot be evaluated, simulated or drawn.
    """
    form = "condition" if claim.condition is not None else "printed"
    evidence, counterexample = _tested(claim, claim.formula, form, seed, profile)
    notes = []
    if any(e.outcome == "differs" for e in evidence):
        counterexample = counterexample or differences.measured_counterexample(
            claim, claim.formula, True, seed, profile
        )
        notes += _explained(claim, counterexample, seed, profile)
    if claim.condition is not None:
        found, outside = _tested(claim, claim.formula, "outside", seed + 1, profile)
        evidence += found
        if outside is None and any(e.outcome == "differs" for e in found):
            outside = differences.measured_counterexample(claim, claim.formula, False, seed, profile)
        counterexample = counterexample or outside
    if claim.corrected is not None:
        evidence += _tested(replace(claim, condition=None), claim.corrected, "corrected", seed + 2, profile)[
            0
        ]
    statement = claim.statement(id, counterexample)
    row = store.row(statement, evidence)
    return Finding(statement, row, (*notes, *_lacking(claim, evidence, counterexample)))


def _tested(
    claim: Claim, formula: Any, form: str, seed: int, profile: Profile
) -> tuple[list[Evidence], Counterexample | None]:
    evidence, counterexample = symbolic.evidence(claim, formula, form)
    inside = form != "outside"
    if claim.definition is not None and claim.limit is None and drawn.small(claim):
        evidence.append(drawn.evidence(claim, formula, form, profile))
    if claim.limit is None:
        found = measured.compare(claim, formula, points(claim, seed, inside), seed, profile, form)
        return [*evidence, found], counterexample
    for j in range(2):
        at = measured.growing(claim, seed, j)
        evidence.append(measured.approach(claim, formula, seed + 1000 * j, profile, form, at))
    return evidence, counterexample


def _explained(claim: Claim, found: Counterexample | None, seed: int, profile: Profile) -> list[str]:
    lines = [f"counterexample: {found}"] if found else []
    if claim.limit is None:
        at = points(claim, seed)
    else:
        at = [measured.growing(claim, seed, j)[-1] for j in range(2)]
    border = list(differences.borders(claim, claim.formula, seed, profile))
    lines += [f"border: {line}" for line in border]
    # A formula that is right in places is not wrong by a factor.
    return lines if border else lines + differences.factor(claim, claim.formula, at, seed, profile)


def _lacking(claim: Claim, evidence: list[Evidence], counterexample: Counterexample | None) -> list[str]:
    """What the verdict would need besides, where it is open."""
    lines = []
    own = [e for e in evidence if e.form in ("printed", "condition")]
    differs = any(e.outcome == "differs" for e in own)
    if any(e.outcome == "undecided" for e in evidence):
        lines.append("undecided evidence leaves the claim open: a larger profile may settle it")
    if not any(e.kind in SYMBOLIC for e in evidence):
        lines.append("no symbolic evidence: give definition= or derive=")
    if not any(e.kind in NUMERIC for e in evidence):
        lines.append("no numeric evidence")
    if differs and claim.corrected is None:
        lines.append(
            "give condition= if it holds in part, or corrected= the right formula: both are then judged"
        )
    if differs and counterexample is None:
        lines.append("it differs, and no smallest point was found at which it does")
    if claim.condition is not None and not any(
        e.form == "outside" and e.outcome == "differs" for e in evidence
    ):
        lines.append("the condition is not seen to be needed: nothing differs outside it")
    return lines


def load(path: Path) -> dict[str, Claim]:
    """The claims of a Python file by id: the variable's name, or the file's for one called ``claim``.

    Raises :class:`ArgumentError` for a file that cannot be read or run, and for one without a claim.
    """
    if not path.is_file():
        raise ArgumentError(f"{path}: must be a Python file with a claim")
    spec = spec_from_file_location(f"claim_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ArgumentError(f"{path}: must be a Python file, with a name that ends in .py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses of the file look for their module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ArgumentError(f"{path}: {told(error, str(path))}") from error
    found = claims_of(module, path.stem)
    if not found:
        raise ArgumentError(f"{path}: must have a Claim at its top level, as claim = Claim(…)")
    return found


def claims_of(module: ModuleType, stem: str) -> dict[str, Claim]:
    """The claims at a module's top level, by id: dashes for underscores, which TeX would take for indices."""
    named = {name: value for name, value in vars(module).items() if isinstance(value, Claim)}
    ids = {name: (stem if name == "claim" else name).replace("_", "-") for name in named}
    return {ids[name]: value for name, value in named.items()}


def as_test(claim: Claim, id: str = "claim") -> Callable[[], None]:
    """A test function for pytest, in any folder: ``test_claim = as_test(claim)``.

    It fails with the report where the claim is not borne out.  The profile is that of ``LSATHEORY_PROFILE``,
    standard by default.
    """

    def test_claim() -> None:
        import os

        import pytest

        from verify.claims.report import report
        from verify.output.table import rendered
        from verify.profiles import profile_named

        found = check(claim, id, 0, profile_named(os.environ.get("LSATHEORY_PROFILE", "standard")))
        if not found.holds:
            pytest.fail(rendered(*report(found), colour=False), pytrace=False)

    return test_claim
