"""Outcome supervision as reinforcement learning: REINFORCE with a Gaussian policy around ŵ_k.

Beyond arXiv:2603.01293, which models RL as outcome-supervised regression.  w = ŵ_k + σz with z ~ N(0, I), the
reward R = −½‖w − w*‖², and e = ŵ_k − w*.  In the output the estimator is (R − b)z/σ; J, the derivative of
ŵ_k in Ṽ, carries it to the weights, numbers in :mod:`theory.policy_gradient_value`.  Notes:
``notes/policy_gradient.md``.
"""

from __future__ import annotations

import sympy as sp

from theory import notation as nt
from theory.notation import I, S, V, W, d, k, w_star
from theory.outcome import unrolled
from theory.statement import BEYOND, Statement, register
from theory.wishart import expectation
from theory.words.letters import Letter
from theory.words.poly import Matrix, Scalar, Words, identity, letter, scalar, substitute

e = nt.matrix("e_policy", d, 1, "e")
J = nt.matrix("J_policy", d, d**2, "J")
z = nt.matrix("z_policy", d, 1, "z")
sigma = nt.scalar_symbol("sigma_policy", r"\sigma", positive=True)
b, best = nt.scalar_symbol("b_policy", "b", real=True), nt.scalar_symbol("b_best", "b_{*}", real=True)
group = nt.scalar_symbol("G_policy", "G", integer=True, positive=True)

# Derivations: z enters in pairs, as the rank-one Wishart matrix zzᵀ ------------------------------------

_E = letter(nt.letter_of(e))
_UNIT = Letter("covariance of z", d, d, symmetric=True)
_P, _Q = (Letter(f"{name} {name}'", d, d, symmetric=True) for name in ("p", "q"))
_SQUARE = _E.norm2()


def mean(expression: Words, *outer: Letter) -> Words:
    """E of a polynomial in outer products of independent z ~ N(0, I_d), general d."""
    for one in outer:
        expression = substitute(expectation(expression, one, _UNIT, sp.Integer(1)), {_UNIT: identity(d)})
    return expression


def first_moment() -> Matrix:
    """E[(R − b)z]/σ = −E[zzᵀ]e: of R only −σ e·z is odd in z."""
    return -1 * mean(letter(_P) @ _E, _P)


def covariance(baseline: Scalar | sp.Expr) -> Matrix:
    """Cov of (R − b)z/σ, d × d.  With c = −½‖e‖² − b the part of (R − b)²zzᵀ that is even in z is
    c²Z + σ²ZeeᵀZ + ¼σ⁴(tr Z)²Z − cσ²(tr Z)Z, Z = zzᵀ."""
    Z, level = letter(_P), _SQUARE * sp.Rational(-1, 2) - baseline
    size = Z.trace()
    even = Z * (level * level + size * size * (sigma**4 / 4) - level * size * sigma**2)
    second = mean(even + Z @ _E @ _E.T @ Z * sigma**2, _P)
    return second * sigma**-2 - first_moment() @ first_moment().T


def expected_reward() -> Scalar:
    """E R = −½(‖e‖² + dσ²)."""
    found = mean(letter(_P).trace(), _P)
    return (_SQUARE + found * sigma**2) * sp.Rational(-1, 2)


def reward_variance() -> Scalar:
    """Var R: σ² E(e·z)² and (σ⁴/4) Var ‖z‖²."""
    size = letter(_P).trace()
    along = mean((_E.T @ letter(_P) @ _E).trace(), _P)
    square, first = mean(size * size, _P), mean(size, _P)
    return along * sigma**2 + (square - first * first) * (sigma**4 / 4)


def pair_covariance() -> Matrix:
    """Cov of ½(R₁ − R₂)(z₁ − z₂)/σ, with z₁, z₂ = (p ± q)/√2, so that R₁ − R₂ = −σ q·(√2 e + σ p)."""
    P, Q = letter(_P), letter(_Q)
    second = mean(Q @ (_E @ _E.T * 2 + P * sigma**2) @ Q * sp.Rational(1, 2), _P, _Q)
    return second - first_moment() @ first_moment().T


def leave_one_out_covariance() -> Matrix:
    """Cov of (1/G) Σ A_i z_i/σ, A_i = R_i less the mean of the others: a U-statistic of order 2 (Hoeffding),
    whose kernel is that of :func:`pair_covariance`, its mean given z₁ half of (R − E R)z/σ and a constant."""
    one = covariance(expected_reward()) * sp.Rational(1, 4)
    pairs = group * (group - 1) / 2
    return one * (2 * (group - 2) / pairs) + pair_covariance() * (1 / pairs)


