"""The training loop and its checkpoints; the engine that moves the weights is passed in."""
