"""Wishart matrices revealed along the directions that they are asked for, and k steps on them.

A step of eq. (A.1) of arXiv:2603.01293 sees a prompt's S = (1/n) Σ x_i x_iᵀ only through a product Su.  So
k steps need S along k directions, chosen as they go, and none of its n × d features is drawn: O(kd) random
numbers a prompt, whatever n is.  Proof: ``notes/revealed.md``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from numerics.diagonal import check_covariance_or_diagonal, check_square, times
from numerics.errors import ArgumentError, check_count, check_type, shown
from numerics.prompts import _square_root

CHUNK = 2**22  # numbers held at once: 16 MiB in float32


class RevealedWishart:
    """GᵀG for ``size`` independent n × d matrices G of standard normals, known only where it was asked for.

    ``most`` is how often :meth:`times` may be called.  Exact in law, also where a question depends on the
    answers before it:  with q_l the l-th new orthonormal direction and Q_l = [q_1 … q_l],

        z_l = χ_{n−l+1} q_l + (I − Q_lQ_lᵀ) h_l,  h_l ~ N(0, I_d),   z_l = 0 for l > n,

    and GᵀGv = Σ_l z_l (z_l·v) for every v in the span of q_1, q_2, ….  Holds 2·most·size·d numbers of
    ``dtype``, on the generator's device.
    """

    def __init__(
        self, d: int, n: int, size: int, most: int, generator: torch.Generator, dtype: torch.dtype
    ) -> None:
        self.d, self.n, self._generator = d, n, generator
        kind = {"dtype": dtype, "device": generator.device}
        # A direction is one contiguous (size, d) slab, into which normals are drawn fast.
        self._q, self._z = (torch.empty(most, size, d, **kind) for _ in range(2))  # type: ignore[call-overload]
        self.restart()

    def restart(self) -> None:
        """Forget everything: from here on these are other, independent matrices."""
        self.asked = 0
        self.rank = torch.zeros(self._q.shape[1], dtype=torch.long, device=self._q.device)

    def times(self, u: Tensor) -> Tensor:
        """GᵀGu, one product for each of the matrices; u and the result (size, d).

        Raises :class:`~numerics.errors.ArgumentError` for one call too many, ``OverflowError`` where a norm
        is not finite.
        """
        if self.asked == len(self._q):
            raise ArgumentError(f"times: called more than most={self.asked} times, must be at most that")
        new = self._add_direction(u)
        self._draw(new)
        self.asked += 1
        Z = self._z[: self.asked].transpose(0, 1)
        return (_inner(Z, u) @ Z)[:, 0]

    def _add_direction(self, u: Tensor) -> Tensor:
        """Put what is new in u into Q, or zero; (size,) says where there was something.

        Orthogonal to rounding ε after the second pass (Kahan: twice is enough).  What that one takes more
        than half of was rounding of the first, at most about ε‖u‖: u is in the span of Q.  No other
        tolerance is needed, as *any* new direction leaves the law right.
        """
        Q, q = self._q[: self.asked].transpose(0, 1), self._q[self.asked]
        if self.asked:
            once = _without(Q, u, torch.empty_like(q))
            _without(Q, once, q)
            least = torch.linalg.vector_norm(once, dim=1) / 2
        else:
            q.copy_(u)
            least = torch.zeros_like(u[:, 0])
        norm = _finite(torch.linalg.vector_norm(q, dim=1))
        new = (norm > least) & (self.rank < self.d)
        q.mul_(torch.where(new, 1 / norm, 0.0)[:, None])
        if not new.all():
            q[~new] = 0.0  # 0 · ∞ where u itself is zero
        return new

    def _draw(self, new: Tensor) -> None:
        """z_l for the direction last added, zero where it is not ``new`` or all of G's n rows are known."""
        z, freedom = self._z[self.asked], self.n - self.rank
        live = new & (freedom > 0)
        self.rank = self.rank + new
        if not live.any():
            z.zero_()
            return
        z.normal_(generator=self._generator)
        # χ²_m is twice a Gamma(m/2); torch.distributions would draw it from the global generator.
        shape = freedom.clamp(min=1).double() / 2
        chi = (2 * torch._standard_gamma(shape, generator=self._generator)).sqrt().to(z.dtype)
        Q = self._q[: self.asked + 1].transpose(0, 1)
        weights = -_inner(Q, z)
        weights[:, 0, -1] += chi
        z[:, None].baddbmm_(weights, Q)
        if not live.all():
            z[~live] = 0.0


def _inner(rows: Tensor, u: Tensor) -> Tensor:
    """The inner products of u (b, d) with ``rows`` (b, l, d), as (b, 1, l): ten times faster than rows·u."""
    return u[:, None] @ rows.mT


def _without(rows: Tensor, u: Tensor, out: Tensor) -> Tensor:
    """u (b, d) less its inner products with ``rows`` times them, written to ``out``."""
    torch.baddbmm(u[:, None], _inner(rows, u), rows, alpha=-1, out=out[:, None])
    return out


