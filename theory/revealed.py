"""A Wishart matrix along the directions that it is asked for: the law behind k-step risks at large d, n.

Beyond arXiv:2603.01293.  Notes: ``notes/revealed.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from theory import exact
from theory import notation as nt
from theory.errors import check_count
from theory.notation import I, Sigma_hat, V, d, j, k, n, w_star
from theory.statement import BEYOND, Statement, register


class SameLaw(sp.Basic):
    """a ~ b: equal in law, jointly in the index."""

    def _latex(self, printer: Any) -> str:
        return r" \sim ".join(printer._print(side) for side in self.args)


# Derivations ---------------------------------------------------------------------------------------


def chi_moment(freedom: int, power: int) -> sp.Integer:
    """E χ_m^{2p} = m(m+2)…(m+2p−2) for ``freedom`` m and ``power`` 2p; χ_m = 0 for m ≤ 0."""
    check_count("power", power + 1)
    m = max(freedom, 0)
    return sp.Integer(sp.prod([sp.Integer(m + 2 * i) for i in range(power // 2)]))


def mean(
    value: sp.Expr,
    chis: dict[sp.Symbol, int],
    normals: list[sp.Symbol],
    squares: dict[sp.Symbol, Any] | None = None,
) -> sp.Expr:
    """E of a polynomial in independent normals and χ, ``chis`` with their degrees of freedom.

    Once the normals are averaged out, only even powers of each χ are left.  A symbol that stands for χ
    times a root has that root's square in ``squares``.
    """
    left = sp.Poly(exact.gaussian_mean(value, normals), *chis, sp.Dummy())
    total = sp.Integer(0)
    for powers, coefficient in left.terms():
        if any(p % 2 for p in powers):
            raise ArithmeticError(f"an odd power of χ is left in {value}")
        for (chi, freedom), power in zip(chis.items(), powers, strict=False):
            square = (squares or {}).get(chi, sp.Integer(1))
            coefficient *= chi_moment(freedom, power) * square ** (power // 2)
        total += coefficient
    return sp.expand(total)


def two_step_risk(block: sp.Matrix, root: sp.Matrix, length: int, freedom: Mapping[int, int]) -> sp.Expr:
    """E‖e_2‖², w* ~ N(0, I), from z_1 and z_2 in rationals: the second direction depends on z_1.

    ``block`` is Ṽ, ``root`` a symmetric Σ^{1/2}, ``freedom[l]`` the degrees of freedom of χ in z_l.  With
    u = Σ^{1/2}w, t² = u·u, g = tχ_1 and Π = I − uuᵀ/t² is z_1 = gu/t² + Πh, and r = ΠΣ^{1/2}e_1 is what is
    new in the second question.  Given z_1, χ_2 and h_2 enter ‖e_2‖² by their first moments alone.
    """
    size = root.rows
    g, h = sp.Symbol("g"), sp.Matrix(size, 1, lambda i, _: sp.Symbol(f"h{i}"))
    total = sp.Integer(0)
    for i in range(size):
        w = sp.eye(size)[:, i]
        u = root * w
        square = (u.T * u)[0]
        if square == 0:
            total += 1  # S does not see w: e_2 = w
            continue
        off = sp.eye(size) - u * u.T / square
        z = (g * u / square + off * h).applyfunc(sp.expand)
        onto = block * root / length
        once = (w + onto * z * g).applyfunc(sp.expand)
        query = (root * once).applyfunc(sp.expand)
        rest = (off * query).applyfunc(sp.expand)
        known = (once + onto * z * (z.T * query)[0]).applyfunc(sp.expand)
        # e_2 = known + onto (χ_2² r + χ_2 ‖r‖ (off − rrᵀ/‖r‖²) h_2).
        second, fourth = (chi_moment(freedom[2], p) for p in (2, 4))
        along = (onto * rest).applyfunc(sp.expand)
        value = exact.frobenius_squared(known) + 2 * second * (known.T * along)[0]
        value += (fourth - second) * (along.T * along)[0]
        value += second * (rest.T * rest)[0] * (onto.T * onto * off).trace()
        total += mean(value, {g: freedom[1]}, list(h), {g: square})
    return sp.expand(total)


# Statements ----------------------------------------------------------------------------------------

at = sp.Symbol("l", integer=True, positive=True)  # the index of a direction
chi = sp.IndexedBase("chi")
gaussian = nt.matrix("G_n", n, d, "G")
q_l, h_l, z_l = (nt.matrix(f"{name}_l", d, 1, f"{name}_{{l}}") for name in "qhz")
Q_l = nt.matrix("Q_l", d, at, "Q_{l}")
Q_k, Z_k = (nt.matrix(f"{name}_k", d, k, f"{name}_{{k}}") for name in "QZ")
Z_next = nt.matrix("Z_j+1", d, j + 1, "Z_{j+1}")
e_0, e_j, e_next, e_k = (nt.matrix(f"e_{i}", d, 1, f"e_{{{i}}}") for i in ("0", "j", "j+1", "k"))
root = nt.matrix("Sigma_root", d, d, r"\Sigma^{1/2}", symmetric=True)

REVEALED = chi[n - at + 1] * q_l + (I - Q_l * Q_l.T) * h_l
STEP = e_j + V * root * Z_next * Z_next.T * root * e_j / n

register(
    Statement(
        "ext-revealed.a",
        BEYOND,
        "A Wishart matrix revealed along k directions q_l, each chosen after the answers before it",
        nt.Lines(
            SameLaw(gaussian.T * gaussian * Q_k, Z_k * Z_k.T * Q_k),
            nt.Listing(
                SameLaw(z_l, REVEALED),
                sp.Implies(sp.Gt(at, n, evaluate=False), sp.Eq(z_l, sp.ZeroMatrix(d, 1), evaluate=False)),
            ),
        ),
        assumptions=(
            "G is n × d of independent standard normals",
            "Q_l = [q_1 … q_l] orthonormal, q_l made from the z_j, j < l, and what is independent of G",
            "Z_k = [z_1 … z_k]; all h_l ~ N(0, I) and all χ, the index their degrees of freedom, independent",
        ),
        note="For directions fixed beforehand it is Bartlett's decomposition.  Of n × d normals k(d + 1) "
        "numbers are left, whatever n is.",
    )
)
register(
    Statement(
        "ext-revealed.b",
        BEYOND,
        "k steps of the model from k directions: the law of the error",
        nt.Lines(
            SameLaw(nt.NormSquared(e_k), nt.NormSquared((I + V * Sigma_hat) ** k * w_star)),
            nt.Listing(sp.Eq(e_next, STEP, evaluate=False), sp.Eq(e_0, w_star, evaluate=False)),
        ),
        assumptions=(
            "W̃ = I, w_0 = 0, x ~ N(0, Σ) independent, any d, n, k ≥ 1",
            "q_l is what is new in the l-th question, the root of Σ times e_j at j = l − 1, if anything is",
        ),
        depends_on=("ext-revealed.a", "prop-6.1.b"),
        note="Jointly over k; with w* ~ N(0, I) its mean is the k-step risk.  "
        "The module numerics.sampling draws it.",
    )
)
