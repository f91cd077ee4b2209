"""Wrong predictions of what pretraining ends at.

At the standard profile: parts of Γ₀ of order 1/n² are within the tolerance of ``quick``.
"""

from __future__ import annotations

import numpy as np
import pytest
from mutations import BY_LENGTH, Case, Plan, mutants, shared_work, unnoticed
from numpy.typing import NDArray

from theory import notation as nt
from theory import pretraining
from theory.lower import lower_matrix
from theory.words.evaluate import evaluate
from theory.words.poly import Matrix, letter
from verify.checks import pretraining as before
from verify.predictions import GAMMA0, SIGMA0
from verify.profiles import PROFILES

Array = NDArray[np.float64]
SEED = 20260303
STANDARD = PROFILES["standard"]
V_INIT = nt.letter_of(pretraining.V_init)
GAMMA = pretraining.gamma0_derived()
MINUS_INVERSE = lower_matrix(-nt.Gamma0.I)
P = lower_matrix(nt.Sigma0 * nt.Pinv(nt.Sigma0))
CORRECTED = MINUS_INVERSE @ P + letter(V_INIT) - letter(V_INIT) @ P


def pretrained(outer: Matrix, gamma: Matrix = GAMMA) -> before.Goal:
    """``outer``, an expression in Γ₀, Σ₀ and the initial Ṽ, with ``gamma`` for Γ₀."""

    def goal(Sigma0: Array, n: int, initial: Array) -> Array:
        value = evaluate(gamma, {SIGMA0: Sigma0}, {nt.n: n})
        return np.asarray(evaluate(outer, {GAMMA0: value, SIGMA0: Sigma0, V_INIT: initial}, {nt.n: n}))

    return goal


def wrong_ends(outer: Matrix) -> dict[str, before.Goal]:
    wrong = {
        f"Γ₀: {name}": pretrained(outer, m) for name, m in mutants(GAMMA, BY_LENGTH, {nt.n: nt.n + 1}).items()
    }
    return wrong | {name: pretrained(m) for name, m in mutants(outer, BY_LENGTH, letters=[SIGMA0]).items()}


def block_V() -> Case:
    right = pretrained(MINUS_INVERSE)
    wrong = wrong_ends(MINUS_INVERSE) | {"Σ₀ for Γ₀": pretrained(MINUS_INVERSE, lower_matrix(nt.Sigma0))}
    return Case(lambda p: before.block_V(p, SEED, STANDARD, {"V", "W"}), right, wrong)


def block_V_singular() -> Case:
    wrong = wrong_ends(CORRECTED) | {"for invertible Σ₀": pretrained(MINUS_INVERSE)}
    return Case(lambda p: before.block_V(p, SEED, STANDARD, {"V"}, 2), pretrained(CORRECTED), wrong)


def block_W() -> Case:
    wrong = {
        "factor": lambda start: start * 9 / 8,
        "sign": lambda start: -start,
        "transposed": lambda start: start.T,
        "I": lambda start: np.eye(len(start)),
    }
    return Case(lambda p: before.block_W(p, SEED, None, "printed"), lambda start: start, wrong)


def free_label() -> Case:
    """b Ṽ = Γ₀⁻¹, with the wrong values that are off by more than 6 %: below δ = 5 % all may be equal."""
    Sigma0, none = before.covariance0(SEED), np.zeros((before.D, before.D))
    right = pretrained(-MINUS_INVERSE)
    end = right(Sigma0, before.N, none)
    wrong = {
        name: goal
        for name, goal in wrong_ends(-MINUS_INVERSE).items()
        if np.abs(goal(Sigma0, before.N, none) - end).max() > 0.06 * np.linalg.norm(end)
    }
    return Case(lambda p: before.free_label(p, SEED, STANDARD, "product", "printed"), right, wrong)


def held_label() -> Case:
    return Case(
        lambda p: before.held_label(p, SEED), -1.0, {"factor": -9 / 8, "sign": 1.0, "a bit": -1 + 1e-9}
    )


PLAN: Plan = {
    "pretraining.block_V": (block_V, block_V_singular),
    "pretraining.block_W": (block_W,),
    "pretraining.held_label": (held_label,),
    "pretraining.free_label": (free_label,),
}


@pytest.mark.parametrize("name", PLAN)
def test_planted(name: str) -> None:
    for make in PLAN[name]:
        assert unnoticed(make()) == {}


def test_label_alone() -> None:
    """No right value of the label entry is known in closed form; the printed −1 is a wrong one."""
    with shared_work():
        found = before.free_label(lambda *_: np.array([-1.0]), SEED, STANDARD, "label", "outside")
    assert found.outcome == "differs"
