"""GPT-2 on tokens in ℝ^{d+1}, with linear maps in and out, and its chain of thought; many runs side by side.

The transformer is Hugging Face's ``GPT2Model`` with random weights: nothing is downloaded.  A prompt of n
examples is the tokens (x₁, 0), (y₁, 0, …), …, (x_n, 0), (y_n, 0, …), then (w, 1) for each weight estimate so
far; the last entry, the constant slot of eq. (3.2), tells estimates from data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import pad

from numerics.errors import ArgumentError, check_count


@dataclass(frozen=True)
class Size:
    """Dimension d of the features, layers, heads and width of the decoder, and the longest sequence it takes.

    Raises :class:`ArgumentError` for counts below 1 and a width that the heads do not divide.
    """

    d: int
    layers: int
    heads: int
    width: int
    positions: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_count(name, value)
        if self.width % self.heads:
            raise ArgumentError(f"width={self.width}: must be a multiple of heads = {self.heads}")


class Decoder(torch.nn.Module):
    """One decoder; :class:`ArgumentError` where ``transformers`` is not installed.

    The weights are drawn from torch's own random numbers: N(0, 0.02²), biases 0, as GPT-2's are.
    """

    def __init__(self, size: Size) -> None:
        super().__init__()
        check_installed()
        from transformers import DynamicCache, GPT2Config, GPT2Model  # here, as they are an extra

        self._cache = DynamicCache
        settings: dict[str, Any] = {
            "n_positions": size.positions,
            "n_embd": size.width,
            "n_layer": size.layers,
            "n_head": size.heads,
            # GPT-2's own GELU in one kernel.
            "activation_function": "gelu_pytorch_tanh",
            # Dropout is off, as in Garg et al. (2022): the same prompt always has the same answer.
            **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0),
            "attn_implementation": "eager",  # the fused kernels have no batch over models
            # Words, of which there are none.
            **{"vocab_size": 1, "bos_token_id": 0, "eos_token_id": 0},
        }
        self.body = GPT2Model(GPT2Config(**settings))
        self.body.set_input_embeddings(torch.nn.Identity())
        self.read_in = torch.nn.Linear(size.d + 1, size.width)
        self.read_out = torch.nn.Linear(size.width, size.d)

    def forward(self, tokens: Tensor, steps: int = 0) -> Tensor:
        """``tokens`` (B, T, d+1).  With ``steps`` = 0 what is read out at each of them, (B, T, d).

        Otherwise ŵ₁, …, ŵ_steps, (B, steps, d), each read out at the last token and appended as (ŵ, 1).
        Keys and values of earlier tokens, which a causal model does not change, are kept.
        """
        if not steps:
            hidden = self.body(inputs_embeds=self.read_in(tokens), use_cache=False).last_hidden_state
            return self.read_out(hidden)
        cache, found = self._cache(), []
        for _ in range(steps):
            hidden = self.body(inputs_embeds=self.read_in(tokens), past_key_values=cache, use_cache=True)
            found.append(self.read_out(hidden.last_hidden_state[:, -1]))
            tokens = estimate_token(found[-1])[:, None]
        return torch.stack(found, dim=1)


def check_installed() -> None:
    """:class:`ArgumentError` where ``transformers`` is not installed."""
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise ArgumentError("model='gpt2': needs `pip install 'lsatheory[gpt2]'`") from None


def count_parameters(size: Size) -> int:
    """Of one decoder with its linear maps."""
    return sum(p.numel() for p in Decoder(size).parameters())


def estimate_token(w: Tensor) -> Tensor:
    """(w, 1): (..., d) to (..., d+1)."""
    return pad(w, (0, 1), value=1.0)


class Ensemble:
    """Decoders of one size with independent weights, computed as one: a leading dimension of all tensors.

    Decoder r is drawn from the seed ``seeds[r]``, on the CPU: the same weights on every device.
    """

    def __init__(self, size: Size, seeds: list[int], device: torch.device, dtype: torch.dtype) -> None:
        self.size = size
        models = []
        with torch.random.fork_rng(devices=[]):
            for seed in seeds:
                torch.manual_seed(seed)
                models.append(Decoder(size).to(device, dtype))
        weights, buffers = stack_module_state(models)
        self.weights = {name: w.detach().requires_grad_() for name, w in weights.items()}
        self._buffers = buffers
        self._one = Decoder(size).to("meta")  # the computation alone

    def __call__(self, tokens: Tensor, steps: int = 0) -> Tensor:
        """:class:`Decoder` for each run: ``tokens`` (runs, B, T, d+1) to (runs, B, T or steps, d).

        Raises :class:`ArgumentError` for a sequence longer than the positions.
        """
        length = tokens.shape[-2] + max(steps - 1, 0)
        if length > self.size.positions:
            raise ArgumentError(f"a sequence of {length} tokens: must be at most {self.size.positions}")

        def one(weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor], tokens: Tensor) -> Tensor:
            found: Tensor = functional_call(self._one, (dict(weights), dict(buffers)), (tokens, steps))
            return found

        found: Tensor = vmap(one)(self.weights, self._buffers, tokens)
        return found

    def state_dict(self) -> dict[str, Any]:
        """A copy of the weights, (runs, …) each."""
        return {name: w.detach().clone() for name, w in self.weights.items()}

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Take the weights of :meth:`state_dict`, in place."""
        if state_dict.keys() != self.weights.keys():
            raise KeyError("weights of another model")
        with torch.no_grad():
            for name, w in self.weights.items():
                if state_dict[name].shape != w.shape:
                    raise ValueError(f"{name} has the shape {tuple(state_dict[name].shape)}")
                w.copy_(state_dict[name])