def _rows_times(rows: Tensor, matrix: Tensor) -> Tensor:
    """``matrix`` (d, d) or its diagonal (d,), times each row of (…, d)."""
    return rows * matrix if matrix.ndim == 1 else rows @ matrix.mT


def _squared(rows: Tensor) -> Tensor:
    return _finite(torch.linalg.vector_norm(rows, dim=-1).square())


def _finite(norms: Tensor) -> Tensor:
    """``norms``, which no sampling goes on from where one has left the number format."""
    if not torch.isfinite(norms).all():
        raise OverflowError(
            f"diverged: the errors are beyond {norms.dtype}, fewer steps or a smaller V may do"
        )
    return norms


def _checked(
    V: Tensor, Sigma: Tensor, dtype: torch.dtype, device: torch.device, **counts: int
) -> tuple[Tensor, Tensor]:
    """V and Σ^{1/2} in float64 on ``device``, each (d, d) or its diagonal (d,)."""
    for name, value in counts.items():
        check_count(name, value, 0 if name == "k" else 1)
    if not any(dtype is known for known in (torch.float32, torch.float64)):
        raise ArgumentError(f"dtype={shown(dtype)}: must be torch.float32 or torch.float64")
    covariance = check_covariance_or_diagonal("Sigma", Sigma)
    block = check_square("V", V, len(covariance))
    root = covariance.sqrt() if covariance.ndim == 1 else _square_root(covariance)
    return block.to(device), root.to(device)


def k_step_errors(
    V: Tensor,
    Sigma: Tensor,
    n: int,
    k: int,
    size: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """‖ŵ_j − w*‖² = ‖(I + VS)^j w*‖² after j = 0, …, k steps, on ``size`` prompts: shape (size, k+1).

    Prompts of length n have features from N(0, Sigma) and w* ~ N(0, I_d); the mean over prompts of the
    last column estimates the k-step risk.  V and Sigma are (d, d) or diagonals (d,); Sigma may be
    singular.  O(kd) random numbers and O(k²d) operations a prompt, besides 2k products with d × d matrices
    where V and Sigma are not diagonal; memory does not grow with n, nor with ``size`` but for the result.
    In ``dtype`` (float32 or float64) throughout.  Raises :class:`~numerics.errors.ArgumentError` for bad
    counts, shapes, types, and for what is no covariance; ``OverflowError`` where errors outgrow ``dtype``.
    """
    check_type("generator", generator, torch.Generator)
    V, root = _checked(V, Sigma, dtype, generator.device, n=n, k=k, size=size)
    onto = (V * root if root.ndim == 1 else times(V, root)).div(n).to(dtype)  # VΣ^{1/2}/n
    root, d = root.to(dtype), len(root)
    batch = min(size, max(1, CHUNK // ((2 * k + 6) * d)))
    found = torch.empty(size, k + 1, dtype=dtype, device=generator.device)
    gram = RevealedWishart(d, n, batch, k, generator, dtype)
    for start in range(0, size, batch):
        stop = min(size, start + batch)
        if stop - start < batch:
            gram = RevealedWishart(d, n, stop - start, k, generator, dtype)
        gram.restart()
        miss = torch.randn(stop - start, d, dtype=dtype, device=generator.device, generator=generator)
        found[start:stop, 0] = _squared(miss)
        for j in range(k):
            answer = gram.times(_rows_times(miss, root))
            miss = miss.addcmul_(answer, onto) if onto.ndim == 1 else miss.addmm_(answer, onto.mT)
            found[start:stop, j + 1] = _squared(miss)
    return found


def k_step_errors_by_definition(
    V: Tensor,
    Sigma: Tensor,
    n: int,
    k: int,
    size: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """What :func:`k_step_errors` equals in law, from prompts with all their n × d features drawn.

    Arguments, result and errors as there; 4knd operations a prompt.
    """
    check_type("generator", generator, torch.Generator)
    V, root = (x.to(dtype) for x in _checked(V, Sigma, dtype, generator.device, n=n, k=k, size=size))
    d = len(root)
    batch = max(1, CHUNK // ((n + 4) * d))
    kind = {"dtype": dtype, "device": generator.device, "generator": generator}
    found = []
    for start in range(0, size, batch):
        part = min(size - start, batch)
        X = torch.randn(part, n, d, **kind)  # type: ignore[call-overload]
        X = X.mul_(root) if root.ndim == 1 else X @ root
        miss = torch.randn(part, d, **kind)  # type: ignore[call-overload]
        path = [_squared(miss)]
        for _ in range(k):
            labels = X @ miss[:, :, None]
            miss = miss + _rows_times((labels.mT @ X)[:, 0] / n, V)
            path.append(_squared(miss))
        found.append(torch.stack(path, 1))
    return torch.cat(found)
