"""The summary of a sweep: what was tried, what was best, and how much of that is luck of the seed."""

from __future__ import annotations

import math
from collections.abc import Iterator

from charrnn_core.sweeps.following import Group
from charrnn_core.sweeps.varying import Variation, shown
from charrnn_core.training.settings import DEFAULT_PRESET
from charrnn_tui.formatting import count_of, loss_of
from charrnn_tui.report.document import Block, Facts, Paragraph
from charrnn_tui.report.reproducing import setting_told
from charrnn_tui.report.sweep_findings import FEW, Luck, SweepFindings, small
from charrnn_tui.report.units import counted
from charrnn_tui.trial_words import name_in_words, values_in_prose

_MOST_VALUES = 12  # of a setting, in a sentence


def summary(found: SweepFindings) -> Iterator[Block]:
    """Yield how far the sweep is, what was tried, what is best, and how much of that is luck."""
    if found.is_running:
        yield Paragraph("This sweep is still being trained: what follows is how far it has come.", "note")
    elif found.left:
        told = "No trial is done yet" if found.left == found.size else f"{_are(found.left)} not done"
        yield Paragraph(f"{told}. The last section has the command that goes on with the sweep.", "note")
    failed = found.counts["failed"]
    if failed:
        yield Paragraph(f"{counted(failed, 'trial')} could not be trained; the reasons are below.", "warning")
    yield Paragraph(_abstract(found))
    if found.ranked:
        yield Paragraph(_best(found))
        yield Paragraph(_luck(found))
    yield Facts(list(_facts(found)))


def _are(count: int) -> str:
    return f"{counted(count, 'trial')} {'is' if count == 1 else 'are'}"


def _abstract(found: SweepFindings) -> str:
    plan = found.plan
    what = " and ".join(map(name_in_words, found.varied)) if len(found.varied) < 3 else (
        f"{', '.join(map(name_in_words, found.varied[:-1]))} and {name_in_words(found.varied[-1])}"
    )  # fmt: skip
    text = (
        f"{found.corpus.get('name', 'a text')}, a text of {count_of(found.corpus.get('characters'))} "
        "characters"
    )
    if not what:
        was = "was to be" if found.left else "was"
        return f"The same network {was} trained {found.size:,} times on {text}, each time with another seed."
    ways = {
        "grid": "in all combinations of their values",
        "random": f"in {counted(plan.combinations, 'combination')} drawn at random",
        "tpe": f"in {counted(plan.combinations, 'combination')} chosen by what came of those before",
    }
    seeds = f", each with {counted(plan.seeds, 'seed')}" if plan.seeds > 1 else ""
    return (
        f"Vanilla recurrent networks that differ in {what} {'were to be' if found.left else 'were'} trained "
        f"on {text}, {ways[plan.search]}{seeds}: {counted(found.size, 'trial')} in all."
    )


def _best(found: SweepFindings) -> str:
    best, *others = found.ranked
    if not found.varied:
        return (
            f"The mean loss is {_mean(best)} nats per character, which is "
            f"{loss_of(best.mean / math.log(2), 3)} bits. The lowest is {loss_of(min(best.losses), 3)}, the "
            f"highest {loss_of(max(best.losses), 3)}."
        )
    kind = "mean loss" if found.has_seeds else "loss"
    words = [
        f"The lowest {kind} has {values_in_prose(best.values)}: {_mean(best)} nats per character, which "
        f"is {loss_of(best.mean / math.log(2), 3)} bits."
    ]
    diverged = sum(row.state == "diverged" for row in best.rows)
    if diverged:
        words.append(f"But {diverged:,} of its {counted(len(best.rows), 'trial')} diverged.")
    if others:
        behind = others[0].mean - best.mean
        words.append(
            f"The next is {values_in_prose(others[0].values)} with {_mean(others[0])}, "
            f"{small(behind)} behind."
        )
    return " ".join(words)


def _mean(group: Group) -> str:
    """Return a mean with its deviation, where there is one."""
    deviation = f" ± {small(group.deviation)}" if len(group.losses) > 1 else ""
    return f"{loss_of(group.mean, 3)}{deviation}"


