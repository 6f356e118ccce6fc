"""Events as lines of JSON."""

import json
import math

from charrnn_core.training.events import Ended, Progress, Status, Warned


def progress(**given):
    values = {
        "update": 20, "time": 1.5, "first_update": 11, "epoch": 0.5, "position": 40, "loss_mean": 3.0,
        "loss_min": 2.0, "loss_max": 4.0, "smooth_loss": 3.5, "gradient_norm": 1.0, "clipped_share": 0.0,
        "updates_per_second": 10.0,
    }  # fmt: skip
    return Progress(**{**values, **given})


def test_a_line_is_one_json_object_with_type_update_and_time_first():
    line = Warned(update=3, time=0.25, message="two\nlines, é, \u2028 and \x1b[31m").to_line()
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert list(json.loads(line)) == ["type", "update", "time", "message"]
    assert json.loads(line)["message"] == "two\nlines, é, \u2028 and \x1b[31m"
    assert "\x1b" not in line


def test_numbers_that_are_not_finite_become_null():
    line = Ended(
        update=1,
        time=0.0,
        reason="diverged",
        epoch=0.0,
        smooth_loss=math.nan,
        best_loss=math.inf,
        best_update=None,
    ).to_line()
    assert json.loads(line)["smooth_loss"] is None
    assert json.loads(line)["best_loss"] is None
    status = Status(
        phase="training", update=1, epoch=0.0, loss=math.nan, smooth_loss=1.0, updates_per_second=0.0,
        seconds_left=None, time=0.0,
    )  # fmt: skip
    assert status.to_json()["loss"] is None


def test_a_bucket_is_marked_partial_only_where_it_is():
    assert "partial" not in progress().to_json()
    assert progress(partial=True).to_json()["partial"] is True


def test_every_bit_of_a_loss_survives():
    loss = 0.1 + 0.2
    assert json.loads(progress(loss_mean=loss).to_line())["loss_mean"] == loss