def spread_slope(size: int) -> tuple[Matrix, Matrix]:
    """∇_e s² at fixed z_i, s² = (1/G) Σ (R_i − R̄)² of G = ``size`` rewards, and (1/G) Σ (R_i − R̄) z_i."""
    normals = [letter(Letter(f"z_{i}", d, 1)) for i in range(size)]
    rewards = [(_E + one * sigma).norm2() * sp.Rational(-1, 2) for one in normals]
    middle = sum(rewards, start=scalar(0)) * sp.Rational(1, size)
    square = sum(((r - middle) * (r - middle) for r in rewards), start=scalar(0)) * sp.Rational(1, size)
    moved = identity(d) @ normals[0] * 0
    for one, r in zip(normals, rewards, strict=True):
        moved = moved + one * (r - middle) * sp.Rational(1, size)
    return square.gradient(nt.letter_of(e)), moved


def jacobian_squared(steps: int) -> Scalar:
    """‖J‖_F² = E‖Jᵀu‖² over u ~ N(0, I), Jᵀu the gradient of u·ŵ_k in Ṽ, W̃ = I."""
    u, star = Letter("u", d, 1), letter(nt.letter_of(w_star))
    reached = star - unrolled(steps, with_W=False) @ star
    slope = (letter(u).T @ reached).trace().gradient(nt.letter_of(V))
    # A quadratic uᵀHu has the gradient 2Hu and the mean tr H.
    twice = slope.norm2().gradient(u).terms.items()
    return Matrix.of_terms(d, d, ((traces, word[:-1], c / 2) for (traces, word), c in twice)).trace()


# Statements ----------------------------------------------------------------------------------------

LOSS = nt.Label(nt.L_OS, V)
ONE_LOSS = nt.Label(sp.Symbol(r"L_{\tau}"), V)
SLOPE, ONE_SLOPE = nt.Gradient(LOSS, V), nt.Gradient(ONE_LOSS, V)
SQUARED = nt.NormSquared(e)
SLOPE_SQUARED, ONE_SLOPE_SQUARED = nt.FrobeniusSquared(SLOPE), nt.FrobeniusSquared(ONE_SLOPE)
J_SQUARED = nt.FrobeniusSquared(J)
factor = nt.scalar_symbol("lambda_policy", r"\lambda", positive=True)
average = nt.scalar_symbol("a_policy", r"\bar{a}", positive=True)
noise, rest, shared = (nt.scalar_symbol(f"{name}_policy", name, positive=True) for name in ("T", "Y", "P"))
_u_b = nt.matrix("u_b", d, 1, r"\widehat{u}_{b}")
_u_loo = nt.matrix("u_loo", d, 1, r"\widehat{u}_{\mathrm{loo}}")
_g_b, _g_mean, _g_std = (
    nt.matrix(f"g_{name}", d, d, rf"\widehat{{g}}_{{{shown}}}")
    for name, shown in (("b", "b"), ("mean", r"\mathrm{mean}"), ("std", r"\mathrm{std}"))
)
_COV = sp.Symbol(r"\operatorname{Cov}")
_LOG_PI = nt.scalar_symbol("log_policy", r"\operatorname{log} \pi(w)")
_R = nt.scalar_symbol("R_policy", "R", real=True)
_SPREAD = nt.Expectation(nt.scalar_symbol("s_policy", "s_G", positive=True))
_TRACE = nt.Expectation(nt.FrobeniusSquared(_g_b - nt.MatrixExpectation(_g_b)))
_OVER = sp.Symbol(r"\tau")
POLICY = ("w = ŵ_k + σz, z ~ N(0, I)", "R = −½‖w − w*‖²")
GROUP = (*POLICY, "G ≥ 2 independent actions for each prompt")
LEAST = SQUARED + (d + 2) * sigma**2 / 2
_i, _j = nt.i, nt.j


def _power(exponent: sp.Expr) -> sp.Expr:
    return (I + V * S) ** exponent


def _reading(exponent: sp.Expr) -> sp.Expr:
    return S * _power(k - 1 - exponent) * w_star


