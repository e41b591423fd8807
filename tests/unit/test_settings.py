"""The settings' one table: grouped and flat forms, texts and structures, and all that follows from a line of it."""

import argparse
import dataclasses
import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from blockcore.commands.arguments import add_settings, settings_of
from blockcore.errors import SettingsError
from blockcore.model import settings as module
from blockcore.model.settings import (
    SETTINGS,
    Group,
    OptimizeSettings,
    Rules,
    Search,
    documentation,
    setting,
    settings_in,
)

ROOT = Path(__file__).parents[2]
RULES = [
    ("limits", "Stone = 100, Plank = 20", {"Stone": 100, "Plank": 20}),
    ("limits", '"minecraft:oak_log[axis=x]" = 3', {"minecraft:oak_log[axis=x]": 3}),
    ("seams", "Grass/Dirt = 0.2", {("Grass", "Dirt"): 0.2}),
    ("allowed", "Stone, Plank; roof: Snow", {"all": ("Stone", "Plank"), "roof": ("Snow",)}),
    ("allowed", '"a: b": "minecraft:stone"', {"a: b": ("minecraft:stone",)}),
    ("locked", "floor, wall", ("floor", "wall")),
]


@pytest.mark.parametrize(("name", "text", "structure"), RULES)
def test_a_rule_is_text_or_a_structure(name, text, structure):
    by_text, by_structure = OptimizeSettings(**{name: text}), OptimizeSettings(rules=Rules(**{name: structure}))
    assert getattr(by_text.rules, name) == structure
    assert by_text == by_structure
    assert by_structure.to_dict()[name] == text
    assert OptimizeSettings.from_dict(by_text.to_dict()) == by_text


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits": {"Stone": -1}},
        {"limits": "Stone = 1.5"},
        {"limits": ["Stone"]},
        {"seams": {("Stone", "Stone"): 1.0}},
        {"seams": "Grass/Dirt/Stone = 1"},
        {"allowed": {"roof": "Stone"}},
        {"allowed": {"roof": ()}},
        {"locked": [3]},
        {"locked": None},
        {"method": ["auto"]},
        {"loss": 3},
        {"rules": Search()},
    ],
    ids=str,
)
def test_what_is_malformed_is_one_line_that_names_it(wrong):
    with pytest.raises(SettingsError) as caught:
        OptimizeSettings(**wrong)
    assert next(iter(wrong)) in str(caught.value) and "\n" not in str(caught.value)


def test_groups_and_single_settings_make_the_same():
    flat = OptimizeSettings(method="gradient", steps=7, limits="Stone = 3")
    assert flat == OptimizeSettings(search=Search(method="gradient", steps=7), rules=Rules(limits={"Stone": 3}))
    assert replace(flat, steps=8).search == Search(method="gradient", steps=8)
    assert flat.steps == flat.search.steps == 7
    assert pickle.loads(pickle.dumps(flat)) == flat
    with pytest.raises(dataclasses.FrozenInstanceError):
        flat.search.steps = 3  # type: ignore[misc]
    with pytest.raises(AttributeError, match="stepz"):
        _ = flat.stepz


@dataclass(frozen=True)
class Longer(Search):
    """The search with a setting more."""

    rest: int = setting(5, "steps to rest", "Rest", "How long to rest", bounds=(0, 9))


def test_a_setting_is_one_line(monkeypatch):
    """Default, bounds, option, JSON, documentation and words for the panel all follow from the line above."""
    entries = {entry.name: entry for entry in settings_in(Longer, "search")}
    monkeypatch.setitem(module._GROUPS, "search", Longer)
    monkeypatch.setitem(SETTINGS, "rest", entries["rest"])
    parser = argparse.ArgumentParser()
    add_settings(parser)
    given = settings_of(parser.parse_args(["--rest", "7"]))
    assert given.search.rest == 7
    assert OptimizeSettings.from_dict(given.to_dict()) == given
    assert "`--rest` | `5` | 0 to 9 | steps to rest" in documentation()
    assert entries["rest"].label == "Rest"
    with pytest.raises(SettingsError, match="rest 10 must be a whole number from 0 to 9"):
        OptimizeSettings(rest=10)


def test_every_setting_has_words_for_people():
    for entry in SETTINGS.values():
        assert entry.help and entry.label and entry.description
        assert all(label and words for label, words in entry.choices.values())
        assert entry.checked(entry.default) == entry.default


def test_the_documentation_is_the_table():
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8").endswith("\n" + documentation())


def test_groups_are_told_apart():
    assert {entry.group for entry in SETTINGS.values()} == set(module.TITLES)
    assert issubclass(Search, Group)
