"""The command line: one thin file per command group; main.py says which command is where."""
