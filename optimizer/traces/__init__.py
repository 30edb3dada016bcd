"""What production recorded: complaints as text losses, and recorded inputs as cases."""
