"""Wrong laws of a revealed Wishart matrix, and wrong means of what is drawn from the right one.

Sampled at the ``quick`` profile: frequencies to 8 %, means to 12 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from mutations import Case, Plan, unnoticed

from theory import revealed
from theory.kstep_value import k_step_risk
from theory.notation import I, Sigma_hat, V, k, n, w_star
from theory.revealed import STEP, Q_l, Z_k, Z_next, at, chi, e_j, h_l, q_l, root
from verify.checks import revealed as check
from verify.checks.kstep import Chain, wide
from verify.profiles import PROFILES
from verify.revealed_law import (
    ASKED,
    Law,
    answers_of,
    chains,
    ends_of,
    errors_of,
    moments_agree,
    printed,
    risks_of,
    step_agrees,
    two_steps_agree,
)

SEED = 20260306
QUICK, STANDARD = PROFILES["quick"], PROFILES["standard"]
NEVER = sp.Gt(at, n + 99, evaluate=False)


def z(freedom: sp.Expr = n - at + 1, along: sp.Expr = 1, across: sp.Expr = 1, onto: sp.Expr = I) -> sp.Expr:
    return along * chi[freedom] * q_l + across * (onto - Q_l * Q_l.T) * h_l


def wrong_laws() -> dict[str, Law]:
    right = printed()
    laws = {
        "n degrees of freedom": z(n),
        "one more": z(n - at + 2),
        "one less": z(n - at),
        "one less each time, twice": z(n - 2 * at + 2),
        "not projected": chi[n - at + 1] * q_l + h_l,
        "projected off the last alone": chi[n - at + 1] * q_l + (I - q_l * q_l.T) * h_l,
        "reflected": chi[n - at + 1] * q_l + (I - 2 * Q_l * Q_l.T) * h_l,
        "factor along": z(along=sp.Rational(9, 8)),
        "factor across": z(across=sp.Rational(9, 8)),
        "nothing across": chi[n - at + 1] * q_l,
    }
    found = {name: replace(right, z=value) for name, value in laws.items()}
    found["more rows than n"] = replace(right, zero=NEVER)
    found["one row too few"] = replace(right, zero=sp.Gt(at, n - 1, evaluate=False))
    return found


def answers() -> Case:
    right = printed()
    wrong = wrong_laws() | {
        "gram, factor": replace(right, gram=sp.Rational(9, 8) * right.gram),
        "gram, sign": replace(right, gram=-right.gram),
        "gram, without its inner product": replace(right, gram=right.gram - Z_k * Z_k.T * revealed.Q_k / 3),
    }
    return Case(lambda law: check.answers(answers_of(law), list(ASKED), SEED, QUICK), right, wrong)


def wrong_steps() -> dict[str, Law]:
    onto, right = V * root * Z_next * Z_next.T * root * e_j, printed()
    return {
        "step, sign": replace(right, step=e_j - onto / n),
        "step, factor": replace(right, step=e_j + sp.Rational(5, 4) * onto / n),
        "step, not divided": replace(right, step=e_j + onto),
        "step, n + 1": replace(right, step=e_j + onto / (n + 1)),
        "step, Vᵀ": replace(right, step=STEP.subs(V, V.T)),
        "step, V after": replace(right, step=e_j + root * Z_next * Z_next.T * root * V * e_j / n),
        "step, a root left out": replace(right, step=e_j + V * root * Z_next * Z_next.T * e_j / n),
        "step, no start": replace(right, step=onto / n),
    }


def errors() -> Case:
    wrong = wrong_laws() | wrong_steps()
    del wrong["more rows than n"]  # k steps ask for no direction after z_(n+1): the same law
    # Transposing Ṽ moves the frequencies by 1 to 2 %, which is below δ at quick.
    return Case(lambda law: check.errors(errors_of(law), chains(SEED), SEED, STANDARD), printed(), wrong)


def drawn() -> Case:
    """The sampler itself, asked for something else than what it is compared with."""

    def of(change: Callable[[Chain], Chain]) -> check.DrawErrors:
        return lambda at, size, source: check.drawn(change(at), size, source)

    wrong = {
        "n + 1": of(lambda c: replace(c, n=c.n + 1)),
        "n − 1": of(lambda c: replace(c, n=c.n - 1)),
        "sign": of(lambda c: replace(c, V=-c.V)),
        "Vᵀ": of(lambda c: replace(c, V=c.V.T)),
        "Σ's diagonal": of(lambda c: replace(c, Sigma=np.diag(np.diagonal(c.Sigma)))),
        "factor": of(lambda c: replace(c, V=1.25 * c.V)),
        "without the first step": lambda at, size, source: check.drawn(replace(at, k=at.k + 1), size, source)[
            :, 1:
        ],
    }
    return Case(lambda p: check.errors(p, chains(SEED), SEED, QUICK), check.drawn, wrong)


def risk() -> Case:
    at = [check.chain(3, 6, 2, SEED), wide(SEED, 2)]

    def of(change: Callable[[Chain], Chain], more: int = 0) -> Callable[[Chain], np.ndarray]:
        def value(c: Chain) -> np.ndarray:
            now = change(c)
            return np.array([k_step_risk(now.V, now.Sigma, now.n, j + more) for j in range(1, c.k + 1)])

        return value

    wrong = {
        "n + 1": of(lambda c: replace(c, n=c.n + 1)),
        "n = ∞": of(lambda c: replace(c, n=10**9)),
        "sign": of(lambda c: replace(c, V=-c.V)),
        "diagonal Σ": of(lambda c: replace(c, Sigma=np.diag(np.diagonal(c.Sigma)))),
        "k + 1": of(lambda c: c, 1),
        "factor": lambda c: risks_of(printed())(c) * 9 / 8,
        "the last alone": lambda c: risks_of(printed())(c) * np.array([1, 9 / 8]),
        "first for last": lambda c: risks_of(printed())(c)[::-1],
    }
    return Case(lambda p: check.risk(p, at, SEED, QUICK), risks_of(printed()), wrong)


def ends() -> Case:
    right = printed()
    wrong = {
        "step": V * Sigma_hat * w_star,
        "sign": (I - V * Sigma_hat) ** k * w_star,
        "k + 1": (I + V * Sigma_hat) ** (k + 1) * w_star,
        "Vᵀ": (I + V.T * Sigma_hat) ** k * w_star,
        "S first": (I + Sigma_hat * V) ** k * w_star,
    }
    cases = {name: ends_of(replace(right, end=one)) for name, one in wrong.items()}
    return Case(lambda p: check.ends(p, chains(SEED), SEED), ends_of(right), cases)


PLAN: Plan = {
    "revealed.ends": (ends,),
    "revealed.answers": (answers,),
    "revealed.errors": (errors, drawn),
    "revealed.risk": (risk,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def test_exact_evidence_sees_wrong_laws() -> None:
    assert moments_agree(printed())
    assert step_agrees(printed())
    assert {name for name, law in wrong_steps().items() if step_agrees(law)} == set()
    assert {name for name, law in wrong_laws().items() if moments_agree(law)} == set()


@pytest.mark.parametrize("name", ["n degrees of freedom", "one more", "one less", "one row too few"])
def test_two_steps_see_wrong_degrees_of_freedom(name: str) -> None:
    assert two_steps_agree(printed())
    assert not two_steps_agree(wrong_laws()[name])
