"""Record a GRPO run's rewards, times and samples, and stop it early where it collapses.

The rewards are handed to the trainer through `watched`, which changes none of them: it notes when
they run (a step is generation, then rewards, then the update), counts what did not parse, measures
swap consistency, and keeps the last batch for the page of samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rft.recipe import Collapse
from rft.training.metrics_file import MetricsFile
from rft.training.rewards import Reward, answers_of, swap_consistency
from rft.training.sample_page import Sample, write_page

SHOWN = 8  # completions on a page of samples


class Watch(MetricsFile):
    """One run's observer; `collapsed` says why it was stopped, if it was."""

    def __init__(self, folder: Path, sample_steps: int, collapse: Collapse) -> None:
        super().__init__(folder)
        self.folder = folder
        self.sample_steps = sample_steps
        self.collapse = collapse
        self.collapsed: str | None = None
        self.rewards: list[float] = []  # of each logged step
        self.clock: Callable[[], float] = time.perf_counter
        self._began = self._scored = self.clock()
        self._reward_seconds = 0.0
        self._update_seconds: float | None = None
        self._batch: dict[str, Any] = {}
        self._scores: dict[str, Sequence[float | None]] = {}

    def watched(self, rewards: dict[str, Reward]) -> list[Reward]:
        """The same rewards by their names, in order; the last one closes the batch."""
        names = list(rewards)
        return [self._wrap(name, rewards[name], name == names[-1]) for name in names]

    def _wrap(self, name: str, reward: Reward, last: bool) -> Reward:
        def scored(completions: Any, log_metric: Any = None, **columns: Any) -> list[float | None]:
            began = self.clock()
            if not self._scores:
                self._generated = began - self._began
            scores = reward(completions, **columns)
            self._scores[name] = scores
            self._reward_seconds += self.clock() - began
            if last:
                self._close(completions, log_metric, columns)
            return scores

        scored.__name__ = name
        return scored

    def _close(self, completions: Any, log_metric: Any, columns: dict[str, Any]) -> None:
        self._batch = {"completions": completions, "scores": self._scores, **columns}
        unread = sum(answers_of(one) is None for one in completions)
        measured = {
            "unparsable": unread / len(completions),
            "swap_consistency": swap_consistency(completions, columns["pair_id"], columns["order"]),
            "seconds/generation": self._generated,
            "seconds/reward": self._reward_seconds,
        }
        if self._update_seconds is not None:  # of the step before
            measured["seconds/update"] = self._update_seconds
        if log_metric is not None:
            for name, value in measured.items():
                if value == value:  # nan: no pair was there in both orders
                    log_metric(name, value)
        self._scores = {}
        self._reward_seconds = 0.0
        self._scored = self.clock()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = self.clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._update_seconds = self.clock() - self._scored
        due = state.global_step == 1 or state.global_step % self.sample_steps == 0
        if due and self._batch and state.is_world_process_zero:
            page = self.folder / "samples" / f"step-{state.global_step:06d}.html"
            write_page(page, f"Step {state.global_step}", self._samples())

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        self.rewards = [row["reward"] for row in self.rows() if "reward" in row]

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kw: Any) -> None:
        super().on_log(args, state, control, logs, **kw)
        if logs and "reward" in logs:
            self.rewards.append(logs["reward"])
            self.collapsed = fallen(self.rewards, self.collapse)
            if self.collapsed:
                control.should_training_stop = True

    def _samples(self) -> list[Sample]:
        batch = self._batch
        return [
            Sample(
                images=batch["images"][i],
                prompt=_text(batch["prompts"][i]),
                completion=batch["completions"][i][0]["content"],
                label=batch["label"][i],
                scores={name: scores[i] for name, scores in batch["scores"].items()},
            )
            for i in range(min(SHOWN, len(batch["completions"])))
        ]


def fallen(rewards: Sequence[float], collapse: Collapse) -> str | None:
    """Why a run should stop: the mean of the last window is under a share of the best one's."""
    window = collapse.window
    if len(rewards) < 2 * window:
        return None
    means = [sum(rewards[i : i + window]) / window for i in range(len(rewards) - window + 1)]
    best, last = max(means), means[-1]
    if best > 0 and last < collapse.share * best:
        return (
            f"the mean reward of the last {window} steps is {last:.3f}, "
            f"under {collapse.share:g} of its best, {best:.3f}"
        )
    return None


def _text(prompt: Any) -> str:
    return "".join(
        part.get("text") or " [image] " for message in prompt for part in message["content"]
    )
