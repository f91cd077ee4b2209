"""Wrong formulas for the terms of Theorem B.1, each in one place, and the checks that call them wrong.

An identity that every draw satisfies shows all of them.  A limit shows those that are off by more than twice
its δ, and these have to be most of what a wrong sign, index or missing term can do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed

from theory import block_symbols as bs
from theory import error_levels, error_terms
from theory import error_term_formulas as fm
from theory.notation import d
from theory.statement import registry
from verify.checks import error_terms as check
from verify.error_term_settings import (
    ABOVE,
    FIGURE,
    GENERIC,
    OTHER,
    PAPER,
    at_limit,
    of_draw,
    of_matrices,
    printed_levels,
)
from verify.profiles import PROFILES

SEED = 20260307
STANDARD = PROFILES["standard"]


def edits(expression: sp.Expr) -> Iterator[tuple[str, sp.Expr]]:
    """The expression changed at one place: a summand left out, times 9/8 or with the other sign, a factor
    left out, an exponent up or down by one, a block index 1 ↔ 2."""
    if expression.is_Add:
        for x in expression.args:
            yield f"without {x}", expression - x
            yield f"{x} times 9/8", expression + x / 8
            yield f"{x} with the other sign", expression - 2 * x
    if expression.is_Mul:
        for x in expression.args:
            yield f"{expression} without the factor {x}", expression / x
    if expression.is_Pow:
        base, exponent = expression.args
        yield f"{expression} with exponent {exponent - 1}", base ** (exponent - 1)
        yield f"{expression} with exponent {exponent + 1}", base ** (exponent + 1)
    if isinstance(expression, sp.Indexed):
        block = expression.indices[0]
        yield f"{expression.base}[{3 - block}] for {expression}", expression.base[3 - block]
        return
    for at, x in enumerate(expression.args):
        for name, changed in edits(x):
            args = [*expression.args[:at], changed, *expression.args[at + 1 :]]
            yield f"{name} in {expression}", expression.func(*args)


def single_place(formula: sp.Expr) -> dict[str, sp.Expr]:
    """All :func:`edits` of a formula for two blocks that are another function, each function once."""
    whole = bs.explicit(formula, 2)
    symbols = sorted(whole.atoms(sp.Symbol, sp.Indexed), key=str)
    values = {x: sp.Rational(sp.prime(j + 7), 10) for j, x in enumerate(symbols)}
    found, seen = {}, {whole.xreplace(values)}
    for name, mutant in (("times 9/8", whole * sp.Rational(9, 8)), ("sign", -whole), *edits(whole)):
        value = mutant.xreplace(values)
        if value not in seen:
            seen.add(value)
            found[name] = mutant
    return found


def _form(id: str) -> sp.Expr:
    statement = registry()[id]
    return fm.value(statement.printed if statement.corrected is None else statement.corrected)


def identity(id: str, measure: str, least: int) -> Case:
    right = _form(id)
    if measure in ("T_11", "T_22"):
        right = right.subs(bs.k, int(measure[-1]))
    wrong = {name: of_draw(mutant) for name, mutant in single_place(right).items()}
    if registry()[id].corrected is not None:
        wrong["the print"] = of_draw(fm.value(registry()[id].printed))
    assert len(wrong) >= least, len(wrong)
    return Case(lambda p: check.identity(p, measure, (GENERIC,), SEED), of_draw(right), wrong)


def expansion(id: str, measure: str) -> Case:
    """Each of the three traces wrong in its factor or sign, and other third traces."""
    right = _form(id)
    X = fm.Sigma_A if measure == "T_var" else error_terms.Sigma
    wrong = {"the print": fm.value(registry()[id].printed)}
    for term in right.args:
        wrong[f"without {term}"] = right - term
        wrong[f"{term} times 9/8"] = right + term / 8
        wrong[f"{term} with the other sign"] = right - 2 * term
    (third,) = (t for t in right.args if str(t).count("Pi_M") == 2)
    D, Pi = fm.D_pre, fm.Pi
    for name, other in (("once Π", D * Pi * X * D), ("D² inside", Pi * D * X * D * Pi), ("no Π", D * X * D)):
        wrong[name] = right - third + sp.Trace(other) / d
    return Case(
        lambda p: check.identity(p, measure, (GENERIC,), SEED),
        of_matrices(right),
        {name: of_matrices(form) for name, form in wrong.items()},
    )


def _off(right: list[float], wrong: list[float]) -> float:
    return float(max(abs(x / y - 1) if y else np.inf for x, y in zip(right, wrong, strict=True)))


def limit(id: str, measure: str, tasks: tuple[check.Task, ...], delta: float, least: int) -> Case:
    """Of a formula after (B.13) to (B.17) put in; T_inv is a number to it."""
    right = _form(id)

    def values(formula: sp.Expr) -> list[float]:
        return [at_limit(formula, task) for task in tasks]

    goal, wrong = values(right), {}
    candidates = single_place(right) | {"the print": fm.value(registry()[id].printed)}
    for name, mutant in candidates.items():
        found = values(mutant)
        if _off(goal, found) > 2 * delta:
            wrong[name] = found
    assert len(wrong) >= least, len(wrong)
    parts = [(measure, task) for task in tasks]
    return Case(lambda p: check.limits(p, parts, SEED, STANDARD, delta=delta), goal, wrong)


def noise() -> Case:
    """γT_invT_var, γΣ̄T_var,Σ, γ²Σ̄T_inv,ΣT_var and the whole: every factor counts."""
    true = {fm.T_var: fm.variance(bs.s), fm.T_var_Sigma: fm.variance(bs.Sigma), fm.Bias: fm.BIAS}
    names = {"noise": "noise I", "signal": "signal II", "signal_noise": "noise II"}
    tasks = (GENERIC, ABOVE)

    def values(terms: dict[str, sp.Expr]) -> list[float]:
        whole = sp.Add(fm.BIAS, *(terms[name] for name in names))
        formulas = [*(terms[name] for name in names), whole]
        return [at_limit(f.subs(true), task) for f in formulas for task in tasks]

    right = {name: fm.TERMS[name] for name in names}
    wrong = {}
    for name, term in right.items():
        changed = dict(edits(term)) | {"twice": 2 * term, "T_inv swapped": _swapped(term)}
        for what, mutant in changed.items():
            if mutant != term:
                wrong[f"{name}: {what}"] = values(right | {name: mutant})
    printed = {fm.T_var: fm.printed_variance(bs.s), fm.T_var_Sigma: fm.printed_variance(bs.Sigma)}
    whole = fm.value(registry()["thm-B.1"].printed)
    wrong["the print of the sum"] = [*values(right)[:-2], *(at_limit(whole, task) for task in tasks)]
    for symbol, form in printed.items():
        wrong[f"the print of {symbol}"] = values({name: f.subs({symbol: form}) for name, f in right.items()})
    parts = [(measure, task) for measure in (*names.values(), "error") for task in tasks]
    delta = check.DELTA_NOISE
    wrong = {name: found for name, found in wrong.items() if _off(values(right), found) > 2 * delta}
    assert len(wrong) >= 17, len(wrong)
    return Case(lambda p: check.limits(p, parts, SEED, STANDARD, delta=delta), values(right), wrong)


def _swapped(term: sp.Expr) -> sp.Expr:
    return term.xreplace({fm.T_inv: fm.T_inv_Sigma, fm.T_inv_Sigma: fm.T_inv})


def levels(id: str, line: int) -> Case:
    printed = registry()[id].printed
    equation = printed if isinstance(printed, sp.Eq) else printed.args[line]
    left, right = equation.args[0], equation.args[-1]
    indexed = isinstance(left, sp.Indexed)
    quantity = str(left.base).removesuffix("_block") if indexed else str(left)
    at = int(left.indices[0]) - 1 if indexed else 0

    def of(formula: sp.Expr) -> Callable[[check.Task], list[float]]:
        return lambda task: [printed_levels(formula, task)]

    def run(prediction: Callable[[check.Task], list[float]]) -> Any:
        return check.levels(prediction, quantity, PAPER, blocks=slice(at, at + 1))

    wrong = {name: of(mutant) for name, mutant in single_place(right).items()}
    assert len(wrong) >= 5
    return Case(run, of(right), wrong)


def constant(id: str, quantity: str) -> Case:
    """A trace that is not random, and the same without its 1/d."""
    right = _form(id)

    def of(formula: sp.Expr) -> Callable[[check.Task], list[float]]:
        return lambda task: [at_limit(formula, task)]

    wrong = {name: of(mutant) for name, mutant in single_place(right).items()}
    return Case(lambda p: check.levels(p, quantity, (GENERIC, OTHER)), of(right), wrong)


def without_division() -> Case:
    def run(quantity: str) -> Any:
        right = _form("eq-C.32.b")
        return check.levels(lambda task: [at_limit(right, task)], quantity, (GENERIC,))

    return Case(run, "tr(Γ₀⁻²Σ_A)/d", {"1/d": "tr(Γ₀⁻²Σ_A)"})


TWO = (FIGURE, GENERIC)
PLAN: Plan = {
    "error_terms.identity": (
        partial(identity, "eq-B.13", "bias", 40),
        partial(identity, "eq-B.16", "T_var", 45),
        partial(identity, "eq-B.17", "T_var,Σ", 45),
        partial(identity, "eq-C.12", "bias, quadratic", 35),
        partial(identity, "eq-C.13", "bias, linear", 15),
        partial(identity, "eq-C.32.c", "T_var, linear", 15),
        partial(identity, "eq-C.33", "tr(D_preΠΣ_AD_preΠ)/d", 25),
        partial(identity, "eq-C.34", "tr(D_preΠΣ_AD_preΠ)/d", 40),
        partial(identity, "eq-C.11", "T_11", 7),
        partial(identity, "eq-C.11", "T_22", 7),
        partial(expansion, "eq-C.32.a", "T_var"),
        partial(expansion, "eq-C.38", "T_var,Σ"),
    ),
    "error_terms.limits": (
        partial(limit, "eq-B.13", "bias", TWO, check.DELTA, 30),
        partial(limit, "eq-B.16", "T_var", TWO, check.DELTA, 35),
        partial(limit, "eq-B.17", "T_var,Σ", TWO, check.DELTA, 35),
        partial(limit, "eq-C.43", "noise II", TWO, check.DELTA_NOISE, 30),
        noise,
    ),
    "error_terms.levels": (
        partial(levels, "eq-B.7.a", 0),
        *(partial(levels, f"eq-B.7.{part}", line) for part in "bcd" for line in (0, 1)),
        *(partial(levels, id, line) for id in ("eq-B.8", "eq-B.9") for line in (0, 1)),
        partial(constant, "eq-C.5", "tr(D₁²)/d"),
        partial(constant, "eq-C.32.b", "tr(Γ₀⁻²Σ_A)/d"),
        without_division,
    ),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


assert error_levels  # registers its statements
