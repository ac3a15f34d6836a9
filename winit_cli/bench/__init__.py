"""What a trial-step costs, against the loops that people write."""
