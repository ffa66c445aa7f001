"""Selection: embeddings, clusters, and choices that cover them."""
