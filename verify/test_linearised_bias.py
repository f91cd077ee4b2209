"""(C.1)–(C.8): evidence for ``theory/linearised_bias.py``."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from theory import block_symbols as bs
from theory import error_term_formulas as fm
from theory import error_term_words as ew
from theory import exact, linearised_bias
from theory import linearised_words as lw
from theory import notation as nt
from theory.lower import lower_matrix
from theory.statement import registry
from theory.words.evaluate import evaluate
from theory.words.poly import identity, letter, substitute
from verify.checks import linearised as check
from verify.checks import precision_fits as fits
from verify.checks.linearised import training
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.linearised_settings import LETTERS, of_training, plain, printed_scalar
from verify.surface import value
from verify.test_linearised import ETA, above, below, form, parts_in_words


@pytest.mark.statements("eq-C.1.a", "eq-C.1.b")
def test_term_one(ledger, profile, seed):
    fixed, _ = lw.signal_and_noise()
    left, right = parts_of_mean(form("eq-C.1.a"))
    linear = lw.vanishes_given_tasks(left - right)
    ledger.record(
        "eq-C.1.a",
        symbolic(linear, "left − right is linear in E, E[E | Ω] = 0; general d, n, B", kind="derivation"),
    )
    Omega, A, Sigma = sp.Matrix([[1, 3], [2, -1]]), sp.Matrix([[2, 1], [1, 3]]), sp.Matrix([[1, 1], [1, 4]])
    plus = (A * Omega).inv()
    V_S = -ETA * Omega * plus

    def cross(S):
        E = ((S - A) * Omega[:, 0]).row_join(sp.zeros(2, 1))
        parts = {fm.V_S: V_S, fm.V_N: -V_S * E * plus, nt.Sigma: Sigma}
        whole, split = (value(plain(side), parts) for side in form("eq-C.1.a").args)
        return whole - split

    gap = sp.simplify(exact.mean_over_prompts(cross, A.cholesky(), 2))
    ledger.record("eq-C.1.a", symbolic(gap == 0, "Gaussian moments, d=B=2, n=2, Ω given, one prompt random"))
    for d, n, B in ((3, 4, 10), (7, 4, 2)):
        of = training(d, n, B, seed(f"term {d}"))
        combined = combination(form("eq-C.1.a").rhs)
        found = check.split_mean(combined, of, True, seed(f"mean {d}"), profile)
        ledger.record("eq-C.1.a", found)
    norms = lambda of: (  # noqa: E731
        ((np.eye(of.d) + of.parts()[0] @ of.Sigma) ** 2).sum() + ((of.parts()[1] @ of.Sigma) ** 2).sum()
    )
    sets = [*below(seed), *above(seed)]
    right = of_training(form("eq-C.1.a").rhs)
    ledger.record("eq-C.1.a", check.equality(right, norms, sets, "‖I+V_SΣ‖² + ‖V_NΣ‖²"))
    centred = all(lw.mean(column).is_zero() for column in lw.columns())
    no_features = LETTERS["E"] not in fixed.letters()
    ledger.record(
        "eq-C.1.b",
        symbolic(
            centred and no_features, "E[(S−A)w*] = 0 for every w*; V_S has Ω alone, M = AΩ", kind="derivation"
        ),
    )
    of = training(3, 3, 2, seed("centred"))
    ledger.record(
        "eq-C.1.b",
        check.given_tasks(lambda of: 0 * of.E, lambda E, of: E, of, "E", seed("centred"), profile),
    )


def parts_of_mean(printed):
    """Both sides of a printed equation of means for one training set, in Ω, M and E."""
    return [substitute(printed_scalar(side), parts_in_words()) for side in printed.args]


def combination(printed, scalars=None):
    """A printed sum of two means as a function of the one without and the one with V_N, up to a factor."""
    first, second = sp.symbols("first second")
    means = printed.atoms(nt.Expectation)
    body = printed.xreplace({x: second if x.has(fm.V_N) else first for x in means}).subs(scalars or {})
    scale = sp.diff(body, first).subs({first: 0, second: 0}) or sp.Integer(1)
    return sp.lambdify([first, second], sp.cancel(body / scale))


# Matrix identities --------------------------------------------------------------------------------------


@pytest.mark.statements("eq-C.2", "eq-C.3")
def test_by_projection(ledger, seed):
    fixed, _ = lw.signal_and_noise()
    miss = identity(nt.d) + fixed @ lower_matrix(nt.Sigma)
    sets = [training(5, 8, 3, seed("narrow")), *above(seed)]
    measured = {
        "eq-C.2": lambda of: of.parts()[0],
        "eq-C.3": lambda of: np.eye(of.d) + of.parts()[0] @ of.Sigma,
    }
    for id, goal in (("eq-C.2", fixed), ("eq-C.3", miss)):
        *middle, right = form(id).args[1:]
        words = substitute(lower_matrix(right), {LETTERS["Pi"]: lw.pi})
        same = words.equals(lw.invertible(goal))
        same = same and all(substitute(lower_matrix(x), parts_in_words()).equals(goal) for x in middle)
        ledger.record(id, symbolic(same, "Ω = A⁻¹M, general d, B, Σ, Γ₀", "condition", "derivation"))
        ledger.record(id, counterexample(registry()[id], "outside"))
        for equality in (check.equality, fits.equality):
            for side in (*middle, right):
                ledger.record(id, equality(of_training(side), measured[id], sets, "entries", "condition"))


def in_blocks(expression):
    """A printed sum of traces for two blocks: every letter but Π_M a combination of the two projections."""
    sigma = ew.diagonal(bs.Sigma)
    meaning = {
        "D_1": identity(nt.d) + ew.diagonal(bs.g) @ sigma,
        "D_pre": ew.diagonal(bs.delta_tilde),
        "Sigma": sigma,
        "Pi": ew.PI,
    }
    return substitute(printed_scalar(expression), {LETTERS[k]: v for k, v in meaning.items()})


def traces_of_blocks(of):
    """T_ij and the levels of the two blocks of a training set, as the symbols of (C.6), (C.7)."""
    onto, cut = of.projection(), [slice(0, of.split), slice(of.split, None)]
    d_1 = np.eye(of.d) - of.start @ of.Sigma
    d_pre = of.start - of.eta * of.A_inverse
    T = [[np.trace(onto[i, j] @ onto[j, i]) / of.d for j in cut] for i in cut]
    found = {fm.T11: T[0][0], fm.T22: T[1][1], bs.T12: T[0][1], nt.d: of.d}
    for k, at in ((1, 0), (2, -1)):
        level = {bs.alpha: d_1, bs.delta: d_pre @ of.Sigma, bs.delta_tilde: d_pre, bs.Sigma: of.Sigma}
        found |= {base[k]: matrix[at, at] for base, matrix in level.items()}
        found[linearised_bias.TRACE_OF_BLOCK[k, k]] = np.trace(onto[cut[k - 1], cut[k - 1]])
    return found


@pytest.mark.statements("eq-C.4", "eq-C.6", "eq-C.7", "eq-C.8")
def test_block_traces(ledger, seed):
    general = "two blocks of any sizes and levels, any projection"
    square = ew.MISS.norm2() * (1 / nt.d)
    right = in_blocks(form("eq-C.4").rhs)
    ledger.record("eq-C.4", symbolic(square.equals(right), general, kind="derivation"))
    first, second, third = form("eq-C.6").args
    linear = [in_blocks(x) for x in (first, second)]
    kept = {linearised_bias.TRACE_OF_BLOCK[k, k]: nt.d * bs.mu[k] * bs.w[k] for k in (1, 2)}
    by_blocks = ew.in_traces(bs.explicit(third, 2).xreplace(kept))
    same = linear[0].equals(linear[1]) and linear[0].equals(by_blocks)
    ledger.record("eq-C.6", symbolic(same, general, kind="derivation"))
    quadratic = in_blocks(sp.Trace(fm.D_pre**2 * fm.Pi * nt.Sigma**2 * fm.Pi) / nt.d)
    ledger.record(
        "eq-C.7", symbolic(quadratic.equals(ew.in_traces(form("eq-C.7").rhs)), general, kind="derivation")
    )
    p, other = ew.BLOCKS
    block = p @ ew.PI @ p
    k, crossed = letter(nt.letter_of(linearised_bias.PI_KK)), linearised_bias.PI_KJ * linearised_bias.PI_JK
    assert lower_matrix(form("eq-C.8").lhs).equals(k @ k + lower_matrix(crossed))
    same = (block @ block + p @ ew.PI @ other @ ew.PI @ p).equals(block)
    same = same and lower_matrix(form("eq-C.8").rhs).equals(k)
    ledger.record("eq-C.8", symbolic(same, general, kind="derivation"))

    sets = [training(6, 5, 4, seed("blocks"), split=2), training(7, 5, 3, seed("more blocks"), split=4)]
    sets.append(training(5, 5, 8, seed("wide blocks"), split=3))

    def parts(of):
        miss, start = np.eye(of.d) + of.parts()[0] @ of.Sigma, np.eye(of.d) - of.start @ of.Sigma
        return [np.sum(x * x) / of.d for x in (miss, start, miss - start)]

    def at(expression):
        written = bs.explicit(expression, 2)

        def predict(of):
            known = traces_of_blocks(of)
            return np.array([sp.lambdify(list(known), written, "sympy")(*known.values())])

        return predict

    cross = lambda of: parts(of)[0] - parts(of)[1] - parts(of)[2]  # noqa: E731
    for equality in (check.equality, fits.equality):
        for id, prediction, measure, text in (
            ("eq-C.4", of_training(form("eq-C.4").rhs), lambda of: parts(of)[0], "‖M_S‖²/d"),
            ("eq-C.6", of_training(second), cross, "‖M_S‖² − ‖D₁‖² − ‖M_S−D₁‖²"),
            ("eq-C.6", at(third), cross, "the same by blocks"),
            ("eq-C.7", at(form("eq-C.7").rhs), lambda of: parts(of)[2], "‖M_S−D₁‖²/d"),
        ):
            ledger.record(id, equality(prediction, measure, sets, text))

    def corner(of):
        onto, k = of.projection(), of.split
        values = {
            linearised_bias.PI_KK: onto[:k, :k],
            linearised_bias.PI_KJ: onto[:k, k:],
            linearised_bias.PI_JK: onto[k:, :k],
        }
        named = {nt.letter_of(m): x for m, x in values.items()}
        left, right = (evaluate(lower_matrix(side), named) for side in form("eq-C.8").args)
        return left - right + onto[:k, :k]

    for equality in (check.equality, fits.equality):
        of_corner = equality(corner, lambda of: of.projection()[: of.split, : of.split], sets, "Π₁₁")
        ledger.record("eq-C.8", of_corner)
