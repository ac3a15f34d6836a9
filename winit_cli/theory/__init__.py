"""What mathematics says before anything is trained: activations, gains, moments, mean-field maps."""
