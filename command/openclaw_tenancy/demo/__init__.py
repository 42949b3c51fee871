"""`make demo`: the product shown on one machine, with a local stand-in for the language model."""