def _luck(found: SweepFindings) -> str:
    luck = found.luck
    if luck is None:
        return (
            "How much of these differences is luck of the seed cannot be told: no combination was trained to "
            "its end more than once. --seeds 3 would tell."
        )
    pooled = f", pooled over {luck.combinations:,} combinations" if luck.combinations > 1 else ""
    words = [
        f"Luck of the seed: from one seed to another the loss of a combination moves by "
        f"{small(luck.deviation)} nats per character (standard deviation{pooled})."
    ]
    if luck.left_out:
        are = "is" if luck.left_out == 1 else "are"
        words.append(f"Not in this {are} {counted(luck.left_out, 'combination')} no better than guessing.")
    if math.isfinite(luck.spread):
        words.append(_spread(luck))
        words.append(_lead(found, luck))
    if luck.freedom < FEW:
        words.append("From so few repetitions these are rough figures.")
    return " ".join(words)


def _spread(luck: Luck) -> str:
    told = (
        f"By that alone the means of the combinations would differ by {small(luck.expected)}; they differ "
        f"by {small(luck.spread)}"
    )
    ratio = luck.spread / luck.expected if luck.expected else math.inf
    if ratio < 1.5:
        return f"{told}, hardly more: what looks like an effect of the settings can be luck."
    times = f", {_times(ratio)} as much" if math.isfinite(ratio) else ""
    if ratio < 4:
        return f"{told}{times}: the settings matter, and so does luck."
    return f"{told}{times}: it is the settings that decide, not luck."


def _lead(found: SweepFindings, luck: Luck) -> str:
    best, other = found.ranked[:2]
    lead, by_luck = other.mean - best.mean, luck.of_difference(best, other)
    told = f"Between the best and the next, luck makes about {small(by_luck)} of difference"
    if lead < 2 * by_luck:
        return f"{told}, and there are {small(lead)}: which of the two is better remains open."
    return f"{told}, and there are {small(lead)}: the best is probably the better one."


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:,.0f} times"


def _facts(found: SweepFindings) -> Iterator[tuple[str, str]]:
    plan = found.plan
    yield "Text", f"{count_of(found.corpus.get('characters'))} characters, K = {found.vocabulary_size:,}"
    yield "Trials", _states(found)
    for each in plan.vary:
        yield name_in_words(each.name).capitalize(), _variation(each)
    if plan.seeds > 1:
        first, last = plan.base_seed, plan.base_seed + plan.seeds - 1
        yield "Seed", f"{first} and {last}" if plan.seeds == 2 else f"{first} to {last}"
    preset = [] if plan.preset == DEFAULT_PRESET else [f"preset {plan.preset}"]
    same = preset + [f"{name_in_words(name)} {setting_told(value)}" for name, value in plan.given.items()]
    if same:
        yield "The same in all", " · ".join(same)
    yield "Compared by", f"{found.loss_told}, nats per character"
    if found.best is not None:
        yield "Best trial", f"{loss_of(found.best.loss, 3)}, {values_in_prose(found.best.trial.values)}"


def _states(found: SweepFindings) -> str:
    counts = found.counts
    told = [
        f"{counts[state]:,} {words}"
        for state, words in (
            ("ended", "ended"), ("diverged", "diverged"), ("pruned", "given up by the search"),
            ("failed", "failed"), ("training", "being trained"), ("paused", "paused"),
            ("interrupted", "interrupted"), ("crashed", "crashed"),
        )
        if counts[state]
    ]  # fmt: skip
    waiting = counts["waiting"] + found.size - len(found.rows)
    return ", ".join(told + [f"{waiting:,} not begun"] * bool(waiting))


def _variation(each: Variation) -> str:
    values = each.values
    if not values:
        scale = "even ratios" if each.scale == "log" else "even differences"
        return f"from {shown(each.low)} to {shown(each.high)}, drawn by {scale}"
    if len(values) <= _MOST_VALUES:
        return ", ".join(map(shown, values))
    first = ", ".join(map(shown, values[: _MOST_VALUES - 2]))
    return f"{len(values):,} values: {first} … {shown(values[-1])}"
