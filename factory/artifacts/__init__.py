"""Content-addressed artifacts: names and randomness (digest), the commit protocol (store), pure steps (stage)."""
