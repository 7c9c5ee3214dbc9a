"""Split products so that no near-duplicate image crosses a split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from data.creative_pair.mining.image_hashes import Fingerprint, near_pairs

SHARES = {"train": 0.70, "validation": 0.10, "test": 0.20}  # the paper's test share: 1,729 of 8,817


def product_groups(images: Mapping[str, Fingerprint],
                   product_of: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Product -> the name of its group: products that share a near-duplicate image go together.

    `product_of` gives every product that uses an image.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def join(names: Iterable[str]) -> None:
        first, *rest = sorted({root(name) for name in names})
        for other in rest:
            parent[other] = first

    for owners in product_of.values():
        join(owners)
    for one, other in near_pairs(images.values()):
        join([*product_of[one.image], *product_of[other.image]])
    return {name: root(name) for name in sorted(parent)}


def split_products(groups: Mapping[str, str], weight: Mapping[str, int], seed: int,
                   shares: Mapping[str, float] = SHARES) -> dict[str, str]:
    """Product -> split. Groups go, in seeded order, to the split that lacks most of its share.

    `weight` is the number of pairs of a product: shares are shares of pairs.
    """
    members: dict[str, list[str]] = {}
    for product, group in groups.items():
        members.setdefault(group, []).append(product)
    size = {group: sum(weight.get(name, 0) for name in names) for group, names in members.items()}
    total = sum(size.values())
    filled = dict.fromkeys(shares, 0)
    split: dict[str, str] = {}
    largest_first = sorted(members, key=lambda name: (size[name] < total * 0.05, _dice(name, seed)))
    for group in largest_first:
        target = max(shares, key=lambda name: shares[name] * total - filled[name])
        filled[target] += size[group]
        split.update(dict.fromkeys(members[group], target))
    return split


def _dice(name: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
