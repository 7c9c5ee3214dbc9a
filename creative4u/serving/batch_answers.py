"""Files of OpenAI batch answers in, the chat completion of each custom_id out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from creative4u.errors import BackendError, InputError, RefusedError


class Answers:
    """Answers by custom_id; memory holds a place in a file for each, never the answers.

    Of one request the first answer that succeeded counts. Raises InputError on construction where a
    file is missing or holds something else.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.files: list[IO[bytes]] = []
        self.places: dict[str, tuple[int, int, bool]] = {}  # file, offset, whether it succeeded
        self.used: set[str] = set()
        for path in paths:
            if not path.is_file():
                raise InputError(f"{path}: no such file")
            self.files.append(path.open("rb"))
            self._index(path, len(self.files) - 1)

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files:
            file.close()

    def body(self, name: str) -> dict[str, Any] | BackendError:
        """The chat completion that answers a request, or why there is none."""
        if name not in self.places:
            return BackendError(f"no answer to {name}")
        self.used.add(name)
        number, offset, _ = self.places[name]
        self.files[number].seek(offset)
        line = json.loads(self.files[number].readline())
        response = line.get("response") or {}
        if line.get("error") or response.get("status_code") != 200:
            said = line.get("error") or response.get("body") or response
            refused = 400 <= (response.get("status_code") or 500) < 500
            kind = RefusedError if refused else BackendError
            return kind(f"{name}: {json.dumps(said, ensure_ascii=False)[:200]}")
        body: dict[str, Any] = response["body"]
        return body

    def check_all_used(self) -> None:
        """Raise InputError where an answer belongs to no request that was read."""
        unknown = next((name for name in self.places if name not in self.used), None)
        if unknown is not None:
            raise InputError(f"the answer to {unknown} belongs to none of the requests")

    def _index(self, path: Path, file: int) -> None:
        offset = 0
        for number, data in enumerate(self.files[file], start=1):
            if data.strip():
                try:
                    line = json.loads(data)
                    name = str(line["custom_id"])
                    good = (line.get("response") or {}).get("status_code") == 200
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise InputError(f"{path}, line {number}: not a batch answer") from error
                if not self.places.get(name, (0, 0, False))[2]:
                    self.places[name] = (file, offset, good and not line.get("error"))
            offset += len(data)
