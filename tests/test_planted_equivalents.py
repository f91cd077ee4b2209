"""Wrong predictions of the limits of Appendix C, and of its identities between resolvents.

The formulas are edited as they stand in the statements: a factor left out, squared or replaced, a sign
flipped, an exponent changed.  Edits that move the value by less than twice a check's tolerance are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed
from numpy.typing import NDArray

import theory.statements  # noqa: F401  registers every statement
from theory import block_symbols as bs
from theory import inverse_trace as inv
from theory import notation as nt
from theory import resolvent_formulas as fm
from theory.equivalents_calculus import at_zero, f, g, inverse_square
from theory.statement import registry
from verify.checks import equivalents as check
from verify.checks import resolvent_identities as identities
from verify.checks.equivalents import Ensemble, Quantity
from verify.profiles import PROFILES
from verify.resolvent_settings import (
    AMPLE,
    NEAR,
    PAST,
    SCARCE,
    SINGULAR,
    TEST,
    THREE,
    Levels,
    lemma_definitions,
    of,
)

Array = NDArray[np.float64]
SEED = 20260307
STANDARD = PROFILES["standard"]
FAMILIES = (bs.mu, bs.a, bs.w, bs.v, bs.Sigma, f, g, bs.c)
SCALARS = (bs.q, bs.beta, fm.v_z, bs.z)


def printed(id: str) -> Any:
    return registry()[id].printed


def edits(expression: sp.Expr) -> Iterator[tuple[str, sp.Expr]]:
    """``expression`` changed in one respect, all ways."""
    yield "all times 9/8", expression * sp.Rational(9, 8)
    yield "the other sign", -expression
    found = expression.atoms(sp.Indexed)
    for base in FAMILIES:
        mine = [one for one in found if one.base == base]
        others = [other for other in FAMILIES if other != base and any(one.base == other for one in found)]
        if mine:
            yield f"{base} left out", expression.xreplace({one: sp.Integer(1) for one in mine})
            yield f"{base} squared", expression.xreplace({one: one**2 for one in mine})
        for other in others:
            table = {one: other[one.indices[0]] for one in mine}
            yield f"{base} is {other}", expression.xreplace(table)
    for scalar in SCALARS:
        if expression.has(scalar):
            yield f"{scalar} left out", expression.xreplace({scalar: sp.Integer(1)})
            yield f"{scalar} squared", expression.xreplace({scalar: scalar**2})
    for node in sorted(expression.atoms(sp.Add), key=str):
        for term in node.args:
            yield f"{node}: {term} with the other sign", expression.xreplace({node: node - 2 * term})
            yield f"{node} without {term}", expression.xreplace({node: node - term})
    for node in sorted(expression.atoms(sp.Pow), key=str):
        if node.exp.is_Integer and abs(node.exp) > 1:
            yield f"{node} to the first", expression.xreplace({node: node.base ** sp.sign(node.exp)})


def limit_case(
    quantity: Quantity,
    at: Ensemble,
    formula: sp.Expr,
    families: Mapping[Any, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    by_block: bool = False,
) -> Case:
    """The edits of a formula, and ``more`` wrong predictions by name."""

    def read(expression: sp.Expr) -> Array:
        here = Levels(at)
        if by_block:
            return np.array(here.by_block(expression))
        return np.array([here.value(expression, families)])

    right = read(formula)
    wrong: dict[str, Any] = {}
    for name, edited in edits(formula):
        try:
            value = read(edited)
        except (TypeError, ValueError, ZeroDivisionError):  # no number: nothing left of the formula
            continue
        # relative to the prediction, as the check is
        off = np.abs(right - value) / np.where(value == 0, 1, np.abs(value))
        if np.isfinite(value).all() and off.max() > 2 * quantity.delta + 1e-2:
            wrong[name] = value
    assert len(wrong) > 4
    wrong |= more or {}
    return Case(lambda p: check.limit(p, quantity, at, SEED, STANDARD, "printed"), right, wrong)


# Limits -----------------------------------------------------------------------------------------------


def shares() -> Case:
    below = printed("lem-C.1").args[0].args[0].rhs
    swapped = Levels(SCARCE).by_block(below)[::-1]
    return limit_case(
        check.FRACTIONS, SCARCE, below, by_block=True, more={"swapped": swapped, "β": [0.375, 0.375]}
    )


def shares_off_range() -> Case:
    wrong = {"the print": [1.0, 1.0], "β": [1.0, 1.1875], "rank": [7 / 16, 0.0]}
    right = np.array([1.0, 0.0])
    return Case(lambda p: check.limit(p, check.FRACTIONS, SINGULAR, SEED, STANDARD, "printed"), right, wrong)


def leakage(at: Ensemble) -> Case:
    of_C66 = Levels(at).value(fm.NUMERATOR / bs.beta)
    return limit_case(check.LEAKAGE, at, fm.LEAKAGE, more={"without 𝔇": [of_C66], "none": [0.0]})


def inverse_below() -> Case:
    formula = printed("eq-C.28").rhs
    more = {
        "C.30": [
            float(np.array(Levels(SCARCE).weights) @ (np.square(TEST) / np.array(SCARCE.levels)) / 0.625)
        ],
        "(Ĝ†)² for Ĝ†": [square_value(SCARCE, np.square(TEST) * np.array(SCARCE.levels))],
    }
    return limit_case(check.inverse(np.square(TEST)), SCARCE, formula, more=more)


def inverse_above() -> Case:
    more = {"1/β": [Levels(AMPLE).value(printed("eq-C.30").rhs) * 0.25 / 1.25], "none": [0.0]}
    return limit_case(check.inverse(np.square(TEST)), AMPLE, printed("eq-C.30").rhs, more=more)


def inverse_by_block() -> Case:
    formula = printed("eq-C.29.b").args[3] * bs.mu[bs.k]
    swapped = Levels(AMPLE).by_block(formula)[::-1]
    return limit_case(check.INVERSES, AMPLE, formula, by_block=True, more={"swapped": swapped})


def inverse_of_many(at: Ensemble) -> Case:
    F = (1.3, 0.4, 0.9)
    below, above = (line.args[0].args[3] for line in printed("ext-equivalents.c").args)
    if at.beta < 1 and at is THREE:
        return limit_case(check.inverse(F), at, below, {f: F})
    held = bs.explicit(above, 2)  # the third block has c = 0
    table = {bs.c[j + 1]: level for j, level in enumerate(at.levels[:2])}
    value = held.xreplace(table | {inv.rank: 11 / 16})
    more = {"β − 1 for β − rank": [Levels(at).value(held.xreplace(table | {inv.rank: 1}), {f: F})]}
    return limit_case(check.inverse(F), at, value, {f: F}, more)


def square_value(at: Ensemble, levels: Array) -> float:
    """(1/d) tr(F Ĝ†²) by the derived formula."""
    return Levels(at).value(at_zero(inverse_square()), {f: levels})


def square() -> Case:
    levels = np.square(TEST) * np.array(SCARCE.levels)
    right = np.array([square_value(SCARCE, levels)])
    wrong = {"T_inv": [Levels(SCARCE).value(printed("eq-C.28").rhs)], "factor": right * 5 / 4, "sign": -right}
    quantity = check.inverse(levels, square=True)
    return Case(lambda p: check.limit(p, quantity, SCARCE, SEED, STANDARD, "printed"), right, wrong)


def resolvents() -> Case:
    here = Levels(SCARCE)
    formula = 1 / (bs.z + fm.LEVEL * fm.v_z)
    with_transform = [1 / (0.3 + level * here.transform) for level in SCARCE.levels]
    return limit_case(
        check.RESOLVENTS, SCARCE, formula, by_block=True, more={"the print's v": with_transform}
    )


def mean() -> Case:
    here = Levels(SCARCE)
    side = printed("eq-C.51").rhs
    wrong = {
        "C.51 with the transform": here.value(side, scalars={fm.v_z: here.transform}),
        "C.52 with the v of T": here.value(printed("eq-C.52").lhs / bs.z),
        "transform": here.transform,
        "Ĝ alone": float(1 / 0.3),
    }
    return limit_case(check.MEAN, SCARCE, side, more={name: [value] for name, value in wrong.items()})


def transform() -> Case:
    here = Levels(SCARCE)
    right = np.array([here.transform])
    wrong = {"v of T": [here.scalars[fm.v_z]], "βs": right * 0.375, "m": [here.value(printed("eq-C.51").rhs)]}
    return Case(lambda p: check.limit(p, check.TRANSFORM, SCARCE, SEED, STANDARD, "printed"), right, wrong)


def null_space() -> Case:
    right = np.array([1 - 7 / 19])
    wrong = {"the print": [1 - 16 / 19], "none": [0.0], "rank/β": [7 / 19], "all": [1.0]}
    return Case(lambda p: check.limit(p, check.NULL_SPACE, SINGULAR, SEED, STANDARD, "outside"), right, wrong)


def gram() -> Case:
    right = 1.25 * np.array(AMPLE.levels)
    wrong = {"W ≍ I/(β−1)": right * 4 / 1.25, "factor": right * 9 / 8, "swapped": right[::-1]}
    return Case(lambda p: check.limit(p, check.GRAM, AMPLE, SEED, STANDARD, "printed"), right, wrong)


def pair(quantity: Quantity, formula: sp.Expr) -> Case:
    """Lemma C.3 with its definitions put in, and the print's v."""
    full = formula.xreplace(lemma_definitions())
    here = Levels(SCARCE)
    more = {"the transform for v": [here.value(full, scalars={fm.v_z: here.transform})]}
    more["without Δ(z)"] = [here.value(formula.subs(fm.DELTA, 1).xreplace(lemma_definitions()))]
    return limit_case(quantity, SCARCE, full, more=more)


