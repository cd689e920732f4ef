"""The encoder: load and verify XLM-R, turn examples into features, batch them, and the heads on top."""
