"""Prompts as documents: addressable lines and sections, typed edits, merging, blame."""