def ratio() -> Case:
    here = Levels(NEAR)
    right = np.array([here.value(bs.q)])
    wrong = {
        "factor": right * 9 / 8,
        "β": [13 / 16],
        "w": [here.value(bs.w[1])],
        "one block": [(13 / 3) / 1.9],
    }
    return Case(lambda p: check.limit(p, check.RATIO, NEAR, SEED, STANDARD, "printed"), right, wrong)


def remainder() -> Case:
    right = np.array([8 / 3])
    wrong = {"the print's z": [0.3], "factor": right * 9 / 8, "β": [3 / 8], "sign": -right}
    return Case(lambda p: check.limit(p, check.REMAINDER, SCARCE, SEED, STANDARD, "printed"), right, wrong)


def quadratic() -> Case:
    """Of three blocks; "independent" is what the traces would be were Π independent of itself."""
    F, G = (1.3, -0.6, 0.9), (0.8, -1.1, 0.5)
    formula, here = printed("ext-equivalents.b").args[3], Levels(THREE)
    mean = [here.value(bs.average(bs.mu[bs.k] * bs.w[bs.k] * x[bs.k], 3), {f: F, g: G}) for x in (f, g)]
    more = {"independent": [mean[0] * mean[1]]}
    return limit_case(check.quadratic(F, G), THREE, formula, {f: F, g: G}, more)


