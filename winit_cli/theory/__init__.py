"""What mathematics says before anything is trained: activations, gains, expected moments."""
