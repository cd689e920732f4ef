"""Frozen dataclasses that every other module speaks in."""
