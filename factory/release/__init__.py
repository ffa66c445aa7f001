"""Releases: immutable folders with data, card, manifest and scorer; published to folders and Hubs."""
