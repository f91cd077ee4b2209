"""Bad input to the public functions: refused in one line that names the argument, or answered rightly.

``make fuzz`` runs 10 000 cases (``LSATHEORY_FUZZ``), every other run a few for each function.
"""

from __future__ import annotations

import inspect
import os
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import fuzzed_numerics
import fuzzed_theory
import numpy as np
import pytest
from fuzzed import BY_NAME, VALUES, Fuzzed, Value, attempt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import numerics
import theory

FUNCTIONS = {f"theory.{name}": case for name, case in fuzzed_theory.FUNCTIONS.items()}
FUNCTIONS |= {f"numerics.{name}": case for name, case in fuzzed_numerics.FUNCTIONS.items()}
EACH = -(-int(os.environ.get("LSATHEORY_FUZZ", "500")) // len(FUNCTIONS))  # cases of a function, rounded up
HUGE = {"10**9", "2**53", "2**53 + 1"}


def bads(case: Fuzzed) -> st.SearchStrategy[dict[str, Value]]:
    """At most two arguments and what is put in their places."""

    def one(name: str) -> st.SearchStrategy[tuple[str, Value]]:
        allowed = [value for value in VALUES if not (name in case.long and value.name in HUGE)]
        return st.sampled_from(allowed).map(lambda value: (name, value))

    names = [name for name in case.good(np.random.default_rng(0)) if name not in case.fixed]
    return st.lists(st.sampled_from(names).flatmap(one), max_size=2).map(dict)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fuzz(name: str) -> None:
    case, tried = FUNCTIONS[name], 0

    @settings(
        max_examples=EACH,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32 - 1), bads(case))
    def cases(seed: int, bad: dict[str, Value]) -> None:
        nonlocal tried
        tried += 1
        attempt(case, seed, bad)

    cases()
    assert tried >= EACH


# What the first runs of 10 000 cases found, at its smallest: function, seed, and what was put in.
FOUND: list[tuple[str, int, dict[str, str]]] = [
    # Wrong, or no answer, on good input: 0/0 where a displaced start is zero; overflow from n = 300 on.
    ("theory.os_fixed_point.os_minimiser", 2896762489, {}),
    ("theory.os_limits.many_steps", 1474644684, {}),
    # Wrong without a word: rounding of I − AA† times Γ₀⁻¹; ΣΣ underflows; NaN at a tiny β; a cached k = 1.
    ("theory.population.population_limit", 1717680247, {"gamma0": "times 1e-200"}),
    ("theory.risk.one_step_risk", 0, {"Sigma": "times 1e-200", "V": "times 1e200"}),
    ("theory.risk_shape.Curve.error", 0, {"beta": "5e-324"}),
    ("theory.kstep.centred_risk", 0, {"k": "True"}),
    ("theory.descent.contraction", 0, {"step": "float32"}),
    # Taken without a word.
    ("theory.kstep.k_step_risk_expr", 0, {"limit": "nan"}),
    ("theory.os_fixed_point.one_step_fixed_point", 0, {"eta": "nan"}),
    ("theory.allocation_optimum.allocation_table", 0, {"lengths": "b'3'"}),
    ("theory.proportional.sft_risk_limit", 0, {"weights": "as text"}),
    ("theory.kstep_value.k_step_risk", 0, {"V": "as text"}),
    ("numerics.sft.risk", 0, {"Sigma": "as flags"}),
    ("numerics.model.assemble", 0, {"label_entry": "nan"}),
    # No end.
    ("theory.kstep.k_step_risk_expr", 0, {"k": "2**53"}),
    ("theory.os_limits.isotropic_fixed_point", 0, {"steps": "10**9"}),
    ("numerics.stability.largest_stable_step", 0, {"resolution": "1e-160"}),
    # Another exception, a warning, or a message of many lines.
    ("theory.risk.one_step_risk", 0, {"n": "10**5000"}),
    ("theory.risk.one_step_risk", 0, {"n": "5 x 5"}),
    ("theory.risk.one_step_risk", 0, {"V": "complex"}),
    ("theory.pretraining.gamma0", 0, {"Sigma0": "1e308 in it"}),
    ("theory.finetuning.fine_tuned", 0, {"Omega": "None"}),
    ("theory.finetuning.fine_tuned", 0, {"eta": "sp 1/2"}),
    ("theory.plan.best_prompts", 0, {"of": "None"}),
    ("theory.plan_length.best_length", 0, {"roles": "0-d"}),
    ("theory.plan_phase.boundary", 0, {"aspect": "0"}),
    ("numerics.losses.sft_loss", 0, {"prompts": "None"}),
    ("numerics.model.embed", 0, {"w_star": "repeated"}),
    ("numerics.model.lsa", 0, {"scale": "1/2"}),
    ("numerics.policy_gradient.log_probability", 0, {"mean": "a NaN in it"}),
    ("numerics.sampling.sft_targets", 0, {"generator": "None"}),
    ("numerics.curvature.curvature", 0, {"V_block": "one axis more"}),
    ("numerics.sft.first_order_operators", 1, {"Omega": "1e308 in it"}),
]


@pytest.mark.parametrize(("name", "seed", "bad"), FOUND)
def test_found(name: str, seed: int, bad: dict[str, str]) -> None:
    attempt(FUNCTIONS[name], seed, {argument: BY_NAME[value] for argument, value in bad.items()})


def _numeric(package: ModuleType) -> Iterator[str]:
    """Public functions with numbers or arrays among their arguments or results, by annotation."""
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = import_module(found.name)
        for name, value in vars(module).items():
            if name.startswith("_") or (not inspect.isroutine(value) and not hasattr(value, "__wrapped__")):
                continue
            if getattr(value, "__module__", None) != module.__name__:
                continue
            signature = inspect.signature(value)
            written = [str(p.annotation) for p in signature.parameters.values()]
            written.append(str(signature.return_annotation))
            if re.search(r"\b(Array|ArrayLike|NDArray|float|Tensor|Setting)\b", " ".join(written)):
                yield f"{found.name.partition('.')[2]}.{name}"


@pytest.mark.parametrize("package", [theory, numerics])
def test_every_numeric_function_is_fuzzed(package: ModuleType) -> None:
    cases = fuzzed_theory if package is theory else fuzzed_numerics
    known = {*cases.FUNCTIONS, *cases.ELSEWHERE, *getattr(cases, "TAKEN_AS_CHECKED", ())}
    # Methods, classes, and functions of whole numbers or plans only, are there besides.
    assert set(_numeric(package)) - known == set()


@pytest.mark.parametrize("name", fuzzed_theory.TAKEN_AS_CHECKED)
def test_unchecked_functions_say_so(name: str) -> None:
    module, _, function = f"theory.{name}".rpartition(".")
    text = " ".join((getattr(import_module(module), function).__doc__ or "").split())
    assert "taken as checked" in text
