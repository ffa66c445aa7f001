"""The table contracts: what flows from stage to stage. Imports polars and pyarrow only."""
