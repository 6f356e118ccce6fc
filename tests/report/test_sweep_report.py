"""The document of a sweep: what was best, how much of that is luck, and what is left to do."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from charrnn_core.runs.checkpoint import newest_checkpoint
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import History
from charrnn_core.runs.starting import start
from charrnn_core.sweeps.directory import SweepDirectory, create_sweep
from charrnn_core.sweeps.following import Group, TrialRow
from charrnn_core.sweeps.plan import Plan
from charrnn_core.sweeps.varying import Variation, parse_variation
from charrnn_core.text.corpus import read_corpus
from charrnn_core.text.source import find_source
from charrnn_tui.cli import run
from charrnn_tui.report.figures.look import PAPER
from charrnn_tui.report.figures.sweep_figure import draw_sweep
from charrnn_tui.report.sweep_document import sweep_document
from charrnn_tui.report.sweep_findings import SweepFindings, look_into, luck_of
from charrnn_tui.report.sweep_points import points_of
from charrnn_tui.report.sweep_report import sweep_report

Captured = pytest.CaptureFixture[str]
HOSTILE = "<script>alert('\x1b[31mred')</script> \u202eback | `code` $x$"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a text, and a trained sweep of it under `runs`: two sizes with two seeds."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "book.txt").write_text("a tale of two cities\n" * 20)
    given = {"seq_length": 4, "updates": 30, "sample_every": None, "engine": "numpy", "threads": 1}
    plan = Plan(given, (parse_variation("hidden=5,7"),), seeds=2)  # type: ignore[arg-type]
    corpus = read_corpus(find_source(str(folder / "book.txt")))
    sweep = create_sweep(folder / "runs", plan, corpus, "sizes")
    for trial in sweep.trials():
        start(trial.settings, corpus, runs=sweep.path, name=trial.name).run(lambda item: None)
    return folder


@pytest.fixture
def sweep(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepDirectory:
    """Return a copy of the sweep, in `runs` of the current directory."""
    shutil.copytree(trained, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return SweepDirectory(tmp_path / "here" / "runs" / "sizes")


@pytest.fixture(scope="module")
def found(trained: Path) -> SweepFindings:
    """Return the findings of the trained sweep."""
    return look_into(SweepDirectory(trained / "runs" / "sizes"))


def changed(sweep: SweepDirectory, **told: Any) -> SweepDirectory:
    sweep.plan_file.path.write_text(json.dumps({**sweep.told(), **told}))
    return sweep


def record(sweep: SweepDirectory, *events: dict[str, Any]) -> None:
    lines = (json.dumps({"update": 0, "time": 0.0, **event}) + "\n" for event in events)
    with sweep.events_file.path.open("a") as log:
        log.writelines(lines)


def end(sweep: SweepDirectory, trial: str, **fields: Any) -> None:
    """Give a trial another end; none, where no fields are given."""
    path = sweep.run_of(trial).events_file.path
    *lines, last = path.read_text().splitlines()
    lines += [json.dumps({**json.loads(last), **fields})] if fields else []
    path.write_text("\n".join(lines) + "\n")


def markdown(sweep: SweepDirectory) -> str:
    return sweep_report(look_into(sweep)).to_markdown()


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def table(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


# -- as a user calls it --------------------------------------------------------------------------------------


def test_a_report_goes_into_the_directory_of_the_sweep(sweep: SweepDirectory, capfd: Captured) -> None:
    assert run(["report", "siz"]) == 0
    page = sweep.path / "report.html"
    assert capfd.readouterr() == (f"{page}\n", "")
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert text.count("<svg") == 2
    assert not re.search("#[0-9a-f]{6}", text[text.index("<svg") : text.rindex("</svg>")])


def test_markdown_has_its_figure_beside_it(sweep: SweepDirectory, capfd: Captured) -> None:
    assert run(["report", "runs/sizes", "-o", "my sweep.md"]) == 0
    assert capfd.readouterr().out == "my sweep.md\n"
    assert "(my%20sweep-loss.svg)" in Path("my sweep.md").read_text()
    assert Path("my sweep-loss.svg").read_bytes().startswith(b"<?xml")


def test_a_report_goes_into_a_pipe(sweep: SweepDirectory, capfd: Captured) -> None:
    assert run(["report", "sizes", "-o", "-", "--format", "md", "--quiet"]) == 0
    assert capfd.readouterr() == (markdown(sweep), "")


def test_json_has_the_plan_all_trials_and_all_combinations(sweep: SweepDirectory, capfd: Captured) -> None:
    assert run(["report", "sizes", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["plan"] == sweep.plan().to_json()
    losses = [row["smooth_loss_per_character"] for row in told["rows"]]
    assert losses == sorted(losses)
    assert {(row["hidden"], row["seed"], row["state"]) for row in told["rows"]} == {
        (hidden, seed, "ended") for hidden in (5, 7) for seed in (0, 1)
    }
    best = told["groups"][0]
    own = [row["smooth_loss_per_character"] for row in told["rows"] if row["hidden"] == best["hidden"]]
    assert best["mean_loss"] == pytest.approx(sum(own) / 2)
    assert (best["lowest"], best["highest"]) == (min(own), max(own))


def refused(words: str, *arguments: str, told: Captured) -> None:
    assert run(["report", *arguments]) == 2
    out, err = told.readouterr()
    assert out == ""
    assert re.fullmatch(f"charrnn: [^\n]*{re.escape(words)}[^\n]*\n", err), err


def test_what_cannot_be_is_refused_in_a_sentence(sweep: SweepDirectory, capfd: Captured) -> None:
    run_path = f"runs/sizes/{sweep.trials()[0].name}"
    refused("charrnn export", run_path, "--json", told=capfd)
    refused("excludes -o", "sizes", "--json", "-o", "a.html", told=capfd)
    refused("does not need the text", "sizes", "--corpus", "book.txt", told=capfd)
    changed(sweep, corpus={**sweep.told()["corpus"], "path": str(Path("book.txt").absolute())})
    refused("is the text itself", "sizes", "-o", "book.txt", "--format", "md", told=capfd)
    for name in ("sweep.json", "events.jsonl", "corpus.txt"):
        refused("choose another", "sizes", "-o", f"runs/sizes/{name}", "--format", "md", told=capfd)
    shutil.copytree(run_path, "runs/size-1")
    refused("the sweep sizes or the run size-1", "siz", told=capfd)
    refused("size-1 is a run", "size-1", "--json", told=capfd)


def test_a_trial_has_a_report_like_any_run(sweep: SweepDirectory, capfd: Captured) -> None:
    assert run(["report", f"runs/sizes/{sweep.trials()[0].name}", "-o", "-", "--format", "md", "-q"]) == 0
    assert "A character-level RNN on book" in capfd.readouterr().out


# -- what it says --------------------------------------------------------------------------------------------


def test_the_best_combination_is_first_and_told(found: SweepFindings) -> None:
    text = sweep_report(found).to_markdown()
    best, other = found.ranked
    rows = table(section(text, "Combinations"))
    assert rows[0] == ["hidden", "mean", "deviation", "lowest", "highest", "ended"]
    assert [row[0] for row in rows[1:]] == [f"{group.values['hidden']}" for group in (best, other)]
    assert rows[1][1] == f"{best.mean:.3f}"
    assert rows[1][5] == "2"
    assert f"The lowest mean loss has hidden {best.values['hidden']}: {best.mean:.3f} ± " in text
    assert f"The next is hidden {other.values['hidden']} with {other.mean:.3f}" in text
    assert "| Trials | 4 ended |" in text
    assert [row[2] for row in table(section(text, "Trials"))] == ["state", *["ended"] * 4]


def test_the_command_trains_the_best_trial_again(sweep: SweepDirectory, capfd: Captured) -> None:
    findings = look_into(sweep)
    assert findings.command is not None
    assert findings.best is not None
    assert findings.command.endswith("--engine numpy --threads 1")
    assert run([*shlex.split(findings.command)[1:], "--name", "again", "--quiet"]) == 0
    ends = [
        History.read(directory.events_file.path).ended
        for directory in (sweep.run_of(findings.best.trial.name), RunDirectory(Path("runs/again")))
    ]
    assert ends[0] is not None
    assert ends[1] is not None
    assert ends[0]["state_sha256"] == ends[1]["state_sha256"]
    assert newest_checkpoint(RunDirectory(Path("runs/again")))[0].state_sha256 == ends[0]["state_sha256"]


def test_a_sweep_that_has_not_begun_says_what_begins_it(sweep: SweepDirectory) -> None:
    for trial in sweep.trials():
        shutil.rmtree(sweep.run_of(trial.name).path)
    report = sweep_report(look_into(sweep))
    text = report.to_markdown()
    assert "No trial is done yet" in text
    assert "No loss is recorded" in text
    assert "charrnn sweep sizes" in text
    assert "charrnn train" not in text
    assert "| Trials | 4 not begun |" in text
    assert report.to_html().count("<svg") == 0


def test_states_of_trials_are_counted_and_failures_explained(sweep: SweepDirectory) -> None:
    names = [trial.name for trial in sweep.trials()]
    end(sweep, names[0], reason="diverged", smooth_loss=None)
    end(sweep, names[1])
    shutil.rmtree(sweep.run_of(names[2]).path)
    record(sweep, {"type": "failed", "trial": names[2], "error": "there is not enough memory"})
    text = markdown(sweep)
    assert "| Trials | 1 ended, 1 diverged, 1 failed, 1 crashed |" in text
    assert "**1 trial could not be trained; the reasons are below.**" in text
    assert table(section(text, "What failed"))[1] == ["hidden 7, seed 0", "there is not enough memory"]
    assert "The cross at the upper edge is a trial that diverged" in text
    assert "Circles have not come to their end" in text
    assert "2 trials are not done" in text
    assert "cannot be told: no combination was trained to its end more than once" in text


def test_a_long_table_is_cut_and_says_so(sweep: SweepDirectory) -> None:
    changed(sweep, seeds=30)
    for trial in sweep.trials()[4:]:
        record(sweep, {"type": "failed", "trial": trial.name, "error": f"reason {trial.name}"})
    findings = look_into(sweep)
    failed = section(sweep_report(findings).to_markdown(), "What failed")
    assert "The first 20 of 54 errors" in failed
    assert len(table(failed)) == 21
    assert len(findings.to_json()["rows"]) == 60


def test_a_setting_of_words_and_one_of_drawn_numbers_are_told(sweep: SweepDirectory) -> None:
    changed(sweep, vary={"hidden": [5, 7], "optimizer": ["adam", "adagrad"]})
    text = markdown(sweep)
    assert "differ in hidden and optimizer were to be trained" in text
    assert "8 trials in all" in text
    changed(sweep, vary={"hidden": "5:7:lin"}, search="random", combinations=2)
    text = markdown(sweep)
    assert "from 5 to 7, drawn by even differences" in text
    assert "in 2 combinations drawn at random, each with 2 seeds: 4 trials in all" in text


# -- luck ----------------------------------------------------------------------------------------------------


def group(plan: Plan, losses: Iterable[float], **values: Any) -> Group:
    trials = [plan.trial({**values, "seed": seed}) for seed, _ in enumerate(losses)]
    rows = [TrialRow(trial, "ended", 30, loss) for trial, loss in zip(trials, losses, strict=True)]
    return Group(values, tuple(rows))


PLAN = Plan({"updates": 30}, (parse_variation("hidden=5,6,7"),), seeds=2)


def test_luck_is_the_deviation_within_combinations() -> None:
    groups = [group(PLAN, (2.0, 2.2), hidden=5), group(PLAN, (3.0, 3.4), hidden=6)]
    luck = luck_of(groups, None)
    assert luck is not None
    assert luck.deviation == pytest.approx(((0.02 + 0.08) / 2) ** 0.5)
    assert luck.expected == pytest.approx(luck.deviation / 2**0.5)
    assert luck.spread == pytest.approx(1.1 / 2**0.5)
    assert luck.of_difference(*groups) == pytest.approx(luck.deviation)
    assert (luck.freedom, luck.combinations, luck.left_out) == (2, 2, 0)


def test_combinations_that_learnt_nothing_do_not_hide_the_luck_of_the_others() -> None:
    groups = [group(PLAN, (2.0, 2.2), hidden=5), group(PLAN, (40.0, 900.0), hidden=6)]
    luck = luck_of(groups, 4.1)
    assert luck is not None
    assert luck.deviation == pytest.approx(0.02**0.5)
    assert luck.left_out == 1
    alone = luck_of(groups[1:], 4.1)
    assert alone is not None
    assert alone.left_out == 0


def test_one_trial_of_each_tells_nothing_of_luck() -> None:
    assert luck_of([group(PLAN, (2.0,), hidden=5), group(PLAN, (3.0,), hidden=6)], None) is None
    assert luck_of([], None) is None


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        (((2.0, 2.4), (2.1, 2.5)), "can be luck"),
        (((2.0, 2.2), (2.3, 2.5)), "the settings matter, and so does luck"),
        (((2.0, 2.02), (3.0, 3.02)), "it is the settings that decide, not luck"),
        (((2.0, 2.0), (3.0, 3.0)), "the best is probably the better one"),
        (((2.0, 2.4), (2.1, 2.5)), "which of the two is better remains open"),
    ],
)
def test_how_much_is_luck_is_said_plainly(
    losses: tuple[tuple[float, float], ...], words: str, found: SweepFindings
) -> None:
    rows = [row for hidden, pair in enumerate(losses, 5) for row in group(PLAN, pair, hidden=hidden).rows]
    text = " ".join(
        block.text  # type: ignore[union-attr]
        for block in sweep_document(SweepFindings(**{**vars_of(found), "rows": tuple(rows)}))
        .sections[0]
        .blocks[:-1]
    )
    assert words in text


def vars_of(found: SweepFindings) -> dict[str, Any]:
    names = ("name", "created", "corpus", "plan", "rows", "is_running", "best_log")
    return {name: getattr(found, name) for name in names} | {"plan": PLAN, "corpus": {}}


# -- the figure ----------------------------------------------------------------------------------------------


def findings_with(found: SweepFindings, vary: tuple[Variation, ...], losses: list[float]) -> SweepFindings:
    plan = Plan({"updates": 30}, vary)
    rows = [
        TrialRow(trial, "ended", 30, loss) for trial, loss in zip(plan.first_trials(), losses, strict=True)
    ]
    return SweepFindings(**{**vars_of(found), "plan": plan, "rows": tuple(rows)})


def test_axes_are_of_the_kind_of_the_values(found: SweepFindings) -> None:
    vary = tuple(map(parse_variation, ("learning_rate=0.01,1", "hidden=5,7", "clip=none,5")))
    points = points_of(findings_with(found, vary, [2.0 + 0.1 * number for number in range(8)]))
    kinds = [(panel.name, panel.is_log, panel.is_category) for panel in points.panels]
    assert kinds == [("learning_rate", True, False), ("hidden", False, False), ("clip", False, True)]
    assert points.panels[1].means == ((5, pytest.approx(2.25)), (7, pytest.approx(2.45)))
    assert points.above == 0


def test_a_loss_that_would_flatten_the_others_is_above_the_axis(found: SweepFindings) -> None:
    vary = (parse_variation("hidden=5,6,7,8,9"),)
    points = points_of(findings_with(found, vary, [2.0, 2.1, 2.2, 2.3, 900.0]))
    assert (points.low, points.above) == (2.0, 1)
    assert points.high == 2.3


def test_the_same_figure_is_the_same_bytes_and_has_words_for_what_it_shows(found: SweepFindings) -> None:
    vary = (parse_variation("hidden=5,6,7,8,9"), parse_variation("optimizer=adam,adagrad"))
    points = points_of(findings_with(found, vary, [*[2.0, 2.1, 2.2, 2.3] * 2, 900.0, 2.0]))
    look = type(PAPER)(text_as_text=True)
    first, second = (draw_sweep(points, None, (3.7, 6.0), look).decode() for _ in range(2))
    assert first == second
    for words in ("hidden", "optimizer", "adagrad", "above the axis", "loss (nats per character)"):
        assert f">{words}</text>" in first


# -- what a file can hold ------------------------------------------------------------------------------------


def test_nothing_hostile_reaches_a_page(sweep: SweepDirectory) -> None:
    corpus = {**sweep.told()["corpus"], "name": HOSTILE, "path": f"/x/{HOSTILE}", "sha256": HOSTILE}
    changed(sweep, corpus=corpus, created=HOSTILE)
    shutil.rmtree(sweep.run_of(sweep.trials()[0].name).path)
    record(sweep, {"type": "failed", "trial": sweep.trials()[0].name, "error": HOSTILE})
    renamed = SweepDirectory(sweep.path.rename(sweep.path.with_name("-x $(y) \x1b[31m")))
    report = sweep_report(look_into(renamed))
    for text in (report.to_html(), report.to_markdown()):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)
        assert "charrnn sweep $" in text
    assert "<script" not in report.to_html()
    assert not re.search(r"(?<!\\)<script", re.sub("```sh.*?```", "", report.to_markdown(), flags=re.DOTALL))


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["settings"].update(seed="a"),
        lambda told: told["settings"].update(nothing=1),
        lambda told: told.update(combinations=float("inf")),
        lambda told: told.update(vary={"hidden": [[1]]}),
        lambda told: told.update(preset="other"),
        lambda told: told.update(corpus=3),
    ],
)
def test_a_plan_that_is_none_is_refused_in_a_sentence(
    change: Callable[[dict[str, Any]], Any], sweep: SweepDirectory, capfd: Captured
) -> None:
    told = sweep.told()
    change(told)
    sweep.plan_file.path.write_text(json.dumps(told))
    refused("", "sizes", told=capfd)


@pytest.mark.parametrize("loss", [None, 0.0, -3.0, 1e17, 1e-300, "low"])
def test_losses_that_no_training_gives_do_not_break_a_report(loss: Any, sweep: SweepDirectory) -> None:
    for trial in sweep.trials()[:3]:
        end(sweep, trial.name, smooth_loss=loss, update=-(10**17), reason=["odd"])
    changed(sweep, corpus={"characters": "many", "vocabulary_size": "few"})
    findings = look_into(sweep)
    report = sweep_report(findings)
    assert report.to_html().endswith("</html>\n")
    json.dumps(findings.to_json(), allow_nan=False)
