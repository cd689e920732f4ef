"""How each table's cells are measured."""
