"""Build the Best of N tab: many images, a title and queries; a ranking by a tournament."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app import render
from app.best_of import RankView, best_of, check, shrunk
from app.compare import OVER, Desk
from app.result_panel import Updates
from app.visitors.cancellation import Stops
from app.visitors.uploads import path_of

IDLE = """<div class="c4-idle"><h2>Which of many is best?</h2>
<p>Add two or more images for one product. They meet in pairs, as in the Compare tab, and you get
them in order, best first.</p></div>"""


def build(desk: Desk) -> None:
    """Lay out the tab inside the current Blocks and wire it to `best_of`."""
    stops = Stops()
    with gr.Row(elem_classes="c4-sheet"):
        with gr.Column(scale=4, min_width=320, elem_classes="c4-form"):
            files = gr.File(label="Images of one product", file_count="multiple", height=170,
                            file_types=["image"], elem_id="best-files")
            seen = gr.HTML(elem_id="best-seen")
            title = gr.Textbox(label="Product title", lines=1, max_lines=3,
                               elem_id="best-title",
                               placeholder="Dell G3 gaming laptop, 15.6 inch")
            queries = gr.Textbox(label="What shoppers search for (optional, one a line)", lines=3,
                                 elem_id="best-queries")
            note = gr.HTML(elem_id="best-note")
            with gr.Row(elem_classes="c4-actions"):
                go = gr.Button("Rank them", variant="primary", elem_id="best-go", scale=3)
                stop = gr.Button("Stop", visible=False, elem_id="best-stop", scale=1)
        with gr.Column(scale=6, min_width=320, elem_classes="c4-result"):
            status = gr.HTML(IDLE, elem_id="best-status")
            ranking = gr.HTML(elem_id="best-ranking")

    def run(payloads: Any, words: Any, searches: Any, visitor: gr.Request) -> Iterator[Updates]:
        before: RankView | None = None
        with stops.running(visitor) as flag:
            for view in best_of(desk, paths(payloads), str(words or ""), str(searches or ""), flag):
                yield draw(view, before) or {status: gr.skip()}  # Gradio takes no empty dict
                before = view

    def draw(view: RankView, before: RankView | None) -> Updates:
        """What changed since `before`: a button that is sent anew may miss a click."""
        over = view.phase in OVER
        updates: Updates = {}
        if before is None:
            updates = {note: "".join(render.problem(line) for line in view.problems)}
        if before is None or over:
            updates |= {go: gr.update(interactive=over), stop: gr.update(visible=not over)}
        if view.phase != "refused" and view != before:
            updates[status] = render.status(view)
            updates[ranking] = render.ranking(view) if view.phase == "done" else ""
        return updates

    def look(payloads: Any) -> tuple[str, str]:
        named, problems = check(paths(payloads))
        pictures, damaged = shrunk(named, render.THUMB_SIDE)
        said = "".join(render.problem(line) for line in problems + damaged)
        return render.strip(pictures), said

    go.click(run, [files, title, queries], [note, status, go, stop, ranking],
             show_progress="hidden", concurrency_limit=None, api_visibility="private",
             preprocess=False)
    stop.click(stops.stop, queue=False, api_visibility="private")
    files.change(look, files, [seen, note], show_progress="hidden", api_visibility="private",
                 preprocess=False)


def paths(payloads: Any) -> list[str]:
    """The paths of what the upload component sends: a list, an upload each, or nothing."""
    found = map(path_of, payloads if isinstance(payloads, list) else [payloads])
    return [path for path in found if path]
