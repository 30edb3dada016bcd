"""From gradients to root causes: who says the same, and whether enough independent people do."""
