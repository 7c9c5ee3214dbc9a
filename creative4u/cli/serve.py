"""Define the verb that serves a model to whatever speaks the OpenAI API."""

from __future__ import annotations

from typing import Annotated

import typer

from creative4u.cli.console import say, working


def serve(
    model: Annotated[
        str | None,
        typer.Option(help="A local folder or a hub id; by default the embedded model, merged."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="On 127.0.0.1.")] = 8000,
    gpu_memory: Annotated[
        float | None,
        typer.Option(min=0.02, max=1.0, help="Share of the GPU; by default as the model needs."),
    ] = None,
) -> None:
    """Serve a model with vLLM on this machine until Ctrl-C.

    Example: `creative4u serve --port 8000`
    """
    with working():
        from creative4u.serving.server.serve import check_port
        from creative4u.serving.server.vllm_command import ServeConfig, vllm_command, vllm_program

        program = vllm_program()
        check_port(port)
        import torch

        from creative4u.backbone.wheels import home
        from creative4u.selector.loading import load_judge
        from creative4u.serving.server.servable import servable
        from creative4u.serving.server.serve import serve as run

        config = ServeConfig(port, gpu=torch.cuda.is_available(), gpu_memory=gpu_memory)
        source = servable(model)
        log = home() / f"serve-{port}.log"
        say(f"starting vLLM with {source.name}; its log: {log}")

        def ready(url: str) -> None:
            say(f"ready: {source.name} at {url}")
            say(f"  creative4u select A.jpg B.jpg --title '...' --model {url}")
            say(f"  creative4u judge pairs.jsonl -o verdicts.jsonl --model {url}")
            say("Ctrl-C stops it")

        run(vllm_command(program, source, config), config, log, load_judge, ready)
