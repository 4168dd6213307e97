"""Every public function of the theory says what it returns and shows it by an example that runs."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import simprune.theory

MODULES = sorted(module.name for module in pkgutil.iter_modules(simprune.theory.__path__))


@pytest.mark.parametrize("name", MODULES)
def test_public_functions_carry_an_example(name):
    module = importlib.import_module(f"simprune.theory.{name}")
    own = [
        (label, thing)
        for label, thing in vars(module).items()
        if not label.startswith("_") and callable(thing) and getattr(thing, "__module__", None) == module.__name__
    ]
    assert own
    for label, thing in own:
        assert inspect.getdoc(thing), f"{name}.{label} has no docstring"
        if not inspect.isclass(thing):
            assert doctest.DocTestParser().get_examples(inspect.getdoc(thing)), f"{name}.{label} shows no example"
