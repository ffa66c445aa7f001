"""Recipes: one published method a file. They differ in how they draw the tree and how they say it."""
