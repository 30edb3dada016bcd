"""What a candidate must not give away or give up: attacks, refusals, the guard's rules, answers learned by heart."""
