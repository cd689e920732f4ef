"""A whole experiment as its author would add it: this file, one row, and expected values.

It asks how many words the English questions of the span tasks have, and counts them.
"""

from __future__ import annotations

from stilts_artifact import __version__
from stilts_artifact.benchmark.experiments import Experiment
from stilts_artifact.checking.results import RowRecord
from stilts_artifact.domain.cells import CellKey, Measurement
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Split
from stilts_artifact.experiments.session import Measured, Session
from stilts_artifact.forms import form_of

ROW = Experiment(
    name="example",
    title="Example",
    caption="Words of the questions that are asked in the source language",
    command="reproduce --experiment example",
    split=None,
    rows=lambda _: (),
    measured_by="tests.unit.experiments.example:measure",
)

EXPECTED = """\
experiment: example
benchmark: mini
citation: counted by hand
columns: {test: {tolerance: 0}}
sources: {count: counted by hand}
reasons: {}
cells:
  - {row: xquad, column: test, language: qen, value: VALUE, decimals: 0, source: count}
"""


def measure(session: Session) -> Measured:
    """One cell: the words of XQuAD's questions."""
    task, language = session.benchmark.tasks["xquad"], session.benchmark.source_language
    parts = task.parts[Split.TEST, language]
    sources = [session.benchmark.sources[part.source] for part in parts]
    errors = session.obtain(sources)
    examples = form_of(task).read(task, Split.TEST, language, session.library)
    words = sum(len(example.question.split()) for example in examples)
    signature = Signature(
        task=task.name,
        split="test",
        languages=(language,),
        metric="words",
        scale=session.scale.name,
        version=__version__,
    )
    cell = Measurement(CellKey(task.name, "test", language), words, None, signature.short())
    row = RowRecord(
        row=task.name,
        title=task.title,
        group=task.role,
        details={"kind": task.form, "licence": task.licence},
    )
    return Measured([row], [cell], session.library.used(), errors)
