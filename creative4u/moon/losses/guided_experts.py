"""Train the guided experts to predict an item's category and attributes.

The first MOON (2508.11999) has a category and an attribute expert beside the routed ones. How they
are guided is our choice: a linear head on each one's pooled output predicts the category
(cross-entropy) or the attributes (binary cross-entropy over all known ones).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from creative4u.moon.catalogue.items import Item

GUIDES = 2  # category, attributes


class GuidedHeads(nn.Module):
    """The two heads, over the categories and attributes of `items`."""

    def __init__(self, items: Sequence[Item], width: int) -> None:
        super().__init__()
        self.categories = sorted({item.category for item in items})
        self.attributes = sorted({word for item in items for word in item.attributes})
        self.category = nn.Linear(width, len(self.categories))
        self.attribute = nn.Linear(width, len(self.attributes))

    def forward(self, guides: Tensor, items: Sequence[Item]) -> Tensor:
        """The loss of `guides` (B, 2, W) for `items` (B). Raises ValueError for unknown words."""
        kind = torch.tensor([self.categories.index(item.category) for item in items])
        has = torch.zeros(len(items), len(self.attributes))
        for row, item in enumerate(items):
            for word in item.attributes:
                has[row, self.attributes.index(word)] = 1
        category_loss = nn.functional.cross_entropy(
            self.category(guides[:, 0]), kind.to(guides.device)
        )
        attribute_loss = nn.functional.binary_cross_entropy_with_logits(
            self.attribute(guides[:, 1]), has.to(guides.device)
        )
        return category_loss + attribute_loss
