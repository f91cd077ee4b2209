"""The calibration is what its results say, and a small part of it comes out alike when it is run again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import binom

from verify import calibration
from verify.ledger import store
from verify.stats import LEAST

JSON = store.project_root() / "notes" / "calibration.json"


def test_table_is_what_the_results_render_to() -> None:
    results = json.loads(JSON.read_text(encoding="utf-8"))
    assert JSON.with_suffix(".md").read_text(encoding="utf-8") == calibration.rendered(results)


def test_no_rate_is_above_its_bound() -> None:
    results = json.loads(JSON.read_text(encoding="utf-8"))
    assert results["runs"] >= 1000
    assert [c for c in results["counts"] if c["low"] > c["bound"]] == []
    # One-sided p values of so many checks: by chance none is so small but once in a thousand times.
    assert min(one["ks"] for one in results["checks"]) > 1e-3 / len(results["checks"])


@pytest.mark.parametrize("name", calibration.laws(np.random.default_rng(0)))
def test_again_with_other_samples(name: str) -> None:
    law = calibration.laws(np.random.default_rng(7))[name]
    runs = 200
    counts, about = calibration.calibrated(name, calibration.pool(law, 1, runs), 1, runs)
    assert [c for c in counts if c.low > c.bound] == []
    assert about["ks"] > 1e-4
    # Were the blocks' intervals far too wide, nothing would ever miss.
    assert sum(c.count for c in counts if c.event.startswith("block")) > 0


def test_anticonservative_samples_are_seen() -> None:
    """Blocks of 21 samples of a law of skewness 15, taken for averages of a million each."""
    law = calibration.laws(np.random.default_rng(8))["law of skewness 15"]
    samples = calibration.pool(law, 10**6, 200)
    assert samples.shape == (200, 3, LEAST)
    counts, _ = calibration.calibrated("too few", samples, 10**6, 200)
    assert any(c.low > c.bound for c in counts)
    assert all(c.count <= binom.isf(1e-4, c.runs, c.high) for c in counts)
