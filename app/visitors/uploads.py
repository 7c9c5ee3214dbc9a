"""Make a Gradio upload component hand over files exactly as they were sent."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.data_classes import ImageData

from creative4u.errors import InputError


def from_disk_only(component: gr.Image | gr.File) -> None:
    """Refuse addresses: the server fetches nothing that a visitor typed."""
    move = component.async_move_resource_to_block_cache

    async def keep(path: object) -> Any:
        if "://" in str(path):
            raise InputError("a file is uploaded; no address that a visitor typed is fetched")
        return await move(str(path))

    component.async_move_resource_to_block_cache = keep


def as_sent(image: gr.Image) -> None:
    """Let the file through undecoded, so that our own reader judges it, not Gradio's.

    Set on the instance: Gradio writes a stub file beside the source of every subclass.
    """

    def path_of(payload: ImageData | None) -> str | None:
        return payload.path if payload else None

    image.preprocess = path_of
    from_disk_only(image)
