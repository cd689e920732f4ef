"""Scales: one strict YAML file each, validated and frozen; the directory lists their names."""
