"""The mutants of a formula: all places, no other shape, none that is equal; and where they are put."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import sympy as sp
import torch

from theory import block_symbols as bs
from theory import notation as nt
from theory import statement as registered
from theory.statement import Statement, registry
from verify.ledger import load_statements
from verify.mutation.draws import _remembered, fingerprint
from verify.mutation.explained import EXPLAINED
from verify.mutation.mutants import claims, mutants
from verify.mutation.tamper import Theory, imported_with
from verify.mutation.values import equal, well_formed

TRACE = sp.Trace(nt.V * nt.Sigma)
FORM = sp.Eq(nt.Label("L", nt.V), 3 * TRACE + sp.Trace(nt.Sigma) * TRACE / nt.n, evaluate=False)


def _sides(form: sp.Basic) -> set[sp.Basic]:
    return {m.new for m in mutants(form)}


def test_every_place_of_a_formula_is_hit() -> None:
    last = sp.Trace(nt.Sigma) * TRACE / nt.n
    assert {
        2 * TRACE + last,  # a coefficient
        4 * TRACE + last,
        6 * TRACE + last,
        -3 * TRACE + last,
        last,  # a term left out
        3 * TRACE,
        3 * TRACE + 2 * last,  # doubled
        3 * TRACE - last,  # a sign
        3 * TRACE + last / nt.n,  # an exponent
        3 * TRACE + last * nt.n,
        3 * TRACE + sp.Trace(nt.Sigma) * TRACE / (nt.n + 1),
        3 * sp.Trace(nt.V.T * nt.Sigma) + last,  # a transpose
        3 * TRACE + sp.Trace(nt.Sigma) * TRACE / nt.d,  # n for d
        3 * sp.Trace(nt.V) * sp.Trace(nt.Sigma) + last,  # a trace split
    } <= _sides(FORM)


def test_the_left_side_and_the_names_stay() -> None:
    assert all(m.whole.lhs == FORM.lhs for m in mutants(FORM))
    assert not mutants(sp.Eq(FORM.lhs, nt.Label("f"), evaluate=False))


def test_levels_change_their_block_and_their_family() -> None:
    form = sp.Eq(sp.Symbol("T"), bs.mu[1] * bs.w[2] ** 2, evaluate=False)
    assert {bs.mu[2] * bs.w[2] ** 2, bs.mu[1] * bs.w[1] ** 2, bs.w[1] * bs.w[2] ** 2} <= _sides(form)


def test_relations_turn_round_and_tighten() -> None:
    form = sp.Implies(nt.eta > 0, sp.StrictLessThan(nt.Label("r"), 1, evaluate=False), evaluate=False)
    found = {m.whole.args[1] for m in mutants(form)}
    assert found == {nt.Label("r") > 1, nt.Label("r") < sp.Rational(1, 2)}


def test_no_mutant_of_the_registry_is_malformed_in_type() -> None:
    load_statements()
    assert all(mutants(form) is not None for s in registry().values() for form in claims(s).values())


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (TRACE, sp.Trace(nt.Sigma * nt.V), True),
        (TRACE, sp.Trace(nt.Sigma * nt.V.T), True),  # Σ is symmetric
        (sp.Trace(nt.V * nt.V), sp.Trace(nt.V * nt.V.T), False),
        (nt.Pinv(nt.Phi) * nt.Phi * nt.Pinv(nt.Phi), nt.Pinv(nt.Phi), True),
        (nt.Phi * nt.Pinv(nt.Phi), nt.I, False),  # B < d
        (nt.A * nt.Pinv(nt.A), nt.I, False),  # where A† is meant, A is singular
        (sp.Sum(bs.mu[bs.k], (bs.k, 1, 2)), bs.mu[1] + bs.mu[2], True),
        (nt.Label("f", nt.eta), nt.Label("f", 2 * nt.eta), False),
    ],
)
def test_equality_at_generic_points(one: sp.Basic, other: sp.Basic, same: bool) -> None:
    assert equal(one, other) is same


def test_shapes_that_do_not_fit_are_seen() -> None:
    assert well_formed(nt.Phi * nt.Phi.T)
    assert not well_formed(sp.MatMul(nt.Phi, nt.Omega, evaluate=False))


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch):
    """A statement, a constant and a function that hold its formula, and a reference that does not."""
    module = ModuleType("verify.planted_for_mutants")
    formula = 3 * TRACE + sp.Trace(nt.Sigma) * TRACE / nt.n
    monkeypatch.setitem(sys.modules, module.__name__, module)
    source = "def made(f):\n    return f + 1 - 1\ndef derived(f):\n    return f + 1 - 1\n"
    exec(compile(source, "/theory/planted.py", "exec"), vars(module))
    module.CONSTANT = {"all": (formula,)}
    statement = Statement("planted-mutant", "here", "planted", sp.Eq(sp.Symbol("L"), formula, evaluate=False))
    monkeypatch.setitem(registered._REGISTRY, statement.id, statement)
    return module, statement, imported_with(lambda: module.made(formula), "/theory/")


def test_a_formula_is_replaced_wherever_it_is_read(planted) -> None:
    module, statement, called = planted
    formula = statement.printed.rhs
    kept = vars(module).copy()
    theory = Theory(called)
    try:
        mutant = mutants(statement.printed)[0]
        with theory.with_mutant(statement.id, "printed", mutant):
            assert registry()[statement.id].printed == mutant.whole
            assert module.CONSTANT["all"][0] == mutant.new
            assert module.made(formula) == mutant.new  # registered from it, so no witness
            assert module.derived(formula) == formula  # a witness of its own
            assert theory.read
        assert registry()[statement.id] == statement
        assert module.CONSTANT["all"][0] == formula == module.made(formula)
    finally:
        theory.close()
    assert vars(module) == kept


def test_explanations_name_registered_forms() -> None:
    load_statements()
    known = {(i, form) for i, s in registry().items() for form in claims(s)}
    assert EXPLAINED.keys() <= known
    assert all(why.strip() for reasons in EXPLAINED.values() for why in reasons.values())


def test_a_sum_that_is_zero_changes_on_its_left() -> None:
    form = sp.Eq(3 * nt.eta**2 - nt.d, 0, evaluate=False)
    found = {m.whole for m in mutants(form)}
    assert sp.Eq(3 * nt.eta**3 - nt.d, 0, evaluate=False) in found
    assert sp.Eq(nt.d - 3 * nt.eta**2, 0, evaluate=False) not in found  # the same equation
    assert sp.Eq(6 * nt.eta**2 - 2 * nt.d, 0, evaluate=False) not in found


def test_a_formula_that_is_zero_changes_and_no_multiple_is_wrong() -> None:
    """What is zero is measured nowhere else; a mean of symbols is, and is left alone."""
    left = nt.V * (nt.S + nt.Sigma) * nt.w_star
    zero = sp.ZeroMatrix(nt.d, 1)
    new = _sides(sp.Eq(left, zero, evaluate=False))
    dropped, turned = nt.V * nt.S * nt.w_star, nt.V.T * (nt.S + nt.Sigma) * nt.w_star
    assert {str(dropped), str(turned)} <= {str(x.doit()) for x in new}
    assert not {2 * left, -left} & new
    assert not mutants(sp.Eq(nt.MatrixExpectation(left), zero, evaluate=False))


def test_a_function_of_one_value_changes_in_its_arguments() -> None:
    scaled, plain = nt.Label("f", nt.eta * nt.n, nt.A), nt.Label("f", nt.eta, nt.A)
    new = _sides(nt.Chain(scaled, plain))
    assert nt.Label("f", nt.eta**2 * nt.n, nt.A) in new
    assert all(x.args[0] == scaled.args[0] and x != plain for x in new - {plain})
    assert not mutants(nt.Chain(nt.Label("g", nt.eta), plain))


def test_a_remembered_tensor_may_be_written_into() -> None:
    once = _remembered(lambda n: torch.zeros(n))
    once(2).add_(1.0)
    assert once(2).sum() == 0


def test_sets_have_a_fingerprint() -> None:
    assert fingerprint({"V", "W"}) == fingerprint({"W", "V"}) != fingerprint({"V"})
    assert fingerprint({"V"}) is not None
