"""A run told as a document, in the order of the study that charrnn starts from."""

from __future__ import annotations

from charrnn_tui.report.document import Document, Section
from charrnn_tui.report.findings import Findings
from charrnn_tui.report.sections import learning, record
from charrnn_tui.report.sections.gradients import gradients
from charrnn_tui.report.sections.summary import summary


def document_of(found: Findings) -> Document:
    """Return the report of a run."""
    sections = [
        Section("Summary", list(summary(found))),
        Section("Gradient check", list(gradients(found))),
        Section("Loss", list(learning.loss(found))),
        Section("Evolution of the text", list(learning.evolution(found))),
        Section("Best passage", list(learning.passage(found))),
        Section("Words", list(learning.words(found))),
        Section("What happened", list(record.events(found))),
        Section("Settings and how to reproduce this", list(record.reproducing(found))),
    ]
    settings = found.begun_with
    return Document(
        title=f"A character-level RNN on {found.corpus.get('name', 'a text')}",
        subtitle=(
            f"{found.name} · m = {settings.hidden:,} · {settings.optimizer} {settings.learning_rate:g} · "
            f"{found.created[:10]}"
        ),
        sections=[section for section in sections if section.blocks],
    )
