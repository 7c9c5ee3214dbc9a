"""Build the Best of N tab: many images, a title and queries; a ranking by a tournament."""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from app import render
from app.best_of import RankView, best_of, read_all
from app.compare import OVER, Desk
from app.result_panel import Updates
from app.visitors import uploads
from app.visitors.cancellation import Stops

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
            uploads.from_disk_only(files)
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

    def run(paths: list[str] | None, words: str, searches: str,
            visitor: gr.Request) -> Iterator[Updates]:
        begun = False
        with stops.running(visitor) as flag:
            for view in best_of(desk, paths, words, searches, flag):
                yield draw(view, begun)
                begun = True

    def draw(view: RankView, begun: bool) -> Updates:
        """What is new: a button that is sent anew may miss a click."""
        over = view.phase in OVER
        updates: Updates = {}
        if not begun:
            updates = {note: "".join(render.problem(line) for line in view.problems)}
        if not begun or over:
            updates |= {go: gr.update(interactive=over), stop: gr.update(visible=not over)}
        if view.phase != "refused":
            updates[status] = render.status(view)
            updates[ranking] = render.ranking(view) if view.phase == "done" else ""
        return updates

    def look(paths: list[str] | None) -> tuple[str, str]:
        images, problems = read_all(paths or ())
        return render.strip(images), "".join(render.problem(line) for line in problems)

    go.click(run, [files, title, queries], [note, status, go, stop, ranking],
             show_progress="hidden", concurrency_limit=None, api_visibility="private")
    stop.click(stops.stop, queue=False, api_visibility="private")
    files.change(look, files, [seen, note], show_progress="hidden", api_visibility="private")
