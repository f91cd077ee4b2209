"""The law of a revealed Wishart matrix as ``ext-revealed`` prints it: drawn from, and evaluated exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory import exact, revealed
from theory import notation as nt
from theory.kstep import SIGMA, V
from theory.lower import lower_matrix
from theory.statement import registry
from theory.wishart import expectation
from theory.words.evaluate import evaluate
from theory.words.poly import Scalar
from verify.checks import revealed as check
from verify.checks.kstep import Chain
from verify.checks.points import exact_array, rational
from verify.surface import value

Array = NDArray[Any]
Source = np.random.Generator
# χ_m, and N(0, I_d), each a column (size, d, 1): numbers drawn, or symbols.
Chi = Callable[[int, int], Array]
Normal = Callable[[int, int], Array]


TURNED = sp.Matrix([[2, -2, 1], [1, 2, 2], [2, 1, -2]]) / 3  # orthogonal
ORDER = 3  # moments up to this one
# (d, n, k).  What z_l is beyond n shows where a new question follows it, which k steps never ask: they see
# one direction more than there are rows.
ASKED = ((4, 4, 2), (4, 1, 4))
CHAINS = ((4, 4, 2), (3, 2, 4))  # n = d; fewer rows than steps and more steps than d


@dataclass(frozen=True)
class Law:
    """What ``ext-revealed`` prints: z_l, where it is zero, GᵀGQ_k from Z_k, e_0, the step, and the vector
    whose norm is that of e_k."""

    z: sp.Expr
    zero: sp.Basic
    gram: sp.Expr
    start: sp.Expr
    step: sp.Expr
    end: sp.Expr

    def freedom(self, number: int, n: int) -> int:
        """The index of χ in z_l; 0 where z_l has none."""
        found = [int(chi.indices[0].subs({revealed.at: number, nt.n: n})) for chi in self.z.atoms(sp.Indexed)]
        return found[0] if found else 0

    def vanishes(self, number: int, n: int) -> bool:
        return bool(self.zero.subs({revealed.at: number, nt.n: n}))


def printed() -> Law:
    gram, listing = registry()["ext-revealed.a"].printed.args
    same, steps = registry()["ext-revealed.b"].printed.args
    step, start = (line.rhs for line in steps.args)
    (end,) = same.args[1].args  # of a norm
    return Law(listing.args[0].args[1], listing.args[1].args[0], gram.args[1], start, step, end)


def evaluated(expression: Any, given: Mapping[sp.Basic, Array], scalars: Mapping[sp.Symbol, int]) -> Array:
    """A matrix expression on batches: each symbol of ``given`` is (size, rows, cols), floats or objects."""

    def value(node: Any) -> Any:
        if node in given:
            return given[node]
        if isinstance(node, sp.Identity):
            return np.eye(int(node.shape[0].subs(scalars)), dtype=int)
        if isinstance(node, sp.Transpose):
            return np.swapaxes(value(node.arg), -1, -2)
        if isinstance(node, sp.MatAdd):
            first, *rest = map(value, node.args)
            return sum(rest, start=first)
        if isinstance(node, sp.MatMul | sp.Mul):
            found: Any = None
            weight: Any = 1
            for arg in node.args:
                now = value(arg)
                if not arg.is_Matrix:
                    weight = weight * now
                else:
                    found = now if found is None else found @ now
            return weight if found is None else weight * found
        number = sp.Rational(node.subs(scalars))
        return number if any(a.dtype == object for a in given.values()) else float(number)

    return np.asarray(value(expression))


def draw_z(law: Law, q: list[Array], n: int, chi: Chi, normal: Normal) -> Array:
    """z_l for the last of the directions ``q``, each (size, d, 1)."""
    size, d, _ = q[-1].shape
    number = len(q)
    if law.vanishes(number, n):
        return np.zeros_like(q[-1])
    given = {
        **{index: chi(law.freedom(number, n), size) for index in law.z.atoms(sp.Indexed)},
        revealed.q_l: q[-1],
        revealed.Q_l: np.concatenate(q, axis=2),
        revealed.h_l: normal(d, size),
    }
    return evaluated(law.z, given, {nt.d: d, revealed.at: number, nt.n: n})


def numbers(source: Source) -> tuple[Chi, Normal]:
    """χ and normals drawn from ``source``; χ_m = 0 for m ≤ 0."""

    def chi(freedom: int, size: int) -> Array:
        return np.sqrt(source.chisquare(freedom, (size, 1, 1))) if freedom > 0 else np.zeros((size, 1, 1))

    return chi, lambda d, size: source.normal(size=(size, d, 1))


def orthonormal(q: list[Array], u: Array) -> Array | None:
    """What is new in u (size, d, 1), as a unit vector; ``None`` where the directions are as many as d."""
    if len(q) == u.shape[1]:
        return None
    for known in [*q, *q]:  # twice
        u = u - known * (known * u).sum(1, keepdims=True)
    norm = np.linalg.norm(u, axis=1, keepdims=True)
    return np.asarray(u / np.where(norm > 0, norm, 1.0))  # under a wrong law u may be zero


class Revealed:
    """Q and Z, grown by one direction a question and drawn from ``law``."""

    def __init__(self, law: Law, n: int, source: Source) -> None:
        self.law, self.n = law, n
        self._draw = numbers(source)
        self._q: list[Array] = []
        self._z: list[Array] = []

    def ask(self, u: Array) -> tuple[Array, Array, dict[sp.Symbol, int]]:
        """Q, Z, (size, d, l), after the question u (size, d, 1), and the sizes that they have."""
        if (new := orthonormal(self._q, u)) is not None:
            self._q.append(new)
            self._z.append(draw_z(self.law, self._q, self.n, *self._draw))
        sizes = {nt.d: u.shape[1], nt.n: self.n, nt.k: len(self._q), nt.j: len(self._q) - 1}
        return np.concatenate(self._q, axis=2), np.concatenate(self._z, axis=2), sizes


def answers_of(law: Law) -> check.DrawAnswers:
    """Draws of GᵀGu_j by the printed gram matrix."""

    def draw(shape: check.Shape, size: int, source: Source) -> Array:
        d, n, k = shape
        gram, u, found = Revealed(law, n, source), np.broadcast_to(check.start(d), (size, d)), []
        for _ in range(k):
            Q, Z, sizes = gram.ask(u[:, :, None])
            matrix = evaluated(law.gram, {revealed.Q_k: Q, revealed.Z_k: Z}, sizes)
            found.append((matrix @ (np.swapaxes(Q, 1, 2) @ u[:, :, None]))[:, :, 0])
            u = check.question(u, found[-1])
        return np.concatenate(found, axis=1)

    return draw


def errors_of(law: Law) -> check.DrawErrors:
    """Draws of ‖e_1‖² … ‖e_k‖² by the printed step."""

    def draw(at: Chain, size: int, source: Source) -> Array:
        values, vectors = np.linalg.eigh(at.Sigma)
        root = (vectors * np.sqrt(values)) @ vectors.T
        gram, star, found = Revealed(law, at.n, source), source.normal(size=(size, len(root), 1)), []
        miss = evaluated(law.start, {nt.w_star: star}, {})
        for _ in range(at.k):
            _, Z, sizes = gram.ask(root @ miss)
            known = {revealed.e_j: miss, nt.V: at.V[None], revealed.root: root[None], revealed.Z_next: Z}
            miss = evaluated(law.step, known, sizes)
            found.append((miss**2).sum((1, 2)))
        return np.stack(found, axis=1)

    return draw


def exact_moments(law: Law, Q: sp.Matrix, weights: sp.Matrix, n: int, order: int) -> list[Any]:
    """Means of the first ``order`` powers of Σ weights·GᵀGQ, for fixed rational orthonormal columns of Q."""
    d, count = Q.shape
    chis: dict[sp.Symbol, int] = {}
    normals: list[sp.Symbol] = []

    def chi(freedom: int, size: int) -> Array:
        chis[sp.Symbol(f"chi{len(chis)}")] = freedom
        return np.array([[[list(chis)[-1]]]], dtype=object)

    def normal(d: int, size: int) -> Array:
        new = [sp.Symbol(f"h{len(normals) + i}") for i in range(d)]
        normals.extend(new)
        return np.array(new, dtype=object).reshape(1, d, 1)

    q = [np.array(Q[:, i].tolist(), dtype=object)[None] for i in range(count)]
    z = [draw_z(law, q[: i + 1], n, chi, normal) for i in range(count)]
    sizes = {nt.d: d, nt.n: n, nt.k: count}
    known = {revealed.Q_k: np.concatenate(q, axis=2), revealed.Z_k: np.concatenate(z, axis=2)}
    gram = evaluated(law.gram, known, sizes)[0]
    total = sp.expand((gram * np.array(weights.tolist(), dtype=object)).sum())
    return [revealed.mean(total**power, chis, normals) for power in range(1, order + 1)]


def moments_agree(law: Law) -> bool:
    """Of a generic sum of the entries of GᵀGQ, Q two or three rational directions in three dimensions."""
    for n, k in ((1, 3), (2, 2), (3, 2)):
        Q, weights = TURNED[:, :k], rational(3, k, "revealed")
        G, normals = exact.normal_prompt(sp.eye(3), n)
        total = sp.expand((weights.T * G * (G.T * Q)).trace())
        defined = [exact.gaussian_mean(total**power, normals) for power in range(1, ORDER + 1)]
        if exact_moments(law, Q, weights, n, ORDER) != defined:
            return False
    return True


def step_agrees(law: Law) -> bool:
    """e_2 from e_1 and any z_1, z_2, against (I + ṼS)e_1 with S = Σ^{1/2} Z Zᵀ Σ^{1/2}/n, in rationals."""
    d, n, j = 3, 5, 1
    block, root, Z, e = (rational(d, cols, f"rs{i}") for i, cols in enumerate((d, d, j + 1, 1)))
    root = root + root.T
    symbols = (nt.V, revealed.root, revealed.Z_next, revealed.e_j)
    given = {s: exact_array(one)[None] for s, one in zip(symbols, (block, root, Z, e), strict=True)}
    found = evaluated(law.step, given, {nt.d: d, nt.n: n, nt.j: j})[0]
    return sp.Matrix(found) == e + block * exact.covariance(root * Z) * sp.Rational(j + 1, n) * e


@cache
def risk_of_end(law: Law, steps: int) -> Scalar:
    """The mean of the squared norm that the print ends at, over w* ~ N(0, I) and prompts."""
    miss = lower_matrix(law.end.xreplace({nt.w_star: nt.I}).subs(nt.k, steps))
    return expectation(miss.norm2(), nt.letter_of(nt.Sigma_hat), SIGMA, nt.n)


@cache
def two_steps_agree(law: Law) -> bool:
    """The second direction depends on the first answer; Ṽ and Σ generic, n = 1 and n < d among them."""
    for d, n in ((1, 2), (2, 1), (3, 2)):
        block, root = rational(d, d, f"rv{d}"), rational(d, d, f"rl{d}")
        root = root + root.T
        given = {V: exact_array(block), SIGMA: exact_array(root * root.T)}
        freedom = {number: 0 if law.vanishes(number, n) else law.freedom(number, n) for number in (1, 2)}
        found = revealed.two_step_risk(block, root, n, freedom)
        if found != evaluate(risk_of_end(law, 2), given, {nt.n: n}):
            return False
    return True


def risks_of(law: Law) -> Callable[[Chain], Array]:
    """The means after 1, …, k steps."""

    def at(chain: Chain) -> Array:
        given = {V: chain.V, SIGMA: chain.Sigma}
        return np.array(
            [evaluate(risk_of_end(law, j), given, {nt.n: chain.n}) for j in range(1, chain.k + 1)]
        )

    return at


def ends_of(law: Law) -> check.Ends:
    """‖e_k‖² of a prompt with covariance S and task w*."""
    norm = nt.NormSquared(law.end)
    return lambda at, S, star: float(
        value(norm, {nt.V: at.V, nt.Sigma_hat: S, nt.w_star: star[:, None], nt.k: at.k})
    )


def chains(seed: int) -> list[Chain]:
    return [check.chain(*shape, seed + i) for i, shape in enumerate(CHAINS)]
