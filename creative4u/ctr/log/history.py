"""Build each user's latest clicks, in order of time, as two tables of fixed size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from creative4u.ctr.log.fields import UNSEEN

Ints = NDArray[np.int64]


class History:
    """The last `length` clicks of each user number; the latest stands last, 0 means none."""

    def __init__(self, users: int, length: int) -> None:
        self.table = np.zeros((users, length, 2), np.int64)  # item and creative numbers

    def of(self, users: Ints) -> Ints:
        """(n,) user numbers to (n, length, 2) item and creative numbers."""
        return self.table[users]

    def add(self, users: Ints, items: Ints, creatives: Ints) -> None:
        """Append clicks, (n,) each, in their order; what an unseen user did is not kept."""
        if not self.table.shape[1]:
            return
        known = np.flatnonzero(users != UNSEEN)
        order = known[np.argsort(users[known], kind="stable")]
        who = users[order]
        turn = np.arange(len(who)) - np.searchsorted(who, who)  # 0 for a user's first click, ...
        for number in range(int(turn.max(initial=-1)) + 1):
            now = order[turn == number]
            rows = self.table[users[now]]
            rows[:, :-1] = rows[:, 1:]
            rows[:, -1, 0], rows[:, -1, 1] = items[now], creatives[now]
            self.table[users[now]] = rows
