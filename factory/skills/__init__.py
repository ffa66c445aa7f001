"""Executable skills: typed functions that compute, say what they ask, and show their steps."""
