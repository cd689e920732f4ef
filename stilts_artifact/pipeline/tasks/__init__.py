"""What each kind of step does: the paper's phases, each one function from inputs to files.

Right below a phase stands the function of its step: it takes a job, checks the job's parameters,
and translates them into one call of the phase. It holds no logic of its own.
"""

ENCODER = "encoder"
"""Folder of the checkpoint within the results of phases (i), (ii) and (iii)."""
REPORT = "report.json"
"""What a phase says of itself, beside what it made."""
DATA = "data"
"""Folders of a context whose names begin so hold data that was brought by hand."""


def encoder_folder(revision: str) -> str:
    """Name of the folder of a context that holds an encoder of phase (i)."""
    return f"{ENCODER}-{revision}"
