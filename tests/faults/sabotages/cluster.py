"""Carelessness about what the workers of a cluster return."""

from __future__ import annotations

from typing import Any

from tests.faults.careless import careless


@careless(
    "charrnn_core.sweeps.content:checked",
    says="what a worker returns takes the place of a trial without being looked at",
    tests="tests/sweeps/test_content.py tests/sweeps/test_cluster.py",
)
def believes_workers(original: Any) -> Any:
    from charrnn_core.sweeps.task import Outcome

    def checked(returned: Any, task: Any, sent: Any) -> Any:
        told, content = returned
        return Outcome(**told), content

    return checked
