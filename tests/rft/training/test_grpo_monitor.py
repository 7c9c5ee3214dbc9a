"""The watch on a GRPO run: a step's time by parts on a clock of ours, counts, samples, resuming."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from reasoning_lines import LINES

from creative4u.selector.protocol.completion import complete
from rft.recipe import Collapse
from rft.training import rewards
from rft.training.grpo_monitor import Watch
from rft.training.sample_page import Sample, write_page

GOOD = complete(LINES, "A")


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(tmp_path: Path, clock: Clock) -> Watch:
    made = Watch(tmp_path, sample_steps=2, collapse=Collapse(window=1, share=0.5))
    made.clock = clock
    return made


def state(step: int) -> Any:
    return SimpleNamespace(global_step=step, is_world_process_zero=True)


def step(watch: Watch, clock: Clock, texts: list[str], number: int) -> dict[str, float]:
    """Two seconds of generation, one a reward, five of update; what was measured."""
    measured: dict[str, float] = {}

    def slow(reward: Any) -> Any:
        def timed(*args: Any, **columns: Any) -> Any:
            clock.now += 1
            return reward(*args, **columns)

        return timed

    watch.on_step_begin(None, state(number - 1), None)
    clock.now += 2
    paid = watch.watched({"format": slow(rewards.format), "accuracy": slow(rewards.accuracy)})
    columns = {
        "label": ["A", "B"], "order": ["AB", "BA"], "pair_id": ["p", "p"],
        "images": [[Image.new("RGB", (40, 40))] * 2] * 2,
        "prompts": [[{"role": "user", "content": [{"type": "text", "text": "<b>"}]}]] * 2,
    }  # fmt: skip
    completions = [[{"role": "assistant", "content": text}] for text in texts]
    for reward in paid:
        reward(completions, log_metric=measured.__setitem__, **columns)
    clock.now += 5
    watch.on_step_end(None, state(number), None)
    return measured


def test_a_step_is_split_into_generation_rewards_and_update(watch: Watch, clock: Clock) -> None:
    first = step(watch, clock, [GOOD, "no verdict"], 1)
    assert first["seconds/generation"] == 2
    assert first["seconds/reward"] == 2
    assert "seconds/update" not in first  # it has not been yet
    assert first["unparsable"] == 0.5
    assert "swap_consistency" not in first  # the other order said nothing
    second = step(watch, clock, [GOOD, complete(LINES, "B")], 2)
    assert second["seconds/update"] == 5
    assert second["seconds/generation"] == 2
    assert second["swap_consistency"] == 1.0


def test_names_of_rewards_are_kept_for_the_trainer(watch: Watch) -> None:
    paid = watch.watched({"format": rewards.format, "coherence": rewards.coherence_with({})})
    assert [reward.__name__ for reward in paid] == ["format", "coherence"]


def test_samples_are_written_when_due_and_run_nothing(watch: Watch, clock: Clock) -> None:
    step(watch, clock, [GOOD, "<script>alert(1)</script>"], 1)
    step(watch, clock, [GOOD, GOOD], 2)
    step(watch, clock, [GOOD, GOOD], 3)
    pages = sorted(path.name for path in (watch.folder / "samples").iterdir())
    assert pages == ["step-000001.html", "step-000002.html"]
    page = (watch.folder / "samples" / "step-000001.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("data:image/jpeg;base64,") == 4
    assert "format 1.00, accuracy 1.00" in page


def test_logs_go_to_a_file_and_a_fall_stops_the_run(watch: Watch) -> None:
    control = SimpleNamespace(should_training_stop=False)
    watch.on_log(None, state(1), control, {"reward": 1.0, "loss": 0.1})
    assert not control.should_training_stop
    watch.on_log(None, state(2), control, {"reward": 0.4})
    assert control.should_training_stop
    assert "0.400" in (watch.collapsed or "")
    rows = [json.loads(line) for line in (watch.folder / "metrics.jsonl").open()]
    assert rows[0] == {"step": 1, "reward": 1.0, "loss": 0.1}


def test_resuming_forgets_what_the_checkpoint_has_not_seen(watch: Watch) -> None:
    lines = [{"step": number, "reward": float(number)} for number in (1, 2, 3)]
    (watch.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    watch.on_train_begin(None, state(2), None)
    assert watch.rewards == [1.0, 2.0]
    assert (watch.folder / "metrics.jsonl").read_text().count("\n") == 2


def test_a_page_of_nothing_is_a_page(tmp_path: Path) -> None:
    write_page(tmp_path / "a" / "page.html", "<Step>", [])
    assert "&lt;Step&gt;" in (tmp_path / "a" / "page.html").read_text()
    sample = Sample([Image.new("L", (500, 20))], "p", "c", "A", {"format": None})
    write_page(tmp_path / "page.html", "x", [sample])
    assert "format none" in (tmp_path / "page.html").read_text()
