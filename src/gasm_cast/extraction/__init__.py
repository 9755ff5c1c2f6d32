"""Videos -> backbones -> feature store: phase 1 of docs/method.md, at scale."""
