"""Wrong predictions of the limit of Err(Ṽ_*): of its parts, of what is read off the curve, of a column.

A wrong form is planted where its values are off by more than twice the check's tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, mutants, unnoticed
from numpy.typing import NDArray

from theory import block_symbols as bs
from theory import notation as nt
from theory import sft_limit
from theory import sft_limit_calculus as calculus
from theory.block_symbols import Sigma, k, mu, v, w
from theory.lower import lower_matrix
from theory.sft_limit_calculus import L, c_dagger, psi
from theory.statement import registry
from verify import limit_predictions as predict
from verify.checks import sft_columns as columns
from verify.checks import sft_limit as check
from verify.profiles import PROFILES

Array = NDArray[np.float64]
SEED = 20260306
STANDARD = PROFILES["standard"]
R = sp.Rational


def printed(letter: str) -> sp.Basic:
    return registry()[f"ext-limit.{letter}"].printed


DEFINITIONS = list(predict.equations(printed("j")))


def redefined(symbol: sp.Basic, value: sp.Expr) -> list[sp.Eq]:
    """The definitions with one of them changed."""
    assert any(each.lhs == symbol for each in DEFINITIONS)
    return [sp.Eq(symbol, value, evaluate=False) if each.lhs == symbol else each for each in DEFINITIONS]


# Definitions without what the sampling of the prompts adds, and other slips in them.
LEVELS: dict[str, list[sp.Eq]] = {
    "γ left out of Γ₀": redefined(bs.g[k], -1 / bs.pre[k]),
    "γ left out of L": redefined(L[k], 1 / bs.a[k]),
    "γ left out of C": redefined(bs.c[k], bs.a[k] ** 2),
    "r̄ = 1": redefined(calculus.r_bar, sp.Integer(1)),
    "ā for γā": redefined(L[k], 1 / (bs.a[k] + calculus.a_bar)),
    "γ_pre is γ": redefined(bs.g[k], -1 / (bs.pre[k] + bs.aspect * calculus.p_bar)),
    "η left out": redefined(psi[k], -L[k] - bs.g[k]),
    "v = w": redefined(v[k], w[k]),
}


def split(form: sp.Expr) -> dict[str, sp.Expr]:
    """Each summand left out, doubled, and with the other sign."""
    parts = sp.Add.make_args(form)
    found = {}
    for at, part in enumerate(parts if len(parts) > 1 else ()):
        found |= {
            f"summand {at} out": form - part,
            f"summand {at} twice": form + part,
            f"summand {at} sign": form - 2 * part,
        }
    return found


def wrong_values(
    task: check.Task, below: sp.Expr, past: sp.Expr | None, more: Mapping[str, sp.Expr], delta: float
) -> dict[str, Any]:
    right = np.array(predict.curve(task, DEFINITIONS, below, past))
    forms = {**split(below), **more}
    found = {name: predict.curve(task, DEFINITIONS, form, past) for name, form in forms.items()}
    for name, table in LEVELS.items():
        if "out of L" in name and 0 in task.post:
            continue  # 1/0
        found[name] = predict.curve(task, table, below, past)
    found |= {"half as much again": 1.5 * right, "sign": -right, "reversed": right[::-1]}
    kept = {n: x for n, x in found.items() if np.abs(np.array(x) / right - 1).max() > 2 * delta + 0.02}
    assert kept.keys() >= more.keys() | {"half as much again", "sign"}
    return kept


def part(
    name: str, form: sp.Expr, past: sp.Expr | None, more: Mapping[str, sp.Expr], task: check.Task
) -> Case:
    right = predict.curve(task, DEFINITIONS, form, past)
    wrong = wrong_values(task, form, past, more, check.PARTS[name])
    return Case(lambda p: check.parts(p, name, task, SEED, STANDARD), right, wrong)


def traces() -> list[tuple[str, sp.Expr, sp.Expr | None, dict[str, sp.Expr]]]:
    levels = {sft_limit.f[k]: bs.pre[k], sft_limit.x[k]: Sigma[k]}
    linear, quadratic, inverse = (each.xreplace(levels) for each in predict.limits(printed("f")))
    alone = bs.average(mu[k] * bs.pre[k] * Sigma[k] * w[k] ** 2)
    one = bs.average(mu[k] * bs.pre[k] * v[k]) * bs.q
    return [
        ("linear", linear, None, {"w²": bs.average(mu[k] * bs.pre[k] * w[k] ** 2)}),
        ("quadratic", quadratic, None, {"Π diagonal": alone}),
        ("inverse", inverse, calculus.inverse_past(bs.pre[k]), {"no Σμv under it": one}),
    ]


def parts() -> list[tuple[str, sp.Expr, sp.Expr | None, dict[str, sp.Expr]]]:
    (bias,), (signal,), noise = (predict.limits(printed(letter)) for letter in "ghi")
    # tr(ΨΠΣΨΠ), the order of factors that the paper prints in C.32, for tr(ΨΠΣΠΨ)
    swapped = bs.average(mu[k] * v[k] * psi[k]) * bs.average(mu[k] * v[k] * psi[k] * Sigma[k])
    proper = bs.average(mu[k] * v[k] * psi[k] ** 2) * bs.average(mu[k] * v[k] * Sigma[k])
    order = signal + (swapped - proper) / bs.average(mu[k] * v[k])
    factor = nt.eta**2 * calculus.r_bar
    past = [factor * calculus.inverse_past(x) for x in (Sigma[k] ** 2, Sigma[k])]
    return [
        ("bias", bias, None, {}),
        ("signal", signal, None, {"order of the factors": order}),
        ("noise", noise[0], past[0], {"r̄ left out": noise[0] / calculus.r_bar}),
        ("signal noise", noise[1], past[1], {"η for η²": noise[1] / nt.eta}),
    ]


def error() -> tuple[str, sp.Expr, sp.Expr | None, dict[str, sp.Expr]]:
    below, past = predict.limits(printed("j"))
    return "error", below, past, {}


def _cases(rows: Sequence[Any]) -> tuple[Callable[[], Case], ...]:
    return tuple(partial(part, *row, task) for row in rows for task in (check.GENERIC, check.SINGULAR))


# What is read off the curve -----------------------------------------------------------------------


def read(
    letter: str, which: int, combine: Array, task: check.Task, wrong: Mapping[str, sp.Expr], delta: float
) -> Case:
    form = predict.limits(printed(letter))[which]

    def value(of: sp.Expr) -> list[float]:
        return [predict.anywhere(task, DEFINITIONS, of.subs(bs.rho_pre, R(task.pre[0])))] * len(combine)

    def run(prediction: list[float]) -> Any:
        return check.errors(prediction, combine, (task,), "planted", SEED, STANDARD, delta=delta)

    planted = {name: value(other) for name, other in wrong.items()}
    planted |= {"twice": [2 * x for x in value(form)], "sign": [-x for x in value(form)]}
    return Case(run, value(form), planted)


def spike() -> Case:
    task = predict.with_betas(check.SINGULAR, "5/8", "7/8", size=144)
    unheld = bs.average(mu[k] * c_dagger[k] * calculus.chi[k])
    wrong = {"r̄ left out": nt.eta**2 * unheld, "η for η²": nt.eta * calculus.r_bar * unheld}
    return read("k", 0, np.eye(2) / 8, task, wrong, 0.25)


def start() -> Case:
    task = predict.with_betas(check.GENERIC, "1/48", "1/24", size=48)
    one = (1 + bs.g[k] * Sigma[k]) ** 2
    wrong = {"after": bs.average(mu[k] * calculus.risk_after[k]), "no sampling": bs.average(mu[k] * one)}
    return read("l", 0, np.array([[2.0, -1.0]]), task, wrong, 2e-2)


def end() -> Case:
    task = predict.with_betas(check.GENERIC, 2, 4, size=48)
    one = (1 - nt.eta * L[k] * Sigma[k]) ** 2
    wrong = {"before": bs.average(mu[k] * calculus.risk_before[k]), "no sampling": bs.average(mu[k] * one)}
    return read("l", 1, np.array([[-1.0, 3.0]]) / 2, task, wrong, 0.12)


def small_r() -> Case:
    """The F(∞) of Proposition B.2 has 1/r where this has 1/(r + γā)."""
    task = check.interference(0.02)
    linearised = calculus.block_risk(-nt.eta / bs.a[k])
    wrong = {
        "A⁻¹ for L": bs.average(mu[k] * linearised),
        "before": bs.average(mu[k] * calculus.risk_before[k]),
    }
    return read("n", 0, np.array([[-5.0, 11.0]]) / 6, task, wrong, 7e-2)


def figure() -> Case:
    below, past = predict.limits(printed("j"))
    values = wrong_values(check.FIGURE, below, past, {}, 3e-2)
    right = predict.curve(check.FIGURE, DEFINITIONS, below, past)

    def run(prediction: list[float]) -> Any:
        return check.errors(prediction, np.eye(2), (check.FIGURE,), "planted", SEED, STANDARD)

    return Case(run, right, values)


# A column -----------------------------------------------------------------------------------------


def law() -> Case:
    form = printed("a").rhs
    right = predict.columns(form)

    def edited(change: Callable[[columns.Normals], columns.Normals]) -> Callable[[columns.Normals], Array]:
        return lambda of: right(change(of))

    def apart(of: columns.Normals) -> Array:
        """Another c at h than at û."""
        h = of.h * np.sqrt(np.roll(of.c, 1) / of.c)[:, None]
        return right(columns.Normals(of.root, of.n, of.w, h, of.c))

    def whole(of: columns.Normals) -> Array:
        """h with its part along û."""
        u = of.w @ of.root
        unit = u / np.linalg.norm(u, axis=1, keepdims=True)
        lost = unit * (unit * of.h).sum(1, keepdims=True)
        factor = np.linalg.norm(u, axis=1) * np.sqrt(of.c) / of.n
        return right(of) + factor[:, None] * lost @ of.root

    wrong = {
        "no h": edited(lambda of: columns.Normals(of.root, of.n, of.w, 0 * of.h, of.c)),
        "c is n": edited(lambda of: columns.Normals(of.root, of.n, of.w, of.h, 0 * of.c + of.n)),
        "factor": lambda of: right(of) * 9 / 8,
        "sign": lambda of: -right(of),
        "two c": apart,
        "h along û": whole,
    }
    return Case(lambda p: columns.law(p, SEED, STANDARD), right, wrong)


def regression() -> Case:
    listing, remainder = printed("d").args
    own = printed("c").args[1].args[-1]
    slope, C = listing.args[0].rhs, sft_limit.C
    right = predict.regression(slope, remainder.rhs, own)
    mean = nt.A**2 + sp.Trace(nt.A) / nt.n * nt.A
    wrong: dict[str, Any] = {
        "A⁻¹": predict.regression(nt.Pinv(nt.A), remainder.rhs, own),
        "n/(n+1) left out": predict.regression(slope, remainder.rhs, mean),
        "trace left out": predict.regression(slope, remainder.rhs, (nt.n + 1) / nt.n * nt.A**2),
        "remainder I − AC†": predict.regression(slope, nt.I - nt.A * nt.Pinv(C), own),
        "remainder I": predict.regression(slope, nt.I, own),
        "factor": predict.regression(slope * R(9, 8), remainder.rhs, own),
        "sign": predict.regression(-slope, remainder.rhs, own),
    }
    return Case(lambda p: columns.regression(p, SEED, STANDARD), right, wrong)


def decomposition() -> Case:
    form = lower_matrix(printed("e").rhs)
    wrong = {name: predict.two_parts(mutant) for name, mutant in mutants(form).items()}
    return Case(lambda p: columns.decomposition(p, SEED), predict.two_parts(form), wrong)


def rescaling() -> Case:
    right = predict.rescaled(printed("o").args[0])
    wrong = {
        "η alone": lambda s: (1.0, s),
        "A alone": lambda s: (s, 1.0),
        "A²": lambda s: (s**2, s),
        "inverse": lambda s: (s, 1 / s),
    }
    return Case(lambda p: columns.rescaling(p, SEED), right, wrong)


def coupling() -> Case:
    """A factor that is off by a fifth leaves a norm that stops falling only at d in the thousands."""
    form = printed("b").args[2].args[0].rhs
    right = predict.ideal(form)
    wrong: dict[str, Any] = {
        "no H": predict.ideal(nt.A * nt.Omega),
        "no Ω": predict.ideal(form - nt.A * nt.Omega),
        "sign": predict.ideal(2 * nt.A * nt.Omega - form),
        "γ left out": predict.ideal(nt.A * nt.Omega + sp.sqrt(calculus.a_bar) * sft_limit.root * sft_limit.H),
        "ā left out": predict.ideal(nt.A * nt.Omega + sp.sqrt(bs.aspect) * sft_limit.root * sft_limit.H),
        "one half": lambda A, ratio, w, h: 0.5 * right(A, ratio, w, h),
    }
    return Case(lambda p: columns.coupling(p, SEED), right, wrong)


def squares() -> Case:
    level = printed("c").args[2]
    task = predict.of_task(check.GENERIC).defined(DEFINITIONS[:1])  # ā

    def made(finite: sp.Expr, end: sp.Expr) -> Callable[[int], Array]:
        def levels(d: int) -> Array:
            sized = task.with_scalar(nt.d, float(d))
            return np.array([sized.of(form, block) for form in (finite, end) for block in (1, 2, 3)])

        return levels

    finite, end = level.args[0], level.args[3]
    noise = bs.aspect * calculus.a_bar * bs.a[k]
    wrong = {
        "γā left out": made(finite - noise, end - noise),
        "γā twice": made(finite + noise, end + noise),
        "1/d left out": made(end, end),
        "half as much again": made(1.5 * finite, 1.5 * end),
    }
    return Case(lambda p: check.squares(p, check.GENERIC, SEED, STANDARD), made(finite, end), wrong)


PLAN: Plan = {
    "sft_limit.squares": (squares,),
    "sft_limit.parts": _cases([*traces(), *parts(), error()]),
    "sft_limit.errors": (spike, start, end, small_r, figure),
    "sft_columns.law": (law,),
    "sft_columns.regression": (regression,),
    "sft_columns.decomposition": (decomposition,),
    "sft_columns.rescaling": (rescaling,),
    "sft_columns.coupling": (coupling,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}
