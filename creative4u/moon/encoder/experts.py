"""Route hidden states through modality-driven experts, upcycled from one dense FFN.

MOON2.0 (arXiv 2511.12449): gates G = softmax(W_g h); p_(z,m) = softmax_m(W*_(z,m));
omega_m = mean over the batch's samples of modality m of sum_z p_(z,m) G_(z,b);
L_sparsity = mean_z( - sum_m p_(z,m) log p_(z,m) ). An expert is the dense FFN plus a low-rank
update. Its second matrix starts at zero, so upcycling changes no output (our choice, to stay
small).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MODALITIES = ("t", "i", "mm")  # text, image, both: the M objectives


class ModalityExperts(nn.Module):
    """A dense FFN with `experts` low-rank experts and one gate per sample.

    The first `guided` experts are always on: the category and the attribute expert of the first
    MOON (2508.11999). The gate routes over the rest. `gates` (B, Z) holds the gates of the last
    call. The token mask (B, T) is an argument, or the attribute `mask`, which a backbone sets where
    a language model calls its FFN with hidden states alone.
    """

    def __init__(
        self, dense: nn.Module, width: int, experts: int = 4, rank: int = 8, guided: int = 0
    ) -> None:
        super().__init__()
        if not 0 <= guided < experts:
            raise ValueError(f"got {guided} guided experts; 0 to {experts - 1} are allowed")
        self.dense = dense
        self.guided = guided
        self.down = nn.Parameter(torch.randn(experts, width, rank) * width**-0.5)
        self.up = nn.Parameter(torch.zeros(experts, rank, width))
        self.gate = nn.Linear(width, experts - guided, bias=False)
        self.mask: Tensor | None = None
        self.gates: Tensor = torch.empty(0, experts)
        self.guides: Tensor = torch.empty(0, guided, width)  # their pooled outputs

    def forward(self, hidden: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, W) to (B, T, W)."""
        mask = self.mask if mask is None else mask
        mask = hidden.new_ones(hidden.shape[:2]) if mask is None else mask.to(hidden)
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)  # (B, W)
        routed = self.gate(pooled).softmax(dim=-1)  # (B, Z - guided)
        always = routed.new_ones(len(routed), self.guided)
        gates = self.gates = torch.cat([always, routed], dim=1)  # (B, Z)
        low = torch.einsum("btw,zwr->btzr", hidden, self.down)
        update = torch.einsum("btzr,zrw->btzw", nn.functional.gelu(low), self.up)
        if self.guided:
            share = mask[..., None, None] / mask.sum(1)[:, None, None, None]
            self.guides = (update[:, :, : self.guided] * share).sum(1)  # (B, guided, W)
        dense: Tensor = self.dense(hidden)
        return dense + torch.einsum("btzw,bz->btw", update, gates)


class ModalityAlignment(nn.Module):
    """W* in R^(Z x M): how much each expert serves each objective, and the objectives' weights."""

    def __init__(self, experts: int, modalities: int = len(MODALITIES)) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(experts, modalities) * 0.02)

    def probabilities(self) -> Tensor:
        """p (Z, M): every expert's row sums to 1."""
        return self.logits.softmax(dim=1)

    def omega(self, gates: Tensor, modality: Tensor) -> Tensor:
        """The weights omega (M,) from gates (B, Z) and each sample's modality (B,).

        A modality without a sample in the batch weighs 0.
        """
        weight = gates @ self.probabilities()  # (B, M): sum_z p_(z,m) G_(z,b)
        count = self.logits.shape[1]
        own = nn.functional.one_hot(modality, count).to(weight)  # (B, M)
        return (weight * own).sum(0) / own.sum(0).clamp_min(1)

    def sparsity(self) -> Tensor:
        """L_sparsity: the mean over experts of the entropy of p_z, in nats."""
        p = self.probabilities()
        return -(p * p.clamp_min(1e-12).log()).sum(1).mean()


def load_balance(gates: Tensor) -> Tensor:
    """L_aux of gates (B, Z): Z sum_z f_z P_z; 1 where all experts are used alike.

    f_z is the share of samples whose largest gate is z, P_z the mean gate (Switch Transformer,
    arXiv 2101.03961, equation 4; the papers name a load-balance loss without its form).
    """
    experts = gates.shape[1]
    first = nn.functional.one_hot(gates.argmax(dim=1), experts).to(gates)
    return experts * (first.mean(0) * gates.mean(0)).sum()
