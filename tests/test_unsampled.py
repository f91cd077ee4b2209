"""A check that declares no error probability depends on no draw, but to rounding or to a stated remainder."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

from verify.ledger.evidence import SYMBOLIC

ROOT = Path(__file__).resolve().parents[1]
EXACT = 1e-6  # no mean of the samples that a run draws comes so near to its expectation

# The others, by the reason why no draw of the run decides the outcome but with probability 0.
DETERMINISTIC = {
    "no number is random: scalars, quadrature, all moments of the prompts": (
        *("abstract.bound", "abstract.gains", "curvature.corner", "error_terms.levels"),
        *("joint.limit_in_length", "os_finite.prompts_to_floor", "os_limits.long_prompts"),
        *("os_limits.many_steps", "policy_nodes._judged", "risk_curve_start._deterministic"),
        *("risk_curve_start.miss_bound", "sparsity.label_after_descent", "stability.starting_radius"),
        *("stability_course.shrinkage", "stability_course.steps_taken"),
    ),
    "all moments of the prompts; what is random, a basis or a start of training, moves no minimum": (
        *("curvature.peak", "joint.minimiser", "population.both_blocks", "stability.limits"),
    ),
    "said of every training set: those drawn have each its own prediction, δ is for steps, λ, t or z": (
        *("beyond_tuning.free_blocks", "descent.descent", "descent.error_map", "finetuning.limits_over_k"),
        *("finetuning.regularised_limit", "linearised.expansion", "os_finite.ends"),
        *("outcome_derivatives.dropped", "outcome_derivatives.gradient_rate", "pretraining.block_W"),
        *("pretraining.held_label", "resolvent_identities.approach", "sparsity.zero_blocks"),
    ),
    "said of every setting: the ones here have seeds of their own, the same in each run": (
        *("curvature.exponents", "stability.order_of_limits", "stability.power"),
    ),
    "each draw has the exponent itself, to 1e-4 of the weight of all": ("beyond.tail",),
    "a witness: each of the minima that are found proves that there are others": ("os_finite.other_minimum",),
    "stored runs: the 95 % intervals over their seeds are shown, and the verdict is none on a theorem": (
        "figure_three_recorded.caption",
    ),
    "formulas are compared": ("run.exact",),
    "no number is predicted, so that nothing is drawn": ("policy_gradient.expectation", "run.sampled"),
}


def _arguments(call: ast.Call) -> dict[str, ast.expr]:
    names = ("kind", "outcome", "measured", "regime", "delta", "alpha")
    given = {name: value for name, value in zip(names, call.args, strict=False)}
    return given | {k.arg: k.value for k in call.keywords if k.arg}


def _value(node: ast.expr | None, function: ast.AST, module: str) -> object:
    """The constant that ``node`` is, by its name in the function or the module; None where it is none."""
    if isinstance(node, ast.Constant):
        return node.value
    if not isinstance(node, ast.Name):
        return None
    found: list[object] = []
    for each in ast.walk(function):
        if isinstance(each, ast.Assign):
            for target in each.targets:
                pairs = [(target, each.value)]
                if isinstance(target, ast.Tuple) and isinstance(each.value, ast.Tuple):
                    pairs = list(zip(target.elts, each.value.elts, strict=True))
                found += [_value(v, ast.Pass(), module) for t, v in pairs if ast.unparse(t) == node.id]
    if found:
        return max(found) if all(isinstance(x, float) for x in found) else None
    return getattr(importlib.import_module(module), node.id, None)


def unsampled() -> Iterator[tuple[str, bool]]:
    """The functions of verify/checks and of the tests in verify/ that make numeric evidence without an error
    probability, and whether they compare to rounding, or to :data:`EXACT` at most."""
    for path in sorted([*(ROOT / "verify").glob("test_*.py"), *(ROOT / "verify" / "checks").glob("*.py")]):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            for call in ast.walk(function):
                if not (isinstance(call, ast.Call) and ast.unparse(call.func).endswith("Evidence")):
                    continue
                given = _arguments(call)
                if _value(given.get("kind"), function, module) in SYMBOLIC | {"property"}:
                    continue
                alpha = given.get("alpha", ast.Constant(0.0))
                if all(not isinstance(x, ast.Constant) or x.value for x in ast.walk(alpha)):
                    continue
                delta = _value(given.get("delta"), function, module)
                exact = isinstance(delta, float) and 0 < delta <= EXACT
                name = f"{module.split('.')[-1]}.{getattr(function, 'name', '?')}"
                yield name, exact or "rounding_test(" in ast.unparse(function)


def test_no_draw_decides_without_an_error_probability() -> None:
    """Each such function compares to rounding or is listed above, and all that are listed exist."""
    listed = [name for names in DETERMINISTIC.values() for name in names]
    assert len(listed) == len(set(listed))
    assert sorted({name for name, exact in unsampled() if not exact}) == sorted(listed)
