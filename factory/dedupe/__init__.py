"""Dedupe: greedy in a fixed order; a copy names the kept, earlier row it is a copy of."""
