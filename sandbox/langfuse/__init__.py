"""A Langfuse-compatible server on SQLite, for the demo, the tests and the benchmarks. It never leaves this machine."""
