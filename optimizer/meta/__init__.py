"""The meta-prompts, one file each, with their versions."""
