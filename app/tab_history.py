"""Build the History tab: list, open and delete comparisons; export feedback as pairs."""

from __future__ import annotations

import gradio as gr

from app import render
from app.compare import Desk
from app.ctr_panel import Ctr
from app.export import export_zip
from app.result_panel import Panel, Updates
from app.visitors.upload_guard import visitor_of
from app.visitors.uploads import VisitorFiles
from creative4u.errors import InputError

DELETE = "Delete this comparison"
PAGE = 20  # rows a page of the list
# One listener on the list's root: rows come and go, their buttons carry the comparison's id.
ON_CLICK = """element.addEventListener('click', (event) => {
  const row = event.target.closest('[data-id]');
  if (row) trigger('click', {id: row.dataset.id});
});"""


def build(desk: Desk, files: VisitorFiles, tab: gr.Tab, ctr: Ctr | None = None) -> None:
    """Lay out the tab inside the current Blocks."""
    with gr.Row(elem_classes="c4-sheet"):
        with gr.Column(scale=4, min_width=320):
            shown = gr.State(PAGE)
            rows = gr.HTML(elem_id="history", js_on_load=ON_CLICK)
            more = gr.Button("Show older ones", visible=False, size="sm")
            export = gr.Button("Export feedback as training pairs", size="sm", elem_id="export")
            packed = gr.HTML(elem_id="export-note")
            download = gr.DownloadButton("Download pairs.zip", visible=False, size="sm",
                                         elem_id="export-file")
        with gr.Column(scale=6, min_width=320, elem_classes="c4-result"):
            told = gr.HTML('<p class="c4-empty">Choose a comparison to open it again.</p>')
            panel = Panel(desk.store, files, "history", ctr)
            armed = gr.State(False)
            forget = gr.Button(DELETE, visible=False, size="sm",
                               elem_id="forget")

    def listed(limit: int) -> Updates:
        found = desk.store.latest(limit + 1)
        return {rows: render.history(found[:limit], len(found) > limit),
                more: gr.update(visible=len(found) > limit)}

    def older(limit: int) -> Updates:
        return {shown: limit + PAGE, **listed(limit + PAGE)}

    def reopen(event: gr.EventData, visitor: gr.Request) -> Updates:
        try:
            saved = desk.store.get(str(event.id))
        except InputError as error:
            return {told: render.problem(str(error)), **panel.clear()}
        return {told: render.asked(saved), armed: False, **panel.show(saved, visitor_of(visitor)),
                forget: gr.update(visible=True, value=DELETE)}

    def deleted(key: str | None, limit: int, sure: bool) -> Updates:
        if not sure:
            return {armed: True, forget: gr.update(value="Press again to delete it for good")}
        if key:
            desk.store.delete(key)
        return {told: '<p class="c4-empty">Deleted, with its images.</p>', armed: False,
                forget: gr.update(visible=False), **panel.clear(), **listed(limit)}

    def pack(visitor: gr.Request) -> Updates:
        target = files.new(visitor_of(visitor), "pairs.zip")
        count = export_zip(desk.store, target)
        if not count:
            first = "No feedback yet. Open a comparison and say which is right, then export."
            return {packed: render.problem(first), download: gr.update(visible=False)}
        said = f"{count} pair{'' if count == 1 else 's'} with feedback, as pairs.jsonl and images."
        return {packed: render.notice(said),
                download: gr.update(visible=True, value=str(target))}

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(listed, shown, [rows, more], **quiet)
    panel.feedback.input(listed, shown, [rows, more], **quiet)
    more.click(older, shown, [shown, rows, more], **quiet)
    rows.click(reopen, None, [told, forget, armed, *panel.parts], **quiet)
    forget.click(deleted, [panel.key, shown, armed],
                 [told, forget, armed, rows, more, *panel.parts], **quiet)
    export.click(pack, None, [packed, download], **quiet)
