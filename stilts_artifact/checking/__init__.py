"""Expected values, measured values, and the verdict on the two.

Imports no model, training or table code: a stranger recomputes every verdict from the results file
alone.
"""
