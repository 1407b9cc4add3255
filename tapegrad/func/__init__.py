"""Functions of functions, as `torch.func`: what differentiates, and what maps over batches."""

from .forward import jvp, linearize
from .jacobian import hessian, jacfwd, jacrev
from .reverse import grad, grad_and_value, vjp
from .vmap import vmap

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp", "vmap"]
