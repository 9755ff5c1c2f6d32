"""Phase 1 at scale: videos -> backbones -> feature store."""
