"""A sweep told as a document: what was tried, what was best, and how much of that is luck."""

from __future__ import annotations

from collections.abc import Iterator

from charrnn_core.sweeps.following import Group, TrialRow
from charrnn_core.sweeps.varying import shown
from charrnn_core.training.settings import FIELDS, Value
from charrnn_tui.formatting import count_of, loss_of
from charrnn_tui.report.document import (
    Block,
    Column,
    Commands,
    Document,
    Facts,
    LossFigure,
    Paragraph,
    Section,
    Table,
)
from charrnn_tui.report.reproducing import quoted
from charrnn_tui.report.sweep_findings import SweepFindings, small
from charrnn_tui.report.sweep_points import points_of
from charrnn_tui.report.sweep_summary import summary
from charrnn_tui.report.units import counted
from charrnn_tui.trial_words import name_in_words, values_in_prose

_MOST_ROWS = 50  # of a table
_MOST_ERRORS = 20


def sweep_document(found: SweepFindings) -> Document:
    """Return the report of a sweep."""
    sections = [
        Section("Summary", list(summary(found))),
        Section("Loss by setting" if found.varied else "Loss by seed", list(_figure(found))),
        Section("Combinations", list(_combinations(found))),
        Section("Trials", list(_trials(found))),
        Section("What failed", list(_failures(found))),
        Section("How to go on", list(_going_on(found))),
    ]
    return Document(
        title=f"A sweep of character-level RNNs on {found.corpus.get('name', 'a text')}",
        subtitle=f"{found.name} · {counted(found.size, 'trial')} · {found.created[:10]}",
        sections=[section for section in sections if section.blocks],
    )


# -- figure ------------------------------------------------------------------------------------------------


def _figure(found: SweepFindings) -> Iterator[Block]:
    points = points_of(found)
    if not points.panels:
        yield Paragraph("No loss is recorded.", "note")
        return
    names = ", ".join(name_in_words(panel.name) for panel in points.panels)
    parts = ["Each dot is a trial"]
    if any(panel.has_means for panel in points.panels):
        dash = " or dash" if any(panel.is_category for panel in points.panels) else ""
        parts.append(f"the line{dash} is the mean of the dots at each value, whatever the others are")
    caption = ", ".join(parts) + "."
    if points.unfinished:
        caption += " Circles have not come to their end."
    if points.diverged:
        caption += f" {_crosses(points.diverged)} diverged."
    if points.above:
        caption += (
            f" The triangles at the upper edge are {counted(points.above, 'trial')} with a higher loss."
        )
    without = sum(row.state == "failed" and row.loss is None for row in found.rows)
    if without:
        caption += f" {counted(without, 'trial')} that failed: not drawn."
    if points.left_out:
        caption += f" Of {points.left_out + len(points.rows):,} dots, every few are drawn."
    if len(found.varied) > len(points.panels):
        caption += f" {len(found.varied) - len(points.panels):,} more settings vary."
    best = found.ranked[0] if found.ranked else None
    told = f"; lowest mean {loss_of(best.mean, 3)} with {values_in_prose(best.values)}" if best else ""
    yield LossFigure(f"Loss of the trials against {names}{told}", caption)


def _crosses(count: int) -> str:
    return "The cross at the upper edge is a trial that" if count == 1 else (
        f"The crosses at the upper edge are {count:,} trials that"
    )  # fmt: skip


# -- tables ------------------------------------------------------------------------------------------------


def _combinations(found: SweepFindings) -> Iterator[Block]:
    if not found.has_seeds or not found.ranked:
        return  # each is one trial, and these have a table
    ranked = found.ranked
    if len(ranked) > _MOST_ROWS:
        yield Paragraph(_limited(len(ranked), "combinations"), "note")
    columns = [_column(name) for name in found.varied]
    titles = ("mean", "deviation", "lowest", "highest", "ended")
    columns += [Column(title, "number") for title in titles]
    yield Table(columns, [_combination(found, group) for group in ranked[:_MOST_ROWS]])
    kind = found.loss_told
    unended = len(found.groups) - len(ranked)
    rest = f" {counted(unended, 'combination')} without a trial that ended: not listed." if unended else ""
    yield Paragraph(
        f"{kind[0].upper()}{kind[1:]}, nats per character: mean and standard deviation over the seeds, and "
        f"how many of its trials have ended.{rest}"
    )


def _combination(found: SweepFindings, group: Group) -> list[str]:
    losses, members = group.losses, len(group.rows)
    deviation = small(group.deviation) if len(losses) > 1 else "–"
    ended = f"{len(losses):,}" if len(losses) == members else f"{len(losses):,} of {members:,}"
    figures = [loss_of(group.mean, 3), deviation, loss_of(min(losses), 3), loss_of(max(losses), 3), ended]
    return [*_values(group.values, found.varied), *figures]


def _trials(found: SweepFindings) -> Iterator[Block]:
    begun = [row for row in found.ordered if row.state != "waiting" and not _has_nothing(row)]
    if not begun:
        return
    if len(begun) > _MOST_ROWS:
        yield Paragraph(_limited(len(begun), "trials"), "note")
    names = found.plan.varied
    columns = [_column(name) for name in names]
    columns += [Column("state"), Column("updates", "number"), Column("loss", "number")]
    yield Table(
        columns,
        [
            [*_values(row.trial.values, names), row.state, count_of(row.update), loss_of(row.loss, 3)]
            for row in begun[:_MOST_ROWS]
        ],
    )


def _has_nothing(row: TrialRow) -> bool:
    return row.state == "failed" and not row.update


def _failures(found: SweepFindings) -> Iterator[Block]:
    """Yield why trials failed; those with the same error in one line."""
    failed: dict[str, list[str]] = {}
    for row in found.rows:
        if row.state == "failed":
            failed.setdefault(row.error or "–", []).append(values_in_prose(row.trial.values))
    if not failed:
        return
    if len(failed) > _MOST_ERRORS:
        yield Paragraph(_limited(len(failed), "errors", _MOST_ERRORS), "note")
    rows = [
        (f"{names[0]}{f' and {len(names) - 1:,} more' if len(names) > 1 else ''}", error)
        for error, names in failed.items()
    ]
    columns = [Column("trial", "description"), Column("error", "description")]
    yield Table(columns, rows[:_MOST_ERRORS])


def _limited(count: int, nouns: str, most: int = _MOST_ROWS) -> str:
    return f"The first {most:,} of {count:,} {nouns}; charrnn report --json gives all."


def _column(name: str) -> Column:
    return Column(name_in_words(name), "text" if FIELDS[name].kind is str else "number")


def _values(values: dict[str, Value], names: tuple[str, ...]) -> list[str]:
    return [shown(values[name]) if name in values else "–" for name in names]


# -- going on ----------------------------------------------------------------------------------------------


def _going_on(found: SweepFindings) -> Iterator[Block]:
    if found.command is not None:
        same = "gives the same network bit for bit on the same machine"
        yield Paragraph(f"With the same text, this trains the best trial alone, and {same}:")
        yield Commands([found.command])
    name = found.name if not found.name.startswith("-") else f"./{found.name}"
    if found.left:
        yield Paragraph("This goes on with the sweep, where it stopped:")
    else:
        yield Paragraph("All trials are done. This finds nothing left to do, and shows what came of them:")
    yield Commands([f"charrnn sweep {quoted(name)}"])
    sha256 = found.corpus.get("sha256")
    yield Facts([("digest of the text", str(sha256 or "–"))])
