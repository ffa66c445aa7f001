"""Gates: what a candidate must pass before it may fill its slot."""
