"""The encoder: load and verify XLM-R, the heavy halves of the forms, and inference."""
