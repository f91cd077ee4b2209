"""Runs repeated a fixed number of times (minimisers, trained models, extrapolated limits): their mean against
a prediction that it is within δ of, at the error probability of a sampled check."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from verify.ledger.evidence import Evidence
from verify.profiles import Profile
from verify.stats import half_widths

Array = NDArray[np.float64]


def within(mean: Array, half: Array, delta: float) -> str:
    """Of deviations known to ± ``half``: all of them inside ±δ, one of them outside, or neither."""
    if (np.abs(mean) + half <= delta).all():
        return "agrees"
    # A prediction that is no number agrees with nothing.
    return "differs" if not (np.abs(mean) - half <= delta).all() else "undecided"


def repeated(
    samples: Array,
    prediction: Array | float,
    scale: float,
    delta: float,
    regime: str,
    profile: Profile,
    kind: str,
    form: str = "printed",
) -> Evidence:
    """The mean of independent runs, ``samples`` (runs,) or (runs, …), against ``prediction``, in units of
    ``scale``: δ is for what a run is off by on average (a bias, a remainder), and the intervals must fit into
    it."""
    off = (samples - np.asarray(prediction, dtype=float)).reshape(len(samples), -1) / scale
    finite = np.isfinite(off).all()
    half = half_widths(off, profile.alpha) if finite else np.zeros(off.shape[1])
    mean = np.asarray(off.mean(axis=0))
    worst = int(np.argmax(np.abs(mean) + half))
    measured = f"off by {mean[worst]:+.1e} ± {half[worst]:.0e} of the size"
    return Evidence(kind, within(mean, half, delta), measured, regime, delta, profile.alpha, form)
