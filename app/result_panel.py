"""Lay out the components that show a comparison's result, for Compare and History."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app import render
from app.compare import View
from app.ctr_panel import Ctr
from app.history import Saved, Store
from app.visitors.uploads import VisitorFiles
from creative4u.errors import InputError

Updates = dict[Any, Any]  # component -> its update, as Gradio takes them
FEEDBACK_CHOICES = [("A is right", "A"), ("B is right", "B"), ("They are equal", "tie"),
                    ("Both are poor", "both_bad")]


class Panel:
    """Made inside a Blocks context: outcome, images, CTR, protocol, reasoning, feedback, report."""

    def __init__(self, store: Store, files: VisitorFiles, name: str,
                 ctr: Ctr | None = None) -> None:
        self._store, self._files = store, files
        self.key = gr.State(None)
        self.outcome = gr.HTML(elem_id=f"{name}-outcome")
        self.cards = gr.HTML(elem_id=f"{name}-cards")
        self.thinking = gr.HTML(elem_id=f"{name}-thinking")
        expected = gr.HTML(elem_id=f"{name}-ctr")
        self.protocol = gr.HTML(elem_id=f"{name}-protocol")
        self.whole = gr.HTML(elem_id=f"{name}-whole")
        with gr.Column(visible=False, elem_id=f"{name}-feedback") as self.after:
            self.feedback = gr.Radio(FEEDBACK_CHOICES, label="Which is right, in your view?")
            self.thanks = gr.HTML()
        self.report = gr.DownloadButton("Download the report", visible=False,
                                        elem_id=f"{name}-report", size="md")
        self.parts = [self.key, self.outcome, self.cards, self.thinking, self.protocol, self.whole,
                      self.after, self.feedback, self.thanks, self.report]
        if ctr is not None:  # after the verdict is drawn, so that it waits for nothing
            def clicks(key: str | None) -> str:
                return ctr.fill(store, key)

            self.key.change(clicks, self.key, expected, show_progress="hidden",
                            api_visibility="private")
        self.feedback.input(self._keep_feedback, [self.key, self.feedback], self.thanks,
                            show_progress="hidden", api_visibility="private")

    def clear(self) -> Updates:
        """Nothing to show."""
        return {self.key: None, self.outcome: "", self.cards: "", self.thinking: "",
                self.protocol: "", self.whole: "", self.after: gr.update(visible=False),
                self.feedback: gr.update(value=None), self.thanks: "",
                self.report: gr.update(visible=False)}

    def running(self, view: View, before: View | None) -> Updates:
        """A comparison that goes on; only what changed since `before` is sent again."""
        updates = {} if before else self.clear()
        reasons, had_reasons = bool(view.reasoning), before is not None and bool(before.reasoning)
        if before is None or view.observed != before.observed or reasons != had_reasons:
            updates[self.cards] = render.cards(view.pictures, view.observed, folded=reasons)
        if view.reasoning:
            updates[self.thinking] = render.thinking(view.reasoning, finished=False)
        return updates

    def show(self, saved: Saved, visitor: str) -> Updates:
        """A finished comparison, with its report ready for this visitor to download."""
        verdict = saved.verdict
        return {
            self.key: saved.comparison_id,
            self.outcome: render.outcome(verdict),
            self.cards: render.cards(saved.pictures, render.observed(verdict), verdict),
            self.thinking: "",
            self.protocol: render.protocol(verdict),
            self.whole: render.finished(verdict),
            self.after: gr.update(visible=True),
            self.feedback: gr.update(value=saved.feedback),
            self.thanks: "",
            self.report: gr.update(visible=True, value=self._write_report(saved, visitor)),
        }

    def _write_report(self, saved: Saved, visitor: str) -> str:
        report = render.report(saved).encode()
        target = self._files.new(visitor, "creative4u-report.html", len(report))
        target.write_bytes(report)
        return str(target)

    def _keep_feedback(self, key: str | None, said: str) -> str:
        try:
            self._store.give_feedback(key or "", said)
        except InputError as error:
            return render.problem(str(error))
        return render.notice("Kept, thank you. You can change it at any time.")
