"""Build the Compare tab: two images, title, queries; reasoning as it is written, then a choice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import gradio as gr

from app import render
from app.compare import OVER, Desk, View, compare, read
from app.ctr_panel import Ctr
from app.moon_panel import Moon
from app.result_panel import Panel, Updates
from app.visitors.background_task import PATIENCE, Aside, Asides
from app.visitors.cancellation import Stops
from app.visitors.upload_guard import visitor_of
from app.visitors.uploads import VisitorFiles, path_of
from creative4u.errors import ImageError

IDLE = """<div class="c4-idle"><h2>Which one will be clicked?</h2>
<ol><li>Add two images for the same product.</li>
<li>Say what it is, as shoppers would read it, and what they search for.</li>
<li>Press Compare and read along: you see the reasons before the choice.</li></ol>
<p class="c4-faint">What you compare is kept in History; you can delete it there.</p></div>"""


def build(desk: Desk, files: VisitorFiles, moon: Moon | None = None,
          ctr: Ctr | None = None) -> None:
    """Lay out the tab inside the current Blocks and wire it to `compare`, MOON and CTR model."""
    stops, asides = Stops(), Asides()
    with gr.Row(elem_classes="c4-sheet"):
        with gr.Column(scale=4, min_width=320, elem_classes="c4-form"):
            with gr.Row(elem_classes="c4-uploads"):
                image_a, note_a = _upload("A")
                image_b, note_b = _upload("B")
            title = gr.Textbox(label="Product title", lines=1, max_lines=3, elem_id="title",
                               placeholder="Dell G3 gaming laptop, 15.6 inch")
            queries = gr.Textbox(label="What shoppers search for (optional, one a line)",
                                 lines=3, elem_id="queries",
                                 placeholder="gaming laptop\nlaptop for students")
            note_words = gr.HTML(elem_id="note-words")
            with gr.Row(elem_classes="c4-actions"):
                go = gr.Button("Compare", variant="primary", elem_id="compare", scale=3)
                stop = gr.Button("Stop", visible=False, elem_id="stop", scale=1)
        with gr.Column(scale=6, min_width=320, elem_classes="c4-result"):
            status = gr.HTML(IDLE, elem_id="status")
            panel = Panel(desk.store, files, "compare", ctr)
            likeness = gr.HTML(elem_id="compare-moon")

    def run(payload_a: Any, payload_b: Any, said_title: Any, said_queries: Any,
            visitor: gr.Request) -> Iterator[Updates]:
        """MOON looks beside the judge; what it says stands there before the choice does."""
        asked = (path_of(payload_a), path_of(payload_b), str(said_title or ""),
                 str(said_queries or ""))
        before: View | None = None
        looking: Aside | None = None
        if moon is not None:
            looking = asides.start(partial(moon.fill, *asked))
        try:
            with stops.running(visitor) as flag:
                for view in compare(desk, *asked, flag):
                    if before is None:
                        yield {likeness: ""}  # of the pair before
                    if looking is not None:
                        news = looking.news(PATIENCE if view.phase == "done" else 0.0)
                        if news is not None:
                            yield {likeness: news}
                    # Gradio takes no empty dict, and without a word it sees nobody leave
                    yield draw(view, before, visitor_of(visitor)) or {status: gr.skip()}
                    before = view
        finally:
            if looking is not None:
                looking.drop()

    def draw(view: View, before: View | None, visitor: str) -> Updates:
        """What changed since `before`: a button that is sent anew may miss a click."""
        over = view.phase in OVER
        updates: Updates = {}
        if before is None:
            updates = {note_a: render.problem(view.problems.get("A")),
                       note_b: render.problem(view.problems.get("B")),
                       note_words: render.problem(view.problems.get("words"))}
        if before is None or over:
            updates |= {go: gr.update(interactive=over), stop: gr.update(visible=not over)}
        if view.phase == "refused":
            return updates
        if before is None or (view.phase, view.ahead) != (before.phase, before.ahead):
            updates[status] = render.status(view)
        if view.phase == "stopped":
            return updates | panel.clear()
        if view.phase == "done" and view.comparison_id:
            return updates | panel.show(desk.store.get(view.comparison_id), visitor)
        return updates | panel.running(view, before)

    go.click(run, [image_a, image_b, title, queries],
             [note_a, note_b, note_words, status, go, stop, likeness, *panel.parts],
             show_progress="hidden", concurrency_limit=None, api_visibility="private",
             preprocess=False)
    stop.click(stops.stop, queue=False, api_visibility="private")
    for image, note in ((image_a, note_a), (image_b, note_b)):
        image.upload(_look, image, [image, note], show_progress="hidden",
                     api_visibility="private", preprocess=False)
        image.clear(lambda: "", None, note, show_progress="hidden", api_visibility="private")


def _upload(side: str) -> tuple[gr.Image, gr.HTML]:
    with gr.Column(min_width=140, elem_classes="c4-upload"):
        image = gr.Image(
            label=f"Creative {side}", type="filepath", image_mode=None, height=210,
            sources=["upload", "clipboard"], buttons=[], elem_id=f"image-{side.lower()}",
            placeholder="Drop an image here, or press to choose. JPEG, PNG or WEBP, up to 20 MB",
            alt_text=f"Creative {side} as uploaded")
        return image, gr.HTML(elem_id=f"note-{side.lower()}")


def _look(payload: Any) -> tuple[object, str]:
    """Say at once what is wrong with an upload, and empty its box."""
    try:
        read(path_of(payload), render.THUMB_SIDE)
    except ImageError as error:
        return None, render.problem(str(error))
    return gr.skip(), ""
