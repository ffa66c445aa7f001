"""Curation: a dataset, ours or a user's, through gates and dedupe to a release, a reason for every row that leaves."""