register(
    Statement(
        "ext-rl.a",
        BEYOND,
        "The expected policy gradient is that of outcome supervision",
        sp.Eq(
            nt.MatrixExpectation((_R - b) * nt.Gradient(_LOG_PI, V)),
            -nt.Gradient(nt.Label(nt.L_OS, V, W), V),
            evaluate=False,
        ),
        assumptions=(*POLICY, "b does not depend on w"),
        depends_on=("prop-6.1.a",),
        note="For any Ṽ, W̃, k, σ, prompt by prompt and so for any set of prompts.  With the policy's own "
        "noise the expected reward is −L_OS − dσ²/2: the noise costs a constant.",
    )
)
register(
    Statement(
        "ext-rl.b",
        BEYOND,
        "The covariance of one action's estimator u_b = (R − b)z/σ in the output",
        nt.Listing(
            nt.Chain(nt.Label(_COV, _u_b), (LEAST + (b - best) ** 2 / sigma**2) * I + e * e.T),
            sp.Eq(best, -(SQUARED + (d + 2) * sigma**2) / 2, evaluate=False),
        ),
        assumptions=(*POLICY, "e = ŵ_k − w*"),
        depends_on=("ext-rl.a",),
        note="As σ → 0 it stays bounded only at b = b_* + O(σ); without a baseline it grows like ‖e‖⁴/(4σ²).",
    )
)
register(
    Statement(
        "ext-rl.c",
        BEYOND,
        "The spread of one action's estimator in the weights",
        nt.Listing(
            sp.Eq(_TRACE, factor * J_SQUARED + SLOPE_SQUARED, evaluate=False),
            sp.Eq(
                J_SQUARED,
                sp.Sum(
                    sp.Trace(_power(_i).T * _power(_j)) * sp.Trace(_reading(_i).T * _reading(_j)),
                    (_i, 0, k - 1),
                    (_j, 0, k - 1),
                ),
                evaluate=False,
            ),
        ),
        assumptions=(*POLICY, "W̃ = I", "one prompt", "λ is the factor of I in ext-rl.b"),
        depends_on=("ext-rl.b",),
        note="The whole covariance is λJᵀJ + vec(∇L)vec(∇L)ᵀ.  At k = 1 ‖J‖² = d‖Sw*‖² and "
        "‖∇L‖² = ‖e‖²‖Sw*‖².",
    )
)
register(
    Statement(
        "ext-rl.d",
        BEYOND,
        "The best baseline of a prompt is its expected reward less σ², and what it saves against none",
        nt.Listing(
            nt.Chain(nt.Argmin(_TRACE, b), best, nt.Expectation(_R) - sigma**2),
            sp.Eq(
                nt.Minus(_TRACE, nt.Label(sp.Symbol(r"\mathrm{least}"))),
                (b - best) ** 2 * J_SQUARED / sigma**2,
                evaluate=False,
            ),
        ),
        assumptions=POLICY,
        depends_on=("ext-rl.b", "ext-rl.c"),
        note="The expected reward itself, b = E R, costs σ²‖J‖² more than the best.",
    )
)
register(
    Statement(
        "ext-rl.e",
        BEYOND,
        "The best single baseline for all prompts, and the spread that it leaves",
        nt.Listing(
            sp.Eq(
                nt.Argmin(nt.Expectation(_TRACE, _OVER), b),
                -(average + (d + 2) * sigma**2) / 2,
                evaluate=False,
            ),
            sp.Eq(
                average,
                nt.Expectation(SQUARED * J_SQUARED, _OVER) / nt.Expectation(J_SQUARED, _OVER),
                evaluate=False,
            ),
            sp.Eq(
                nt.Label(sp.Symbol(r"\mathrm{least}")),
                nt.Expectation(
                    (LEAST + (SQUARED - average) ** 2 / (4 * sigma**2)) * J_SQUARED + ONE_SLOPE_SQUARED, _OVER
                ),
                evaluate=False,
            ),
        ),
        assumptions=(*POLICY, "prompts τ, spread about each prompt's own gradient"),
        depends_on=("ext-rl.d",),
        note="Unless all prompts have the same ‖e‖², one constant leaves a spread that grows like 1/σ².",
    )
)
register(
    Statement(
        "ext-rl.f",
        BEYOND,
        "A group's mean as the baseline (GRPO without the standard deviation) shortens the gradient",
        sp.Eq(nt.MatrixExpectation(_g_mean), -(group - 1) / group * SLOPE, evaluate=False),
        assumptions=GROUP,
        depends_on=("ext-rl.a",),
        note="Times G/(G − 1) it is the estimator whose baseline is the mean of the others (RLOO), sample by "
        "sample: that one is unbiased.",
    )
)
register(
    Statement(
        "ext-rl.g",
        BEYOND,
        "The covariance of the group's estimator with the mean of the others as baseline, in the output",
        nt.Chain(
            nt.Label(_COV, _u_loo),
            (LEAST / (group - 1) + (group - 2) / (group * (group - 1)) * sigma**2) * I
            + e * e.T / (group - 1),
        ),
        assumptions=GROUP,
        depends_on=("ext-rl.b", "ext-rl.f"),
        note="The best baseline has 1/G for 1/(G − 1), and no last term: not knowing b_* costs one action in "
        "G.  In the weights its trace is that of ext-rl.c likewise.",
    )
)
register(
    Statement(
        "ext-rl.h",
        BEYOND,
        "Divided by the group's standard deviation (GRPO), it descends that standard deviation",
        sp.Eq(nt.MatrixExpectation(_g_std), -nt.Gradient(_SPREAD, V) / sigma**2, evaluate=False),
        assumptions=(*GROUP, "s_G² = (1/G) Σ (R_i − R̄)²"),
        depends_on=("ext-rl.f",),
        note="Even sample by sample, z fixed.  Without the division it is the gradient of −s_G²/(2σ²), "
        "which is ext-rl.f.  With 1/(G − 1) in the standard deviation all is √((G − 1)/G) times this.",
    )
)
register(
    Statement(
        "ext-rl.i",
        BEYOND,
        "With two actions a prompt the normalised estimator descends a distance and not its square",
        sp.Eq(
            nt.MatrixExpectation(_g_std),
            -nt.Gradient(nt.Expectation(nt.Frobenius(e + sigma / sp.sqrt(2) * z), "z"), V)
            / (sp.sqrt(sp.pi) * sigma),
            evaluate=False,
        ),
        assumptions=(*POLICY, "G = 2"),
        depends_on=("ext-rl.h",),
        note="The advantages are ±1.  The direction of each prompt's gradient is kept at every G, since "
        "E s_G depends on ‖e‖ alone; its weight among the prompts is not.",
    )
)
register(
    Statement(
        "ext-rl.j",
        BEYOND,
        "What the normalised estimator descends in large groups",
        nt.Tends(
            nt.MatrixExpectation(_g_std),
            group,
            sp.oo,
            -nt.Gradient(sp.sqrt(SQUARED + d * sigma**2 / 2), V) / sigma,
        ),
        assumptions=GROUP,
        depends_on=("ext-rl.h",),
        note="Squares for small errors, distances for large ones.  At d = k = 1, Ṽ = −1/2, (S, w*) = (1, 2) "
        "and (3, 1), σ → 0 the two objectives have slopes of opposite sign: L_OS 1/4, this −1/2.",
    )
)
register(
    Statement(
        "ext-rl.k",
        BEYOND,
        "Reward evaluations over outcome-supervised prompts for a gradient of the same error",
        nt.Listing(
            nt.Chain(
                sp.Symbol(r"N_{\mathrm{RL}} / N_{\mathrm{OS}}"),
                group + (group * noise + (group - 2) * rest) / ((group - 1) * shared),
            ),
            sp.Eq(noise, nt.Expectation(LEAST * J_SQUARED + ONE_SLOPE_SQUARED, _OVER), evaluate=False),
            sp.Eq(rest, nt.Expectation(sigma**2 * J_SQUARED, _OVER), evaluate=False),
            sp.Eq(shared, nt.Expectation(ONE_SLOPE_SQUARED, _OVER) - SLOPE_SQUARED, evaluate=False),
        ),
        assumptions=(*GROUP, "fresh prompts τ", "the mean of the others is the baseline"),
        depends_on=("ext-rl.g", "ext-rl.c"),
        note="Error: E‖ĝ + ∇L‖_F².  Divided by G it is the ratio of the two stationary excess losses of "
        "stochastic gradient descent with equal small step sizes and B: there the excess is a quarter of the "
        "step size times this error.",
    )
)
register(
    Statement(
        "ext-rl.l",
        BEYOND,
        "Small σ, k = 1, at the minimum: reward evaluations that one outcome is worth, and the best group",
        nt.Listing(
            sp.Eq(
                nt.Label(sp.Symbol(r"\min_G N_{\mathrm{RL}} / N_{\mathrm{OS}}")),
                (1 + sp.sqrt(d + 1)) ** 2,
                evaluate=False,
            ),
            sp.Eq(group, 1 + sp.sqrt(d + 1), evaluate=False),
        ),
        assumptions=(*GROUP, "k = 1, W̃ = I", "∇L_OS = 0", "σ → 0", "G real"),
        depends_on=("ext-rl.k",),
        note="With b_* known and G = 1 it is d + 2.  It grows like d: a reward is one number, an outcome d.",
    )
)
