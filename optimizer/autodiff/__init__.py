"""Automatic differentiation through text: a graph of variables, computed and criticised by language models."""
