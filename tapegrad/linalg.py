"""Linear algebra, as `torch.linalg`: norms so far."""

from .ops.norms import vector_norm

__all__ = ["vector_norm"]
