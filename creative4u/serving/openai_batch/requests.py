"""Export pairs as OpenAI batch requests and import their answers as verdicts.

    creative4u judge-export pairs.jsonl -o verdicts.jsonl --requests requests.jsonl
    python -m creative4u.serving.server.vllm_cli run-batch \\
        -i requests.jsonl -o answers.jsonl --model FOLDER
    creative4u judge-import pairs.jsonl answers.jsonl -o verdicts.jsonl

What is known before the answers (rows, bad rows, evidence, ties of one picture, the model's config)
waits beside OUT, in OUT.batch.jsonl. Answers may come in any order and in part; one that is
missing is an error row.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from creative4u.errors import Creative4UError, InputError
from creative4u.files.pairs_file import RowError, read_pairs
from creative4u.files.verdict_file import origin_file
from creative4u.schema import Order, PairEvidence, Verdict
from creative4u.selector.backends.openai_format import answered, chat_body, completion, data_url
from creative4u.selector.config import JudgeConfig
from creative4u.selector.judge import BOTH, Judge
from creative4u.selector.protocol.completion import parse
from creative4u.selector.verdict import Judged, verdict
from creative4u.serving.batch.pending_rows import told
from creative4u.serving.batch.resume_journal import journal_file, publish
from creative4u.serving.files.verdict_metrics import Tally
from creative4u.serving.files.verdict_row import origin_of, outcome_fields, request_of
from creative4u.serving.openai_batch.answers import Answers

ENDPOINT = "/v1/chat/completions"


def asked_file(out: Path) -> Path:
    """Where what was asked waits for its answers."""
    return out.with_name(out.name + ".batch.jsonl")


def custom_id(pair_id: str, order: Order, number: int) -> str:
    """A request's stable name: the pair, the order, and the row's number, from 0."""
    return f"{pair_id}:{order}:{number}"


def write_requests(
    pairs: Path, out: Path, requests: Path, judge: Judge, limit: int | None = None
) -> dict[str, Any]:
    """Write two requests a pair, one an order.

    Args:
        pairs: JSONL, CSV or Parquet (see `read_pairs`).
        out: the file of verdicts to be; only OUT.batch.jsonl is written now.
        requests: the JSONL file that `vllm run-batch` or a hosted service takes.
        judge: its prompts are asked, and what it observes is observed now. A pair of one picture
            is a tie already, and nothing is asked.
        limit: only the first rows.

    Returns:
        `requests` (written), `pairs` (asked), `errors` (rows that cannot be asked), `model`.
    """
    header = {"config": judge.config.model_dump(mode="json"), **origin_of(pairs, judge.model)}
    written = errors = 0
    beside = asked_file(out)
    with _whole(beside) as asked, _whole(requests) as file:
        asked.write(json.dumps(header) + "\n")
        for number, row in enumerate(islice(read_pairs(pairs), limit)):
            known = told(row, out.parent)
            if not isinstance(row, RowError):
                try:
                    request = request_of(row)
                    settled = judge.tie(request)
                    prompts = [] if settled else judge.prompts(request)
                except Creative4UError as error:
                    known |= outcome_fields(error)
                    settled, prompts = None, []
                if settled is not None:
                    known |= outcome_fields(settled)
                if prompts:
                    evidence = prompts[0].evidence  # of order AB
                    known |= {"evidence": evidence and evidence.model_dump(mode="json")}
                    for order, prompt in zip(BOTH, prompts, strict=True):
                        urls = [data_url(i, judge.config.image_side) for i in prompt.images]
                        line = {
                            "custom_id": custom_id(known["pair_id"], order, number),
                            "method": "POST",
                            "url": ENDPOINT,
                            "body": chat_body(prompt.messages, urls, judge.model),
                        }
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")
                        written += 1
            errors += "error" in known
            asked.write(json.dumps(known, ensure_ascii=False) + "\n")
    return {"requests": written, "pairs": written // 2, "errors": errors, "model": judge.model}


def read_answers(pairs: Path, out: Path, answers: Sequence[Path], again: bool) -> dict[str, Any]:
    """Write the verdicts of answered requests; the figures of all rows (`Tally.figures`).

    Args:
        pairs, out: as given to `write_requests`.
        answers: one or more files of answers; of one request the first that succeeded counts.
        again: write `out` anew where it exists.

    Raises InputError: nothing was asked for `out`, other pairs, or answers to something else.
    """
    beside = asked_file(out)
    if not beside.is_file():
        raise InputError(f"{beside}: no such file; judge-export with the same -o writes it")
    if out.exists() and not again:
        raise InputError(f"{out} exists; choose another name or start over with --no-resume")
    tally, journal = Tally(), journal_file(out)
    with Answers(answers) as found, beside.open(encoding="utf-8") as asked, _whole(journal) as file:
        header = json.loads(next(asked))
        config = JudgeConfig.model_validate(header["config"])
        origin = origin_of(pairs, header["model"])
        if origin["pairs_sha256"] != header["pairs_sha256"]:
            raise InputError(f"{beside} was made from other pairs than {pairs}")
        for number, line in enumerate(asked):
            row = json.loads(line)
            if not {"error", "choice"} & row.keys():
                evidence = _evidence(row, beside)
                row |= outcome_fields(
                    _verdict(row["pair_id"], number, found, config, header["model"], evidence)
                )
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            tally.add(row)
        found.check_all_used()
    origin_file(out).write_text(json.dumps(origin, indent=1) + "\n", "utf-8")
    publish(out)
    return tally.figures()


def _evidence(row: dict[str, Any], beside: Path) -> PairEvidence | None:
    """The evidence that was asked with; raises InputError where the row does not say."""
    if "evidence" not in row:
        raise InputError(f"{beside}: holds no evidence; write it again with judge-export")
    kept = row.pop("evidence")
    return None if kept is None else PairEvidence.model_validate(kept)


def _verdict(
    pair_id: str,
    number: int,
    found: Answers,
    config: JudgeConfig,
    model: str,
    evidence: PairEvidence | None,
) -> Verdict | Creative4UError:
    """Both orders' answers as one verdict, as `Judge` joins them; seconds are not known: 0."""
    of_a = evidence.log_odds if evidence is not None else 0.0
    bodies = [found.body(custom_id(pair_id, order, number)) for order in BOTH]
    try:
        judged = []
        for order, body, of_first in zip(BOTH, bodies, (of_a, -of_a), strict=True):
            if isinstance(body, Creative4UError):
                raise body
            written = completion(answered(body))
            judged.append(Judged(order, parse(written.text), written.logit_a, of_first))
        return verdict(judged, config, model, 0.0, evidence)
    except Creative4UError as error:
        return error


@contextmanager
def _whole(path: Path) -> Iterator[IO[str]]:
    """A text file that is there whole or not at all."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder")
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
