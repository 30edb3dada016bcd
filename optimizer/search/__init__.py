"""Many steps with evaluations, within a budget of task calls. Open `search` first, then `proposing` and `contest`."""
