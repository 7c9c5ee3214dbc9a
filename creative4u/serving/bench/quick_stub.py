"""Run a stub OpenAI server that costs little and prefers the image with more bytes.

    python -m creative4u.serving.bench.quick_stub PORT [SECONDS] [DIES_AFTER]

Each answer comes after SECONDS; after DIES_AFTER answers the process ends without a word. The
answer's tokens are few, so that a hundred thousand pairs are a matter of minutes.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from typing import ClassVar

from creative4u.selector.protocol.completion import complete

LINES = """same_image: different pictures. no
too_similar: plain differences. no
query_hit: both show a boot. A=B
title_hit: A shows the whole boot; B cuts its toe off. A>B
text: B names the price. A<B
props: none in either. A=B
layout: no borders. A=B
subject: A is larger. A>B
background: A is calm; B is cluttered. A>B
click: A leads on title_hit, subject, background; B leads on text"""
_URLS = re.compile(rb"data:image/[a-z]+;base64,([^\"]*)\"")
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def answer(choice: str) -> bytes:
    """The whole HTTP response that chooses A or B with log odds of 2."""
    text = complete(LINES, choice)
    place = text.rindex("<answer>") + len("<answer>")
    odds = {choice: -0.127, "AB".replace(choice, ""): -2.127}
    pieces: list[tuple[str, dict[str, float]]] = [
        (text[:place], {text[:place]: 0.0}), (choice, odds), ("</answer>", {"</answer>": 0.0})
    ]  # fmt: skip
    content = [
        {"token": token, "logprob": listed[token],
         "top_logprobs": [{"token": one, "logprob": value} for one, value in listed.items()]}
        for token, listed in pieces
    ]  # fmt: skip
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "finish_reason": "stop", "message": message,
                "logprobs": {"content": content}}]  # fmt: skip
    return response({"choices": choices})


def response(body: object) -> bytes:
    data = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(data),
        data,
    )


class Stub(asyncio.Protocol):
    """One connection, any number of requests one after the other."""

    answers: ClassVar = {side: answer(side) for side in "AB"}
    models = response({"object": "list", "data": [{"id": "stub", "root": ""}]})
    seconds = 0.0
    left = -1  # answers until the end; below zero: no end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, mark, rest = self.data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        due = int(length[1]) if length else 0
        if not mark or len(rest) < due:
            return
        body, self.data = rest[:due], rest[due:]
        if head.startswith(b"GET"):
            self.transport.write(self.models)
            return
        first, second = (len(url) for url in _URLS.findall(body))
        asyncio.get_running_loop().call_later(self.seconds, self.reply, "AB"[first < second])

    def reply(self, side: str) -> None:
        if Stub.left == 0:
            os._exit(1)
        Stub.left -= 1
        self.transport.write(self.answers[side])


async def main(port: int, seconds: float, dies_after: int) -> None:
    Stub.seconds, Stub.left = seconds, dies_after
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    words = [*sys.argv[1:], "", "", ""]
    asyncio.run(main(int(words[0]), float(words[1] or 0), int(words[2] or -1)))
