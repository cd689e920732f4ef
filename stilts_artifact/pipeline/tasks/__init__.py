"""What each kind of step does: the paper's phases, each one function from inputs to files."""
