"""A step's key depends on every declared input and on nothing else."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts_artifact.errors import ConfigError
from stilts_artifact.pipeline.step import Graph, KeyedStep, KindSpec, Step

KINDS = {"prepare": KindSpec(1, "a:b"), "train": KindSpec(3, "a:c", needs_gpu=True)}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abc")
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz"), inner)
)
params = st.dictionaries(st.sampled_from(["task", "seed", "rate", "rows"]), values, min_size=1)


def key(step: Step, kinds: dict[str, KindSpec] = KINDS) -> str:
    return Graph([step], kinds).keyed(step).key


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in a plain value, containers included."""
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path] * bool(path) + [
        found for name, item in children for found in leaves(item, (*path, name))
    ]


def changed(value: Any, path: tuple[Any, ...]) -> Any:
    """A copy with one place replaced by something that occurs nowhere."""
    result = copy.deepcopy(value)
    place = result
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = "another value"
    return result


@pytest.mark.slow
@given(params)
def test_every_place_in_the_parameters_changes_the_key_by_itself(content: dict[str, Any]) -> None:
    variants = [content, *(changed(content, place) for place in leaves(content))]
    distinct = {repr(variant) for variant in variants}
    assert len(distinct) == len(variants)
    assert len({key(Step("prepare", variant)) for variant in variants}) == len(variants)


def test_kind_version_parameters_inputs_and_their_names_each_change_the_key() -> None:
    data, other = Step("prepare", {"task": "xnli"}), Step("prepare", {"task": "pawsx"})
    step = Step("train", {"seed": 1}, {"data": data})
    newer = {**KINDS, "prepare": KindSpec(2, "a:b")}
    keys = [
        key(step),
        key(Step("prepare", {"seed": 1}, {"data": data})),
        key(Step("train", {"seed": 2}, {"data": data})),
        key(Step("train", {"seed": 1}, {"data": other})),
        key(Step("train", {"seed": 1}, {"dev": data})),
        key(Step("train", {"seed": 1}, {"data": data, "dev": data})),
        key(Step("train", {"seed": 1})),
        key(step, {**KINDS, "train": KindSpec(4, "a:c", needs_gpu=True)}),
        key(step, newer),  # an input's code version reaches everything that rests on it
    ]
    assert len(set(keys)) == len(keys)


def test_where_the_code_lies_and_what_runs_it_do_not_change_the_key() -> None:
    step = Step("train", {"seed": 1})
    assert key(step, {**KINDS, "train": KindSpec(3, "elsewhere:f", needs_gpu=False)}) == key(step)


def test_key_is_frozen() -> None:
    """The keys of published stores must survive a change of this code."""
    data = Step("prepare", {"task": "xnli", "rows": None, "languages": ["qen", "qaa"]})
    step = Step("train", {"rate": 1e-5, "seed": 7, "mlm": True, "name": "é"}, {"data": data})
    assert key(data) == "3d02cdba947f09ff270e336dff61f65f38038de891aab99a22e0635204cfeca4"
    assert key(step) == "3191f61f017f5d8de76864008b5986a206cefb57274ba572334fbfb7e46ccacb"


@pytest.mark.slow
@given(params)
def test_order_of_parameters_does_not_matter(content: dict[str, Any]) -> None:
    assert key(Step("prepare", dict(reversed(content.items())))) == key(Step("prepare", content))


class Word(StrEnum):
    FIRST = "first"


def test_a_tuple_is_a_list_and_an_enumeration_its_text() -> None:
    assert Step("prepare", {"a": (1, 2), "b": Word.FIRST}) == Step(
        "prepare", {"a": [1, 2], "b": "first"}
    )


def test_true_is_not_one_and_one_is_not_a_float() -> None:
    assert len({key(Step("prepare", {"a": value})) for value in (True, 1, 1.0, "1")}) == 4


@pytest.mark.parametrize(
    "bad",
    [
        float("nan"),
        float("inf"),
        {1, 2},
        frozenset("a"),
        object(),
        b"x",
        {1: 2},
        "\ud800",
        ["a", [{"b": {3}}]],
        1j,
    ],
    ids=lambda bad: type(bad).__name__,
)
def test_what_json_cannot_hold_is_refused(bad: object) -> None:
    with pytest.raises(ConfigError, match="JSON cannot hold") as caught:
        Step("prepare", {"rows": bad})
    assert "params.rows" in str(caught.value)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "A", ".", "a b"])
def test_a_kind_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="unusable kind"):
        Step(name)


def test_a_step_cannot_be_changed_after_its_key_is_known() -> None:
    content = {"languages": ["qen"]}
    step = Step("prepare", content)
    before = key(step)
    content["languages"].append("qaa")
    with pytest.raises(TypeError):
        step.params["languages"] = []  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        step.kind = "train"  # type: ignore[misc]
    assert key(step) == before


def test_graph_holds_each_step_once_inputs_first() -> None:
    def data() -> Step:
        return Step("prepare", {"task": "xnli"})

    steps = [Step("train", {"seed": seed}, {"data": data(), "again": data()}) for seed in range(3)]
    graph = Graph([*steps, steps[0]], KINDS)
    assert [step.kind for step in graph.steps.values()] == ["prepare", "train", "train", "train"]
    assert graph.targets == tuple(graph.address(step) for step in steps)
    assert graph.users()[graph.address(data())] == list(graph.targets)
    assert graph.keyed(steps[1]).inputs == {
        "again": graph.address(data()),
        "data": graph.address(data()),
    }


def test_a_chain_longer_than_the_recursion_limit() -> None:
    step = Step("prepare")
    for number in range(3000):
        step = Step("train", {"number": number}, {"before": step})
    assert len(Graph([step], KINDS).steps) == 3001


def test_an_unknown_kind_is_named_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        Graph([Step("trian")], KINDS)


def test_a_node_travels_to_a_worker() -> None:
    step = Step("train", {"deep": {"list": [1, {"a": None}]}}, {"data": Step("prepare")})
    step = Graph([step], KINDS).keyed(step)
    assert pickle.loads(pickle.dumps(step)) == step
    assert isinstance(step, KeyedStep) and step.params == {"deep": {"list": [1, {"a": None}]}}
