"""Upstream bytes: fetched, verified, read from archives, turned into typed examples and splits."""
