"""The paper's phases, each one function from inputs to files."""
