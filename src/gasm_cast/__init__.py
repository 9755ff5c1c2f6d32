"""GASM-CAST: graph-aware semantic-motion cross-attention for video action recognition.

Importing the package imports nothing else; every room is imported by name,
for example ``from gasm_cast.models import build_model``.
"""

__version__ = "0.1.0"
