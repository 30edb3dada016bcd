"""A simulated language model with hidden rules, behind an OpenAI-compatible server."""
