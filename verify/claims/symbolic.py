"""The symbolic evidence for a claim: a derivation for general sizes, and exact values at small points."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from theory import exact, wishart
from theory import notation as nt
from theory.errors import ArgumentError
from theory.lower import lower_matrix, lower_scalar, raise_matrix, raise_scalar
from theory.statement import Counterexample
from theory.words.poly import Matrix, Scalar, substitute
from verify.claims.claim import SIZES, Claim, check_expression, unknown_symbols
from verify.claims.faults import called
from verify.claims.points import ExactPoint, evaluated, exact_points, rational_entries
from verify.ledger.evidence import Evidence
from verify.surface import value

GENERAL = "general sizes, matrices and scalars"


def _lowered(expression: Any) -> Any:
    return lower_matrix(expression) if isinstance(expression, MatrixExpr) else lower_scalar(expression)


def _specialised(claim: Claim, words: Any) -> Any:
    """``words`` with the expressions that the claim gives for its symbols, the last ones first."""
    for symbol, spec in reversed(claim.specs.items()):
        if spec is None or isinstance(spec, tuple):
            continue
        if isinstance(symbol, sp.MatrixSymbol):
            one = nt.letter_of(symbol)
            # What the words have no rule for stays a letter: what is equal for any matrix is so for this one.
            with suppress(ArgumentError):
                words = substitute(words, {one: lower_matrix(rational_entries(spec))})
        else:
            exactly = rational_entries(spec)
            words = words.map_coefficients(lambda c, s=symbol, e=exactly: sp.sympify(c).subs(s, e))
    return words


def derived(claim: Claim) -> Any | None:
    """What the formula has to equal, in words, or in SymPy as a limit or from ``derive``; None: not given."""
    if claim.definition is None:
        if claim.derive is None:
            return None
        found = called("derive", claim.derive)
        if isinstance(found, Scalar | Matrix):
            return _specialised(claim, found)
        return check_expression("derive()", found)
    S, Sigma = nt.letter_of(nt.Sigma_hat), nt.letter_of(nt.Sigma)
    mean = wishart.expectation(_lowered(claim.definition), S, Sigma, nt.n)
    words = _specialised(claim, mean)
    return words if claim.limit is None else _limit(claim, words)


def _limit(claim: Claim, words: Any) -> sp.Expr:
    assert claim.limit is not None
    expression = raise_scalar(words) if isinstance(words, Scalar) else raise_matrix(words)
    if expression.has(MatrixExpr):
        raise ArgumentError(
            "limit: the mean must be a function of scalars, each matrix an expression in I and scalars"
        )
    return sp.limit(expression, claim.limit[0], sp.oo)


def _equal(claim: Claim, formula: Any, target: Any) -> bool:
    """Whether the two are proved equal, in words or by SymPy's simplification."""
    try:
        left = _specialised(claim, _lowered(formula))
        right: Any = target if isinstance(target, Scalar | Matrix) else _specialised(claim, _lowered(target))
        return type(left) is type(right) and bool(left.equals(right))
    except ArgumentError:
        if isinstance(target, Scalar | Matrix) or formula.has(MatrixExpr) or target.has(MatrixExpr):
            return False
        return bool(sp.simplify(formula - target) == 0)


def _as_expression(target: Any) -> Any:
    if isinstance(target, Scalar):
        return raise_scalar(target)
    return raise_matrix(target) if isinstance(target, Matrix) else target


def same(left: Any, right: Any) -> bool:
    """Whether two exact values, numbers or matrices, are equal."""
    if isinstance(left, sp.MatrixBase) or isinstance(right, sp.MatrixBase):
        return bool(left.shape == right.shape and (left - right).applyfunc(sp.simplify).is_zero_matrix)
    return bool(sp.simplify(left - right) == 0)


def actual(claim: Claim, at: ExactPoint) -> Any:
    """The mean of the definition at an exact point, from the moments of independent normals alone."""

    def at_covariance(S: sp.Matrix) -> Any:
        return value(claim.definition, {**at.at, nt.Sigma_hat: S})

    Sigma = at.at[nt.Sigma]
    root = at.roots.get(nt.Sigma)
    if root is None:
        root = Sigma if Sigma == sp.eye(Sigma.rows) else Sigma.cholesky()
    return exact.mean_over_prompts(at_covariance, root, int(at.at[nt.n]))


def _first_difference(pairs: Iterable[tuple[ExactPoint, Any, Any]]) -> tuple[int, Counterexample | None]:
    """How many points agree before the first that does not, and that one."""
    agreed = 0
    for at, printed, true in pairs:
        if not same(printed, true):
            return agreed, Counterexample(at.label, sp.sympify(printed), sp.sympify(true))
        agreed += 1
    return agreed, None


def _at_points(
    claim: Claim, formula: Any, inside: bool, target: Any
) -> Iterable[tuple[ExactPoint, Any, Any]]:
    for at in exact_points(claim, inside):
        if claim.definition is not None and claim.limit is None:
            yield at, evaluated(formula, at.at), actual(claim, at)
        else:
            yield at, evaluated(formula, at.at), evaluated(target, at.at)


def true_values(claim: Claim) -> list[tuple[ExactPoint, Any]]:
    """Small exact points and the mean there, by definition or as derived; [] where neither is given."""
    target = derived(claim)
    if target is None:
        return []
    return [(at, true) for at, _, true in _at_points(claim, claim.formula, True, _as_expression(target))]


def evidence(claim: Claim, formula: Any, form: str) -> tuple[list[Evidence], Counterexample | None]:
    """The derivation and the exact values for ``formula``, and the smallest exact point at which it fails."""
    target = derived(claim)
    if target is None:
        return [], None
    if claim.definition is None and (
        extra := unknown_symbols(_as_expression(target)) - {*claim.specs, *SIZES}
    ):
        raise ArgumentError(f"derive() has {', '.join(map(str, extra))}: must be in the claim's symbols")
    inside = form != "outside"
    counted, found = _first_difference(_at_points(claim, formula, inside, _as_expression(target)))
    pieces = []
    if form != "outside":
        proved = _equal(claim, formula, target)
        # Different normal forms prove nothing by themselves: a point has to tell them apart.
        outcome = "agrees" if proved else "differs" if found else "undecided"
        words = {
            "agrees": "equal",
            "differs": "not equal",
            "undecided": "not proved equal, equal at small points",
        }
        pieces.append(Evidence("derivation", outcome, words[outcome], GENERAL, form=form))
    if claim.definition is not None and claim.limit is None and (counted or found):
        where = "small rational points, from the moments of normals"
        text = f"{found}" if found else f"equal at all {counted}"
        pieces.append(Evidence("exact", "differs" if found else "agrees", text, where, form=form))
    return pieces, found
