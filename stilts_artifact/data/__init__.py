"""Upstream bytes: fetch and verify them, read named archive members, turn them into typed examples, prepare splits."""