def growth() -> Case:
    wrong = {"finite": 0.0, "d²": 2.0, "√d": 0.4, "falls": -1.0}
    return Case(lambda p: check.growth(p, TEST, SEED, STANDARD, "printed"), 1.0, wrong)


# Identities -------------------------------------------------------------------------------------------


def _scaled(by: float, right: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda at: by * right(at)


def slope(measure: identities.Measure, side: sp.Expr, scaled: bool, more: Mapping[str, sp.Expr]) -> Case:
    right = of(side, scaled)
    wrong: dict[str, Any] = {"factor": _scaled(9 / 8, right), "sign": _scaled(-1.0, right)}
    wrong |= {name: of(other, scaled) for name, other in more.items()}
    return Case(lambda p: identities.identity(measure, p, SEED), right, wrong)


def slope_of_mean() -> Case:
    A, test, R = nt.A, nt.Sigma, fm.R
    more = {
        "Σ for Σ²": -fm.normalised(R * (A * test * A) * R),
        "one R": -fm.normalised(R * (A * test**2 * A)),
        "A for A²": -fm.normalised(test**2 * A * R**2),
    }
    return slope(identities.slope_of_mean, printed("eq-C.22").rhs, True, more)


def slope_of_block() -> Case:
    D1, D2, R = fm.D_1, fm.D_2, fm.R
    more = {"one R": -fm.normalised(D1 * R * D2), "blocks alike": -fm.normalised(D1 * R * D1 * R)}
    return slope(identities.slope_of_block, printed("eq-C.70").rhs, False, more)


def normalisation() -> Case:
    more = {
        "not normalised": sp.Trace(nt.Sigma**2 * nt.Pinv(inv.G_hat)),
        "Σ": fm.normalised(nt.Sigma * nt.Pinv(inv.G_hat)),
    }
    return slope(identities.inverse_trace, printed("eq-C.20").args[2], True, more)


def trace_identity() -> Case:
    def right(at: identities.Small, factor: float = 1.0) -> float:
        s = float((1 / (np.linalg.eigvalsh(at.M.T @ at.M) + at.z)).mean())
        return 1 - at.B / at.d + factor * at.B / at.d * at.z * s

    wrong = {
        "no β": lambda at: right(at, at.d / at.B),
        "no z": lambda at: right(at, 1 / at.z),
        "other sign": lambda at: right(at, -1.0),
        "1 − β left out": lambda at: right(at) - 1 + at.B / at.d,
    }
    return Case(lambda p: identities.identity(identities.scaled_mean, p, SEED), right, wrong)


def projection() -> Case:
    sides = [one.args[0] for one in printed("eq-C.44").args]
    right = of(sides[1])
    wrong: dict[str, Any] = {
        "factor": _scaled(9 / 8, right),
        "complement": lambda at: np.eye(at.d) - right(at),
        "no z": of(nt.I - fm.R),
        "transposed product": of(fm.M * fm.M.T),
    }
    return Case(lambda p: identities.approach(identities.projection, p, SEED), right, wrong)


def cross_trace() -> Case:
    expression = printed("eq-C.60").args[0]
    wrong = {
        "z for z²": of(expression / bs.z),
        "sign": of(-expression),
        "one R": of(bs.z * fm.normalised(fm.D_1 * fm.R * fm.D_2)),
        "factor": of(expression * sp.Rational(9, 8)),
    }
    return Case(lambda p: identities.approach(identities.projected_trace, p, SEED), of(expression), wrong)


def square_at_zero() -> Case:
    """B ≥ d; with B < d the right one is wrong, as it diverges."""
    expression = printed("eq-C.24.a").args[0]
    right = of(expression, scaled=True)
    wrong = {"factor": _scaled(9 / 8, right), "one R": of(fm.normalised(nt.Sigma**2 * nt.A**2 * fm.R), True)}
    run = partial(identities.approach, identities.square_trace, seed=SEED, form="condition")
    assert run(right, shapes=((4, 2),)).outcome == "differs"
    return Case(lambda p: run(p, shapes=((3, 5), (2, 4))), right, wrong)


PLAN: Plan = {
    "equivalents.limit": (
        shares,
        shares_off_range,
        partial(leakage, SCARCE),
        partial(leakage, NEAR),
        inverse_below,
        inverse_above,
        inverse_by_block,
        partial(inverse_of_many, THREE),
        partial(inverse_of_many, PAST),
        square,
        resolvents,
        mean,
        transform,
        null_space,
        gram,
        lambda: pair(check.PAIR, fm.TWO_RESOLVENTS),
        lambda: pair(check.SLOPE, printed("eq-C.78").rhs),
        ratio,
        remainder,
        quadratic,
    ),
    "equivalents.growth": (growth,),
    "resolvent_identities.identity": (slope_of_mean, slope_of_block, normalisation, trace_identity),
    "resolvent_identities.approach": (projection, cross_trace, square_at_zero),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def test_every_factor_of_the_leakage_has_its_edits() -> None:
    """μ₁μ₂v₁v₂/(μ₁v₁ + μ₂v₂): each family out, squared and exchanged, each term of the sum by sign."""
    names = [name for name, _ in edits(fm.LEAKAGE)]
    assert {f"{base} {what}" for base in ("mu", "v") for what in ("left out", "squared")} <= set(names)
    assert sum("other sign" in name for name in names) == 3
