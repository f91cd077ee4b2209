"""Fine-tuning in closed form: the minimiser (4.1), its first-order parts, and its risk at every B.

A fast path built on Theorem 4.1 and eq. (5.1) of arXiv:2603.01293; it is evidence for neither.
Matrices Γ₀⁻¹, Σ and A are (d, d), or (d,) if given by their diagonal.  Everything is float64: Ω and Φ in
another dtype are refused, the other matrices are converted.  Formulas: ``notes/sampling.md``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from numerics.diagonal import check_covariance_or_diagonal, check_square, full, times, trace
from numerics.errors import ROUNDING, ArgumentError, check_count, check_rate, check_shape

BLOCK = 96  # columns taken at once: the time is flat between 48 and 160
MOST_GROWTH = 4.5e6  # of tr C: a rounding of 1e-9 in C, beyond which singular values take over
DOUBTFUL = 1e-8  # a pivot this small, relative to its column, calls for singular values to settle the rank


def risk(V: Tensor, Sigma: Tensor, n_test: int) -> Tensor:
    """The one-step risk (5.1): ‖I + VΣ‖_F² + (1/n_test)(tr(VΣ²Vᵀ) + tr(VΣVᵀ) tr Σ), a scalar.

    V (d, d).  Raises :class:`ArgumentError` for shapes that do not fit, entries that are not finite, a Σ
    that is no covariance and n_test < 1.
    """
    d = _check_columns("V", V, "d", "d").shape[0]
    check_count("n_test", n_test)
    Sigma = check_covariance_or_diagonal("Sigma", Sigma, d).to(V.device)
    VS = times(Sigma, V.mT).mT
    miss = VS + torch.eye(d, dtype=V.dtype, device=V.device)
    return miss.square().sum() + (VS.square().sum() + (VS * V).sum() * trace(Sigma)) / n_test


def pseudo_inverse(M: Tensor) -> Tensor:
    """M⁺ (B, d) of M (d, B): singular values below max(d, B) · 1e-13 of the largest count as zero."""
    return torch.linalg.pinv(_check_columns("M", M, "d", "B"), rtol=max(M.shape) * ROUNDING)


def sft_minimiser(Omega: Tensor, Phi: Tensor, gamma0_inv: Tensor, eta: float) -> Tensor:
    """V_* = −ηΩΦ⁺ − Γ₀⁻¹(I − ΦΦ⁺) of eq. (4.1), (d, d), by the singular values of Φ.

    Ω and Φ (d, B); the rank of Φ is judged as in :func:`pseudo_inverse`.  η in (0, 1].  Raises
    :class:`ArgumentError` for shapes that do not fit, entries that are not finite and η out of range.
    """
    G, eta = _check_targets(Omega, Phi, gamma0_inv, eta)
    return _minimiser(Omega, Phi, G, eta)


def first_order_operators(
    Omega: Tensor, Phi: Tensor, A: Tensor, gamma0_inv: Tensor, eta: float
) -> tuple[Tensor, Tensor]:
    """V_S = −ηΩM⁺ − Γ₀⁻¹(I − MM⁺) and V_N = −V_S E M⁺ of eq. (B.4), M = AΩ, E = Φ − M; each (d, d).

    Arguments and errors as for :func:`sft_minimiser`; A is the covariance of the post-training features.
    """
    G, eta = _check_targets(Omega, Phi, gamma0_inv, eta)
    A = check_covariance_or_diagonal("A", A, Phi.shape[0]).to(Phi.device)
    M = times(A, Omega)
    if not torch.isfinite(M).all():
        raise ArgumentError("Omega, A: must be nearer to 1 in size, AΩ is beyond float64")
    V_S = _minimiser(Omega, M, G, eta)
    return V_S, -V_S @ (Phi - M) @ pseudo_inverse(M)


def risk_curve(
    Omega: Tensor, Phi: Tensor, gamma0_inv: Tensor, Sigma: Tensor, eta: float, n_test: int
) -> Tensor:
    """The risk (5.1) of V_* on the first B columns of Ω and Φ (d, B_max), for B = 1, …, B_max: (B_max,).

    Entry B−1 is ``risk(sft_minimiser(Omega[:, :B], Phi[:, :B], …), Sigma, n_test)`` up to rounding, at
    O(d² B_max) for all B together.  The rounding grows with the condition of the first B columns, so it
    is largest next to B = rank Φ.

    The first rank Φ columns must be independent, as they are almost surely in the model, for singular A
    too; others raise :class:`ArgumentError`, as do shapes that do not fit, entries that are not finite,
    η outside (0, 1], a Σ that is no covariance and n_test < 1.
    """
    G, eta = _check_targets(Omega, Phi, gamma0_inv, eta)
    check_count("n_test", n_test)
    d, B_max = Phi.shape
    Sigma = check_covariance_or_diagonal("Sigma", Sigma, d).to(Phi.device)
    D = times(G, Phi) - eta * Omega  # V_* = −Γ₀⁻¹ + DΦ⁺
    # R(V) = d + 2 tr(VΣ) + tr(VKVᵀ).
    square = Sigma.square() if Sigma.ndim == 1 else Sigma @ Sigma
    K = square + (square + trace(Sigma) * Sigma) / n_test
    at_start = risk(-full(G), Sigma, n_test)
    slope = full(Sigma) - times(G, full(K))
    Phi, slope, K, Q, R = _on_support(Phi, slope, K)
    r = Q.shape[1]
    errors = at_start.expand(B_max).clone()
    if r == 0:
        return errors
    F = torch.linalg.solve_triangular(R, D[:, :r], upper=True, left=False)
    errors[:r] += _cumulative(F, Q, slope, K)
    if B_max > r:
        errors[r:] += _past_the_rank(D, Phi, slope, K)
    return errors


class _Support(NamedTuple):
    """Φ, the slope and K in an orthonormal basis of a space of dimension s around range Φ, and QR of the
    first columns of Φ; s = rank Φ = columns, unless B_max is below s and columns = B_max."""

    Phi: Tensor  # (s, B_max)
    slope: Tensor  # (d, s)
    K: Tensor  # (s,) or (s, s)
    Q: Tensor  # (s, columns)
    R: Tensor  # (columns, columns)


def _on_support(Phi: Tensor, slope: Tensor, K: Tensor) -> _Support:
    """Φ = PΦ' with PᵀP = I enters V_* as DΦ'⁺Pᵀ, so that K becomes PᵀKP and the slope its product with P."""
    d, B_max = Phi.shape
    # A diagonal A with zeros leaves rows of zeros: dropping them is exact, and K stays diagonal.
    kept = (Phi != 0).any(1).nonzero().squeeze(1)
    if len(kept) < d:
        Phi, slope = Phi[kept], slope[:, kept]
        K = K[kept] if K.ndim == 1 else K[kept][:, kept]
    first = min(Phi.shape)
    if first == 0:
        return _Support(Phi, slope, K, Phi[:, :0], Phi[:0, :0])
    Q, R = torch.linalg.qr(Phi[:, :first])
    if float(_pivots(Phi, R).min()) > DOUBTFUL:
        return _Support(Phi, slope, K, Q, R)
    left, values, _ = torch.linalg.svd(Phi, full_matrices=False)
    r = int((values > max(d, B_max) * ROUNDING * values[0]).sum())
    P = left[:, :r]
    Phi = P.mT @ Phi
    Q, R = torch.linalg.qr(Phi[:, :r])
    pivots = _pivots(Phi, R)
    if float(pivots.min()) <= d * ROUNDING:
        dependent = int((pivots <= d * ROUNDING).nonzero()[0]) + 1
        raise ArgumentError(
            f"Phi has rank {r} but its column {dependent} depends on those before it: "
            f"the first {r} columns must be independent"
        )
    return _Support(Phi, slope @ P, P.mT @ times(K, P), Q, R)


def _pivots(Phi: Tensor, R: Tensor) -> Tensor:
    """The distances of the first columns of Φ from the span of those before them, relative to their norms."""
    norms = torch.linalg.vector_norm(Phi[:, : R.shape[1]], dim=0)
    return R.diagonal().abs() / torch.where(norms > 0, norms, 1.0)


def _cumulative(X: Tensor, Y: Tensor, slope: Tensor, K: Tensor) -> Tensor:
    """2⟨T_j, slope⟩ + tr(T_jKT_jᵀ) for T_j = Σ_{i≤j} x_i y_iᵀ, j = 1, …, b; X (d, b), Y (r, b)."""
    linear = 2 * (X * (slope @ Y)).sum(0)
    pairs = (X.mT @ X) * (Y.mT @ times(K, Y))
    return (linear + 2 * pairs.tril(-1).sum(1) + pairs.diagonal()).cumsum(0)


def _past_the_rank(D: Tensor, Phi: Tensor, slope: Tensor, K: Tensor) -> Tensor:
    """2⟨T, slope⟩ + tr(TKTᵀ) at T = DΦ⁺ of the first B columns, for B = r+1, …, B_max; Φ (r, B_max).

    Recursive least squares run backwards, from all columns down to r+1: the problem is best conditioned
    at the start, where forwards the rounding made at B = r would stay.
    """
    r, B_max = Phi.shape
    D, Phi = D.flip(1), Phi.flip(1)  # the first to leave comes first
    basis, upper = torch.linalg.qr(Phi.mT)
    # Φ = upperᵀ q with orthonormal rows q: whatever the spectrum of A, C = (qqᵀ)⁻¹ starts at I.
    q = basis.mT
    T = torch.linalg.solve_triangular(upper, (D @ basis).mT, upper=True).mT
    C = torch.eye(r, dtype=Phi.dtype, device=Phi.device)
    found = Phi.new_empty(B_max - r)
    done = 0
    while True:
        pull = slope + times(K, T.mT).mT
        found[done] = ((slope + pull) * T).sum()
        leaving = slice(done, min(done + BLOCK, B_max - r - 1))
        b = leaving.stop - done
        done += 1
        if b == 0:
            break
        Cq = C @ q[:, leaving]
        rest = -q[:, leaving].mT @ Cq
        rest.diagonal().add_(1)
        lower, failed = torch.linalg.cholesky_ex(rest)
        residual = D[:, leaving] - T @ Phi[:, leaving]
        X = -torch.linalg.solve_triangular(lower, residual.mT, upper=False).mT
        Y = torch.linalg.solve_triangular(lower, Cq.mT, upper=False).mT
        Z = torch.linalg.solve_triangular(upper, Y, upper=True)
        # tr C, which only grows, times the unit roundoff is the relative size of the rounding in C.
        growth = C.trace() + Y.square().sum(0).cumsum(0)
        kept = 0 if failed else int((growth <= MOST_GROWTH).sum())
        found[done : done + kept] = (found[done - 1] + _cumulative(X, Z, pull, K))[:kept]
        done += kept
        if kept < b:
            break
        T.addmm_(X, Z.mT)
        C.addmm_(Y, Y.mT)
        done -= 1  # the last of a block is done afresh as the first of the next, so that no sum grows long
    for index in range(done, B_max - r):  # none, or a few next to a sharp peak
        T = D[:, index:] @ pseudo_inverse(Phi[:, index:])
        found[index] = ((2 * slope + times(K, T.mT).mT) * T).sum()
    return found.flip(0)


def _minimiser(Omega: Tensor, Phi: Tensor, G: Tensor, eta: float) -> Tensor:
    return (times(G, Phi) - eta * Omega) @ pseudo_inverse(Phi) - full(G)


def _check_targets(Omega: Tensor, Phi: Tensor, gamma0_inv: Tensor, eta: float) -> tuple[Tensor, float]:
    """Γ₀⁻¹ on the targets' device and η, after the checks of what all functions of (4.1) take."""
    _check_columns("Phi", Phi, "d", "B")
    _check_columns("Omega", Omega, *Phi.shape)
    rate = check_rate("eta", eta)
    return check_square("gamma0_inv", gamma0_inv, Phi.shape[0]).to(Phi.device), rate


def _check_columns(name: str, value: Tensor, *shape: int | str) -> Tensor:
    """A finite float64 matrix of that shape."""
    check_shape(name, value, *shape)
    if value.ndim != 2:
        raise ArgumentError(f"{name} has shape {tuple(value.shape)}: must be one matrix, without batch")
    if not torch.isfinite(value).all():
        raise ArgumentError(f"{name} has entries that are not finite: every entry must be a finite number")
    return value
