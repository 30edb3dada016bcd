"""Simulated users of a prompt under a simulated clock: who comes when, what they are shown, what they say of it."""
