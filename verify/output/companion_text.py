"""What the companion says between the statements: definitions, the sections in order, captions."""

from __future__ import annotations

from typing import NamedTuple

DEFINITIONS = r"""
\paragraph{A prompt.} A task is a vector $\lsawStar \sim N(0, I)$ in $\mathbb{R}^{\lsad}$; its prompt
holds $\lsan$ examples $x_j \sim N(0, \lsaSigma)$ with labels $y_j = x_j^{\top} \lsawStar$. With $\lsaX =
[x_1, \ldots, x_{\lsan}]$ let $\lsaS = \lsaX \lsaX^{\top} / \lsan$. The prompt is a matrix $Z_0$ with the
columns $(x_j, y_j, 0, 0)$ and a last column $(0, 0, w_0, 1)$, $w_0 = 0$.

\paragraph{The model.} Linear self-attention $f(Z) = Z + \frac{1}{\lsan} V Z Z^{\top} W Z$ appends its
last column to the prompt, again and again: a chain of thought. Pretraining leaves one block $\lsaV$ of
$V$ and two of $W$, $\lsaW$ and $-1$ (eq.~3.8), and then a step is
\[
\lsawHat_{i+1} = \lsawHat_i + \lsaV \lsaS \left( \lsaW \lsawHat_i - \lsawStar \right), \qquad
\lsawHat_{\lsak} - \lsawStar = - \left( I + \lsaV \lsaS \right)^{\lsak} \lsawStar \quad \text{at } \lsaW = I .
\]

\paragraph{Pretraining} on prompts from $N(0, \lsaSigmaZero)$ ends at $\lsaV = - \lsaGammaZero^{-1}$,
$\lsaGammaZero = (1 + \frac{1}{\lsan}) \lsaSigmaZero + \frac{1}{\lsan} \operatorname{tr}(\lsaSigmaZero)
I$.

\paragraph{Supervised fine-tuning} takes $\lsaB$ prompts from $N(0, \lsaA)$ and the path $w_i = (1 - (1 -
\lsaeta)^i) \lsawStar$. With the columns $\lsawStarTau$ in $\lsaOmega$ and $\lsaSTau \lsawStarTau$ in
$\lsaPhi$ it ends at $\lsaVStar = - \lsaeta \lsaOmega \lsaPhi^{\dagger} - \lsaGammaZero^{-1} (I - \lsaPhi
\lsaPhi^{\dagger})$.

\paragraph{Outcome supervision} penalises the last step alone: $\lsaLOS = \frac{1}{2 \lsaB} \sum_{\lsatau}
\| \lsaMTau^{\lsak} \lsawStarTau \|^2$ with $\lsaMTau = I + \lsaV \lsaSTau$.

\paragraph{The test} is on prompts from $N(0, \lsaSigma)$, $\lsaSigma = \lsaSigmaZero + \lsaShift$: what
pretraining lacks is $\lsaShift$, and $U = \operatorname{range}(\lsaShift)$ has dimension $m$. In the
proportional limit $\lsaB / \lsad \to \lsabeta$, $m / \lsad \to \mu_1$ and $\lsad / \lsan \to \lsaaspect$;
$\lsaErrBare$ is the error over $\lsad$.
"""

# What the definitions name; the statements name it too, unless they are few.
SYMBOLS = {
    "lsaX": "X", "lsaS": "S", "lsaA": "A", "lsatau": r"\tau", "lsaSTau": r"S_{\tau}", "lsaMTau": r"M_{\tau}",
    "lsawStarTau": r"w^{*}_{\tau}", "lsaVStar": r"\widetilde{V}_{*}", "lsaShift": r"\Delta",
    "lsaLOS": r"L_{\mathrm{OS}}", "lsaaspect": r"\gamma", "lsaErrBare": r"\mathrm{Err}",
}  # fmt: skip


class Section(NamedTuple):
    """A part of the companion: the beginnings of its statements' ids, and in prose what they are about."""

    title: str
    prefixes: tuple[str, ...]
    text: str
    figures: tuple[str, ...] = ()


SECTIONS = (
    Section(
        "The model, its losses, pretraining",
        ("eq-3.",),
        "Section 3: linear self-attention, the prediction, the two losses, and where pretraining ends.",
    ),
    Section(
        "Supervised fine-tuning",
        ("thm-4.", "rem-4.", "prop-4.3"),
        "Section 4: the minimiser (4.1), gradient descent to it, and its limit for B → ∞.",
    ),
    Section(
        "The test risk, and which data",
        ("prop-5.1", "sec-5-", "sec-5.1", "insight-1"),
        "Sections 5 and 5.1: the one-step risk (5.1) at finite n, and the covariance A that makes it small.",
    ),
    Section(
        "How much data: interference",
        ("sec-5.2", "fig-1", "fig-2", "insight-2"),
        "Section 5.2: double descent in B, the prompt length, and when few prompts are best.",
        ("fig1", "fig2", "plan-phase"),
    ),
    Section(
        "Outcome supervision",
        ("prop-6.1", "os-", "eq-6.1", "sec-6", "insight-3", "insight-4", "sec-7", "fig-3", "fig-4"),
        "Sections 6 and 7: the loss of the last step, its gradient and curvature, and its step sizes.",
        ("stability", "fig3", "fig4"),
    ),
    Section("Proofs: the recursion and the mean", ("lem-A", "eq-A"), "Appendix A."),
    Section(
        "The limit of the linearised error",
        ("app-B", "eq-B", "thm-B", "fig-5", "prop-B.2", "eq-C", "lem-C", "app-D"),
        "Appendices B to D: Ṽ_* to first order in Φ − AΩ, the limit F(β) of its error, and what follows.",
        ("fig5",),
    ),
    Section("The Hessian", ("app-E",), "Appendix E."),
    Section("The claims of the abstract", ("abs-",), "Each in a form that can be true or false."),
    Section(
        "The companion paper",
        ("rel-",),
        "arXiv:2510.03605 as reported: hardness, the error of k steps, overthinking, task selection.",
    ),
    Section(
        "Beyond the paper",
        ("ext-",),
        "Statements of ours in the same model, each with its evidence.",
        ("overthinking", "os-finite", "policy-gradient", "beyond"),
    ),
    Section(
        "The exact limit",
        ("ext-equivalents", "ext-limit", "ext-curve", "ext-first-order"),
        "The limit of Err(Ṽ_*) itself, no linearisation, as d, n and B grow in proportion.",
    ),
)

CAPTIONS = {
    "fig1": "Figure 1 again: Err(Ṽ_*) against B; exact limit (lines), simulation (marks), and the deviation.",
    "fig2": "Figure 2 again: Err(Ṽ_*) against the prompt length, all lengths equal and each alone.",
    "fig3": "Figure 3 again: a GPT-2 decoder trained on the same prompts.",
    "fig4": "Figure 4 again: one layer, trained with supervised fine-tuning and with outcome supervision.",
    "fig5": "Figure 5 again: F as printed and as corrected, and the exact limit of Err(Ṽ_*).",
    "plan-phase": "Where few prompts are best and where more of them are, in r/η and γ = d/n.",
    "stability": "The largest stable step of outcome supervision, measured, beside 2/λ_max.",
    "overthinking": "The risk at other depths than the trained one, exact.",
    "os-finite": "Outcome supervision on finitely many prompts: B, n, and the number of steps.",
    "policy-gradient": "REINFORCE and group baselines beside outcome supervision, by outcomes or rewards.",
}
