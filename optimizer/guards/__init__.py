"""What every rewrite must keep, checked in code."""
