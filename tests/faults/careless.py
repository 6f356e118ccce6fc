"""Careless versions of the program's functions, which the tests must notice.

A sabotage is a function that gets an attribute of the program and returns what takes its place. The
environment variable CHARRNN_SABOTAGE names the one that is active: `hook/sitecustomize.py`, which a test run
has on its path, then replaces the attribute right after its module is imported, in every Python process.

    @careless(
        "charrnn_core.runs.files:Entry.descriptor", says="links are followed", tests="tests/faults/test_x.py"
    )
    def follows_links(original):
        def descriptor(self, flags=os.O_RDONLY):
            return os.open(self.path, flags, 0o666)
        return descriptor
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import os
import pkgutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

VARIABLE = "CHARRNN_SABOTAGE"
"""The environment variable that names the active sabotage, or several."""

AND = " + "
"""What stands between the names of several."""


@dataclass(frozen=True)
class Careless:
    """A careless version of a part of the program.

    Attributes
    ----------
    name : str
    says : str
        What the program does then.
    tests : tuple of str
        What has to notice: files of tests, or tests in them as "file::test".
    targets : tuple of str
        What is replaced, as "module:attribute" or "module:Class.attribute".
    replace : callable
        Takes the original, and the target where there are several, and returns what takes its place.
    """

    name: str
    says: str
    tests: tuple[str, ...]
    targets: tuple[str, ...]
    replace: Callable[..., Any]

    def apply(self, module: ModuleType) -> None:
        """Replace the targets that are in a module, which has just been imported.

        Raises
        ------
        LookupError, AttributeError
            The module has no such attribute.
        """
        for owner, attribute, replacement in self.replacements(module):
            setattr(owner, attribute, replacement)

    def replacements(self, module: ModuleType) -> list[tuple[Any, str, Any]]:
        """Return what is replaced in a module: its owner, its name there, and what takes its place."""
        found = []
        for target in self.targets:
            name, _, path = target.partition(":")
            if name != module.__name__:
                continue
            *owners, attribute = path.split(".")
            owner: Any = module
            for each in owners:
                owner = getattr(owner, each)
            # As it stands in a class: a property or a class method stays one.
            original = vars(owner)[attribute]
            arguments = (original,) if len(self.targets) == 1 else (original, target)
            found.append((owner, attribute, self.replace(*arguments)))
        return found

    @property
    def files(self) -> set[str]:
        """The files of the tests."""
        return {test.partition("::")[0] for test in self.tests}

    @property
    def modules(self) -> set[str]:
        """The modules of the targets."""
        return {target.partition(":")[0] for target in self.targets}


_found: dict[str, Careless] = {}


def careless(*targets: str, says: str, tests: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a sabotage; its name is that of the function, with spaces.

    Parameters
    ----------
    *targets, says
        As of `Careless`.
    tests : str
        Separated by spaces.
    """

    def register(replace: Callable[..., Any]) -> Callable[..., Any]:
        name = replace.__name__.replace("_", " ")
        if name in _found:
            raise ValueError(f"there are two sabotages {name}")
        _found[name] = Careless(name, says, tuple(tests.split()), targets, replace)
        return replace

    return register


def sabotages() -> dict[str, Careless]:
    """Return all sabotages by name."""
    from tests.faults import sabotages as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(_found)


class _Hook(importlib.abc.MetaPathFinder):
    """Applies a sabotage to modules as they are imported."""

    def __init__(self, sabotage: Careless) -> None:
        self._sabotage = sabotage

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._sabotage.modules:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return spec
        spec.loader = _Loader(spec.loader, self._sabotage)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, sabotage: Careless) -> None:
        self._loader = loader
        self._sabotage = sabotage

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._sabotage.apply(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # whoever asks for its source or its file


def install() -> None:
    """Make the sabotages that the environment names happen in this process."""
    for name in filter(None, os.environ.get(VARIABLE, "").split(AND)):
        sabotage = sabotages()[name]
        early = sabotage.modules & sys.modules.keys()
        if early:  # what others have imported from it by now would stay as it is
            raise ImportError(f"sabotages must import the program in their functions, not above: {early}")
        sys.meta_path.insert(0, _Hook(sabotage))
