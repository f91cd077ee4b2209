"""What one fixed-point equation gives by expansion and by differentiation, for any number of blocks.

R = (MMᵀ/d + diag(x))⁻¹, the columns of M independent N(0, C), C and x of block levels c_k and x_k, has the
equivalent T = diag(1/(x_k + b c_k)) with

    b (1 + Σ μ_k c_k/(x_k + b c_k)) = β.

The projection MM†, its quadratic traces and the pseudo-inverse are all read off b near z = 0, and off its
derivatives in perturbations of x and of C.  Proofs: ``notes/equivalents.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import sympy as sp

from theory import notation as nt
from theory.block_symbols import average, beta, c, family, k, mu, q, w, z

f = family("f", "f")  # the diagonals of two matrices F and G
g = family("g_block", "g")
u = family("u", "u")  # the levels 1/(z + b c_k) of T at x = z
b = sp.Symbol("b", positive=True)
t = sp.Symbol("t", real=True)
b_slope = sp.Symbol("b_t", real=True)  # db/dt at t = 0
q2, q3 = (nt.scalar_symbol(f"q_{j}", f"q_{{{j}}}", real=True) for j in (2, 3))

Rule = Callable[[sp.Symbol], sp.Expr]


def equation(root: sp.Expr, shift: sp.Expr, level: sp.Expr = c[k]) -> sp.Expr:
    """b(1 + Σ μ_k c_k/(x_k + b c_k)) − β, zero at the root; ``shift`` is x_k and ``level`` c_k."""
    return root * (1 + average(mu[k] * level / (shift + root * level))) - beta


def slope(of: sp.Expr, unknown: sp.Symbol, by: sp.Symbol) -> sp.Expr:
    """d unknown/d by along ``of`` = 0."""
    return -sp.diff(of, by) / sp.diff(of, unknown)


# Comparing expressions made of sums -------------------------------------------------------------------


def _distributed(summed: sp.Sum, rule: Rule) -> sp.Expr:
    """Σ over the terms of the summand after c_k → rule(k), what does not depend on the index in front."""
    summand, (index, low, high) = summed.function, summed.limits[0]
    terms = sp.Add.make_args(sp.expand(sp.cancel(sp.together(summand.subs(c[index], rule(index))))))
    total = sp.Integer(0)
    for term in terms:
        outside, inside = term.as_independent(index, as_Add=False)
        total += outside * (1 if inside == mu[index] else sp.Sum(inside, (index, low, high)))
    return total


def normal(expression: sp.Expr, rule: Rule) -> sp.Expr:
    """A normal form: a ratio of polynomials in sums of monomials, with c_k → rule(k) and Σμ_k = 1.

    Sums stand side by side, none inside another.
    """
    spread = expression.xreplace({one: _distributed(one, rule) for one in expression.atoms(sp.Sum)})
    names = {one: sp.Dummy() for one in sorted(spread.atoms(sp.Sum), key=str)}
    back = {name: one for one, name in names.items()}
    return sp.cancel(sp.together(spread.xreplace(names))).xreplace(back)


def _from_w(index: sp.Symbol) -> sp.Expr:
    """c_k from w_k = c_k r/(1 + c_k r)."""
    return w[index] / (q * (1 - w[index]))


def at_root(expression: sp.Expr) -> sp.Expr:
    """The normal form for x = z > 0: in u_k = 1/(z + b c_k), with β and db/dt put in."""

    def read(of: sp.Expr) -> sp.Expr:
        return normal(of.subs(beta, equation(b, z) + beta), lambda index: (1 / u[index] - z) / b)

    return sp.cancel(read(expression).subs(b_slope, read(root_slope())))


def at_zero(expression: sp.Expr) -> sp.Expr:
    """The normal form at z = 0: in w_k = c_k q/(1 + c_k q), with β = Σμ_k w_k, q₂ and q₃ put in."""
    _, second, third = expansion()
    found = expression.subs(beta, average(mu[k] * w[k]))
    for symbol, value in ((q3, third), (q2, second)):
        found = normal(found, _from_w).subs(symbol, normal(value, _from_w))
    return sp.cancel(normal(found, _from_w))


def to_zero(expression: sp.Expr) -> sp.Expr:
    """The limit z → 0 along b = qz + …, β < rank, in the normal form of :func:`at_zero`.

    Of b the leading order is enough where the limit is finite and not zero over zero, which is what
    cancelling z shows.
    """

    def read(of: sp.Expr) -> sp.Expr:
        return normal(of.subs(beta, equation(b, z) + beta).subs(b, z * q), _from_w)

    return sp.cancel(read(expression).subs(b_slope, read(root_slope()))).subs(z, 0)


# Near z = 0, β < rank ---------------------------------------------------------------------------------


@cache
def expansion() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """b = qz + q₂z² + q₃z³ + …: the equation that q solves (an expression that is zero), q₂ and q₃.

    With r = b/z the equation is z r + Σμ_k c_k r/(1 + c_k r) = β; q₃ is in terms of q₂.
    """
    r = q + q2 * z + q3 * z**2
    of = z * r + average(mu[k] * c[k] * r / (1 + c[k] * r)) - beta
    orders = [sp.diff(of, z, j).subs(z, 0) / sp.factorial(j) for j in range(3)]
    # each later order is linear in the last coefficient that it contains
    second, third = (
        -of.subs(last, 0).doit() / sp.diff(of, last) for of, last in zip(orders[1:], (q2, q3), strict=True)
    )
    return orders[0], second, third


def _order(j: int) -> sp.Expr:
    """The coefficient of z^j in z (1/d) tr(F T), where T = (1/z)/(1 + c_k r), in q, q₂, q₃."""
    r = q + q2 * z + q3 * z**2
    of = average(mu[k] * f[k] / (1 + c[k] * r))
    return sp.diff(of, z, j).subs(z, 0) / sp.factorial(j)


def fraction() -> sp.Expr:
    """lim (1/d) tr(F MM†): (1/d) tr F minus the coefficient of 1/z in (1/d) tr(F R)."""
    return average(mu[k] * f[k]) - _order(0)


def inverse_by_expansion() -> sp.Expr:
    """lim (1/d) tr(F (MMᵀ/d)†): the coefficient of z⁰ in (1/d) tr(F R)."""
    return _order(1)


def inverse_square() -> sp.Expr:
    """lim (1/d) tr(F (MMᵀ/d)†²): minus the coefficient of z in (1/d) tr(F R)."""
    return -_order(2)


def inverse_by_tilt() -> sp.Expr:
    """The same as :func:`inverse_by_expansion`: −dq/dt at t = 0 for C → C(1 + tF).

    q is the limit of (1/d) tr((MᵀM/d)⁻¹), whose derivative is exactly −(1/d) tr(F (MMᵀ/d)†).
    """
    level = c[k] * (1 + t * f[k])
    of = average(mu[k] * level * q / (1 + level * q)) - beta
    return -slope(of, q, t).subs(t, 0)


# Two resolvents -----------------------------------------------------------------------------------------


def root_slope() -> sp.Expr:
    """db/dt at t = 0 for x_k = z + t g_k."""
    return slope(equation(b, z + t * g[k]), b, t).subs(t, 0)


def pair() -> sp.Expr:
    """lim (1/d) tr(F R G R) at z > 0: minus the derivative of (1/d) tr(F T) for x_k = z + t g_k."""
    of = average(mu[k] * f[k] / (z + t * g[k] + (b + t * b_slope) * c[k]))
    return -sp.diff(of, t).subs(t, 0)


def projection_pair() -> sp.Expr:
    """lim (1/d) tr(F Π G Π), Π = MM†, β < rank, in w_k: from I − Π = lim z R."""
    both = average(mu[k] * f[k] * g[k])
    one_sided = average(mu[k] * f[k] * g[k] * w[k])
    return sp.cancel(to_zero(z**2 * pair()) - both + 2 * one_sided)


# Above the rank -------------------------------------------------------------------------------------------


def root_above() -> sp.Expr:
    """b at z = 0 for β > 1, all c_k > 0: β − 1, as Σμ_k b c_k/(b c_k) = 1."""
    filled = average(mu[k] * c[k] / (b * c[k]))
    (root,) = sp.solve(equation(b, sp.Integer(0)).subs(filled, 1 / b), b)
    return root


def inverse_above() -> sp.Expr:
    """lim (1/d) tr(F (MMᵀ/d)†) for β > 1, all c_k > 0: (1/d) tr(F T) at z = 0."""
    return average(mu[k] * f[k] / (root_above() * c[k]))
