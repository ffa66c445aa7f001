"""Language skills: what a name, a definition and illustrations make a model understand."""
