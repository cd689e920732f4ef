"""Scales: one strict YAML file each, loaded, validated and frozen; their names are the directory listing."""
