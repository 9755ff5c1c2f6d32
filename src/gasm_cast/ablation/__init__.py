"""Studies: variants of a recipe over several seeds, and what each component is worth."""
