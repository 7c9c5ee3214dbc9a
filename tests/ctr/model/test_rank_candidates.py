"""Rating candidates: the same numbers as the model gives, intervals that know their impressions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from creative4u.ctr.log.dataset import Batch, Scale
from creative4u.ctr.log.fields import Vocabulary, read_fields
from creative4u.ctr.model.calibration import Calibrator
from creative4u.ctr.model.ctr_model import CTRModel, ModelConfig
from creative4u.ctr.model.predictor import Predictor
from creative4u.ctr.model.rank_candidates import latency, rate_candidates
from creative4u.errors import InputError


@pytest.fixture
def predictor() -> Predictor:
    fields = read_fields()
    ids = {name: Vocabulary.of([10, 20, 30]) for name in ("user", "query", "item", "creative")}
    sizes = {name: words.size for name, words in ids.items()}
    torch.manual_seed(2)
    model = CTRModel(ModelConfig.of(fields, sizes, visual=3, multimodal=2)).eval()
    for name in ids:
        model.get_buffer(f"shown_{name}")[1:] = torch.tensor([1000, 10, 0])
    model.visual[1:] = torch.eye(3)
    model.multimodal[1:] = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    same = Calibrator((0.0, 1.0), (0.0, 1.0), 40.0)
    return Predictor(model, fields, ids, Scale(np.zeros(1), np.ones(1)), same)


def test_one_pass_equals_the_model_row_by_row(predictor: Predictor) -> None:
    found = rate_candidates(predictor, [10, 20, 99], [10, 20, 30], query=20, user=10,
                            behaviour=[(20, 10), (10, 20)])  # fmt: skip
    place = predictor.fields.place
    past = torch.zeros(1, 10, 2, dtype=torch.long)
    past[0, -2:] = torch.tensor([[2, 1], [1, 2]])
    for row, (item, creative) in enumerate([(1, 1), (2, 2), (0, 3)]):
        ids = torch.zeros(1, 4, dtype=torch.long)
        for name, number in (("user", 1), ("query", 2), ("item", item), ("creative", creative)):
            ids[0, place(name)] = number
        one = Batch(ids, torch.zeros(1, 1), torch.ones(1, dtype=torch.long), past, torch.zeros(1))
        with torch.no_grad():
            p = torch.sigmoid(predictor.model(one)).item()
        assert found.pctr[row] == pytest.approx(p, abs=1e-6)


def test_more_impressions_make_a_narrower_interval(predictor: Predictor) -> None:
    found = rate_candidates(predictor, [10, 20, 30], [10, 20, 30])
    assert found.impressions.tolist() == [1000, 10, 0]
    relative = (found.high - found.low) / np.sqrt(found.pctr * (1 - found.pctr))
    assert relative[0] < relative[1] < relative[2]
    # Beta(p n, (1 - p) n) at n = 1040: half a width of 1.645 standard deviations on each side
    assert relative[0] == pytest.approx(2 * 1.645 / np.sqrt(1041), rel=0.02)


def test_unknown_ids_are_rated_as_unknown_and_none_at_all_as_nothing(predictor: Predictor) -> None:
    known = rate_candidates(predictor, [99], [99], query=None, user=77, behaviour=[(5, 5)])
    assert 0 < known.low[0] <= known.pctr[0] <= known.high[0] < 1
    assert known.impressions.tolist() == [0]
    assert len(rate_candidates(predictor, [], []).pctr) == 0


def test_wrong_use_is_told(predictor: Predictor) -> None:
    with pytest.raises(InputError, match="got 2 items and 1 creatives"):
        rate_candidates(predictor, [10, 20], [10])
    with pytest.raises(InputError, match="not calibrated"):
        rate_candidates(replace(predictor, calibrator=None), [10], [10])


def test_latency_is_told_of_all_calls(predictor: Predictor) -> None:
    found = latency(predictor, candidates=5, calls=4)
    assert found["candidates"] == 5
    assert 0 < found["median_ms"] <= found["p99_ms"] <= found["worst_ms"]
