"""autograd.functional: every function, flag and kind of argument, as PyTorch's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree_all, cases

# `x` and `y` are what is differentiated by, `w` a leaf and `c` a constant that functions capture. `seen` shows a result
# and the gradients of all its parts, where it has any; `summed` the same, with zeros for gradients that there are not:
# tangents that are constant have a graph in PyTorch, of zero derivatives.
SETUP = """
functional = torch.autograd.functional
w, c = leaf(3, seed=5), t(3, seed=6)
def flat(r): return [r] if isinstance(r, torch.Tensor) else [e for part in r for e in flat(part)]
def seen(r):
    parts = [part for part in flat(r) if part.requires_grad]
    return r, pull(parts, *[z for z in (x, y, w) if z.requires_grad])[1] if parts else "no graph"
def summed(r):
    parts, inputs = [part for part in flat(r) if part.requires_grad], [z for z in (x, y, w) if z.requires_grad]
    found = pull(parts, *inputs)[1] if parts else [None] * len(inputs)
    return [part.detach() for part in flat(r)], [torch.zeros_like(z) if g is None else g for g, z in zip(found, inputs)]
"""
LEAVES = "x, y = leaf(2, 3), leaf(3, seed=1)"
CONSTANTS = "x, y = t(2, 3), t(3, seed=1)"
MIXED = "x, y = leaf(2, 3), t(3, seed=1)"
COMPUTED = "x, y = leaf(2, 3) * 1, leaf(3, seed=1) * 1"

# function, and a vector of the size of its outputs
OF_ONE = """
lambda a: a.exp().sum(1) :: t(2)
lambda a: a ** 3 :: t(2, 3)
lambda a: a * 2 :: t(2, 3)
lambda a: a :: t(2, 3)
lambda a: a.T :: t(3, 2)
lambda a: a.detach() :: t(2, 3)
lambda a: a.sum() :: None
lambda a: (a * a).sum().reshape(1, 1) :: None
lambda a: (a * a).sum() :: t()
lambda a: (a ** 3, a.sum()) :: (t(2, 3), t(seed=2))
lambda a: (a.sin(),) :: (t(2, 3),)
lambda a: ((a * a).sum(),) :: None
lambda a: (a * 2, c) :: (t(2, 3), t(3))
lambda a: (c, a * a) :: (t(3), t(2, 3))
lambda a: (a.exp(), w) :: (t(2, 3), t(3))
lambda a: (a.exp(), a.exp()) :: (t(2, 3), t(2, 3, seed=1))
lambda a: w * 2 :: t(3)
lambda a: c :: t(3)
lambda a: a * w :: t(2, 3)
lambda a: a * x :: t(2, 3)
lambda a: a * x * y :: t(2, 3)
lambda a: a.view(3, 2) @ a :: t(3, 3)
lambda a: a.to(torch.float32) ** 2 :: t(2, 3, dtype="float32")
lambda a: torch.maximum(a, a * 2) :: t(2, 3)
lambda a: a[0] * a[1, 1] :: t(3)
"""
OF_TWO = """
lambda a, b: a * b :: t(2, 3)
lambda a, b: (a * a, b.exp()) :: (t(2, 3), t(3))
lambda a, b: (a * b, a.sum(), b ** 3) :: (t(2, 3), t(), t(3))
lambda a, b: a + b :: t(2, 3)
lambda a, b: 2 * a + b * b :: t(2, 3)
lambda a, b: a.exp() :: t(2, 3)
lambda a, b: b ** 3 :: t(3)
lambda a, b: (a @ b).sum() :: None
lambda a, b: (a.exp() @ b, c) :: (t(2), t(3))
lambda a, b: (b.exp(), w * 2) :: (t(3), t(3))
lambda a, b: w :: t(3)
lambda a, b: c :: t(3)
lambda a, b: (a.detach() * b).exp() :: t(2, 3)
lambda a, b: a * x + b * y :: t(2, 3)
"""
SCALARS_OF_ONE = """
lambda a: (a ** 3).sum()
lambda a: a.exp().sum().reshape(1, 1)
lambda a: (a.sin().sum(0) * w).sum()
lambda a: a.sum()
lambda a: (a * x).sum()
lambda a: (a * a * x * y).sum()
lambda a: (a * a).sum()
lambda a: w.sum()
lambda a: (w * w).sum()
lambda a: c.sum()
lambda a: a.detach().sum()
lambda a: ((a ** 3).sum(),)
lambda a: ((a ** 3).sum(), a.sum())
lambda a: a ** 3
lambda a: a.sum(1)
lambda a: a.sum().item()
lambda a: [a.sum()]
lambda a: None
"""
SCALARS_OF_TWO = """
lambda a, b: ((a * b) ** 2).sum()
lambda a, b: (a @ b).sum()
lambda a, b: (a ** 3).sum() + (b ** 3).sum()
lambda a, b: (a ** 3).sum() + b.sum()
lambda a, b: (a ** 3).sum()
lambda a, b: b.exp().sum() * w.sum()
lambda a, b: a.sum() + b.sum()
lambda a, b: (a.detach() * b ** 2).sum()
lambda a, b: (w ** 2).sum()
lambda a, b: c.sum()
lambda a, b: (a.sum(), b.sum())
lambda a, b: a * b
"""


every_kind = pytest.mark.parametrize(
    "tensors", [LEAVES, CONSTANTS, MIXED, COMPUTED], ids=["leaves", "constants", "mixed", "computed"]
)


def table(text: str) -> list[tuple[str, str]]:
    return [tuple(part.strip() for part in line.partition("::")[::2]) for line in cases(text)]  # type: ignore[misc]


def flags(*names: str) -> Iterator[str]:
    """Every choice of the flags, as arguments."""
    for values in itertools.product((False, True), repeat=len(names)):
        yield ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


def case(tensors: str, call: str, notes: str = "", shown: str = "seen") -> str:
    named = "" if "create_graph=True" not in call else "unnamed"
    trailer = " | ".join(note for note in (named, notes) if note)
    return f"{SETUP}{tensors}\n{shown}(functional.{call})" + (f" ## {trailer}" if trailer else "")


@every_kind
@pytest.mark.parametrize("name", ["vjp", "jvp"])
def test_products_with_the_jacobian(name: str, tensors: str) -> None:
    many = []
    for text, inputs, v in (OF_ONE, "x", "t(2, 3, seed=3)"), (OF_TWO, "(x, y)", "(t(2, 3, seed=3), t(3, seed=4))"):
        for (func, out), chosen in itertools.product(table(text), flags("create_graph", "strict")):
            many.append(case(tensors, f"{name}({func}, {inputs}, {out if name == 'vjp' else v}, {chosen})"))
    agree_all(many)


@every_kind
@pytest.mark.parametrize("name", ["vhp", "hvp"])
def test_products_with_the_hessian(name: str, tensors: str) -> None:
    many = []
    for text, inputs, v in (
        (SCALARS_OF_ONE, "x", "t(2, 3, seed=3)"),
        (SCALARS_OF_TWO, "(x, y)", "(t(2, 3, seed=3), t(3, seed=4))"),
    ):
        for func, chosen in itertools.product(cases(text), flags("create_graph", "strict")):
            many.append(case(tensors, f"{name}({func}, {inputs}, {v}, {chosen})"))
    agree_all(many)


@every_kind
def test_jacobian_row_by_row(tensors: str) -> None:
    agree_all(
        case(tensors, f"jacobian({func}, {inputs}, {chosen})")
        for text, inputs in ((OF_ONE, "x"), (OF_TWO, "(x, y)"))
        for (func, _), chosen in itertools.product(table(text), flags("create_graph", "strict"))
    )


@every_kind
def test_hessian_row_by_row(tensors: str) -> None:
    agree_all(
        case(tensors, f"hessian({func}, {inputs}, {chosen})")
        for text, inputs in ((SCALARS_OF_ONE, "x"), (SCALARS_OF_TWO, "(x, y)"))
        for func, chosen in itertools.product(cases(text), flags("create_graph", "strict"))
    )


@every_kind
def test_jacobian_of_all_rows_at_once(tensors: str) -> None:
    agree_all(
        case(tensors, f"jacobian({func}, {inputs}, {chosen}, vectorize=True)")
        for text, inputs in ((OF_ONE, "x"), (OF_TWO, "(x, y)"))
        for (func, _), chosen in itertools.product(table(text), flags("create_graph"))
    )


@every_kind
def test_hessian_of_all_rows_at_once(tensors: str) -> None:
    agree_all(
        case(tensors, f"hessian({func}, {inputs}, {chosen}, vectorize=True)")
        for text, inputs in ((SCALARS_OF_ONE, "x"), (SCALARS_OF_TWO, "(x, y)"))
        for func, chosen in itertools.product(cases(text), flags("create_graph"))
    )


@every_kind
def test_jacobian_in_forward_mode(tensors: str) -> None:
    agree_all(
        case(tensors, f'jacobian({func}, {inputs}, vectorize=True, strategy="forward-mode")', shown="summed")
        for text, inputs in ((OF_ONE, "x"), (OF_TWO, "(x, y)"))
        for func, _ in table(text)
    )


@every_kind
def test_hessian_forward_over_reverse(tensors: str) -> None:
    agree_all(
        case(
            tensors,
            f'hessian({func}, {inputs}, vectorize=True, outer_jacobian_strategy="forward-mode")',
            shown="summed",
        )
        for text, inputs in ((SCALARS_OF_ONE, "x"), (SCALARS_OF_TWO, "(x, y)"))
        for func in cases(text)
    )


VECTORS = """
vjp(lambda a: a * 2, x)
vjp(lambda a: a * 2, x, None)
vjp(lambda a: (a.sum(), a.sum()), x)
vjp(lambda a: a * 2, x, t(3, 2))
vjp(lambda a: a * 2, x, t(6))
vjp(lambda a: a * 2, x, t())
vjp(lambda a: a * 2, x, (t(2, 3),))
vjp(lambda a: a * 2, x, (t(2, 3), t(2, 3)))
vjp(lambda a: a * 2, x, ())
vjp(lambda a: a * 2, x, [t(2, 3)])
vjp(lambda a: a * 2, x, 1.0)
vjp(lambda a: a.sum(), x, 1.0)
vjp(lambda a: (a * 2, a.sum()), x, t(2, 3))
vjp(lambda a: (a * 2, a.sum()), x, (t(2, 3),))
vjp(lambda a: (a * 2, a.sum()), x, (t(2, 3), 1.0))
vjp(lambda a: (a * 2, a.sum()), x, (t(2, 3), t(1)))
vjp(lambda a: (a * 2, a.sum()), x, (t(2), t(1)))
vjp(lambda a: (a * 2, a.sum()), x, [t(2, 3), t()])
vjp(lambda a: (a * 2,), x, t(2, 3))
vjp(lambda a: (a * 2,), x, t(2))
vjp(lambda a: a * 2, x, t(2, 3, dtype="float32"))
vjp(lambda a: a * 2, x, t(2, 3, dtype="int64"))
vjp(lambda a: a * 2, x, t(2, 3, dtype="complex128"))
vjp(lambda a: a * 2, x, np.ones((2, 3)))
vjp(lambda a: a ** 3, x, leaf(2, 3))
vjp(lambda a: a ** 3, x, x)
vjp(lambda a: a ** 3, x, x, create_graph=True)
vjp(lambda a: a * w, x, torch.stack([w, w]), create_graph=True)
jvp(lambda a: a * 2, x)
jvp(lambda a: a * 2, x, None)
jvp(lambda a: a * 2, x[:1, :1])
jvp(lambda a: a * 2, (x[:1, :1],))
jvp(lambda a: a * 2, x, t(3, 2))
jvp(lambda a: a * 2, x, t())
jvp(lambda a: a * 2, x, (t(2, 3),))
jvp(lambda a: a * 2, x, (t(2, 3), t(3)))
jvp(lambda a: a * 2, x, [t(2, 3)])
jvp(lambda a: a * 2, x, 1.0)
jvp(lambda a, b: a * b, (x, y))
jvp(lambda a, b: a * b, (x, y), t(2, 3))
jvp(lambda a, b: a * b, (x, y), (t(2, 3),))
jvp(lambda a, b: a * b, (x, y), (t(2, 3), t(2, 3)))
jvp(lambda a, b: a * b, (x, y), (t(2, 3), None))
jvp(lambda a, b: a * b, (x, y), (t(2, 3), t(3), t(3)))
jvp(lambda a: a ** 3, x, t(2, 3, dtype="float32"))
jvp(lambda a: a ** 3, x, t(2, 3, dtype="int64"))
jvp(lambda a: a ** 3, x, t(2, 3, dtype="complex128"))
jvp(lambda a: a ** 3, x, x)
jvp(lambda a: a ** 3, x, x, create_graph=True)
jvp(lambda a: a ** 3, x, t(2, 3), True)
jvp(lambda a: a ** 3, x, t(2, 3), True, True)
vhp(lambda a: (a ** 3).sum(), x)
vhp(lambda a: a ** 3, x[0, 0])
vhp(lambda a: a ** 3, x[:1, 0])
vhp(lambda a: (a ** 3).sum(), x, t(3, 2))
vhp(lambda a: (a ** 3).sum(), x, (t(2, 3),))
vhp(lambda a: (a ** 3).sum(), x, (t(2, 3), t(2)))
vhp(lambda a: (a ** 3).sum(), x, 2.0)
vhp(lambda a, b: (a * b).sum(), (x, y))
vhp(lambda a, b: (a * b).sum(), (x, y), t(2, 3))
vhp(lambda a, b: (a * b).sum(), (x, y), (t(2, 3), t(2, 3)))
vhp(lambda a: (a ** 3).sum(), x, x, create_graph=True)
hvp(lambda a: (a ** 3).sum(), x)
hvp(lambda a: a ** 3, x[0, 0])
hvp(lambda a: a ** 3, x[:1, 0])
hvp(lambda a: (a ** 3).sum(), x, t(3, 2))
hvp(lambda a: (a ** 3).sum(), x, (t(2, 3),))
hvp(lambda a: (a ** 3).sum(), x, (t(2, 3), t(2)))
hvp(lambda a: (a ** 3).sum(), x, 2.0)
hvp(lambda a, b: (a * b).sum(), (x, y))
hvp(lambda a, b: (a * b).sum(), (x, y), t(2, 3))
hvp(lambda a, b: (a * b).sum(), (x, y), (t(2, 3), t(2, 3)))
hvp(lambda a: (a ** 3).sum(), x, x, create_graph=True)
"""

ARGUMENTS = """
{name}(lambda a: a.sum(), 3{v})
{name}(lambda a: a.sum(), None{v})
{name}(lambda a: a.sum(), [x]{v})
{name}(lambda a, b: a.sum(), [x, y]{v})
{name}(lambda a, b: a.sum(), (x, 3){v})
{name}(lambda a, b: a.sum(), (None, x){v})
{name}(lambda a: a.sum(), np.ones(3){v})
{name}(lambda a: a.sum(), t(2, 3, dtype="int64"){v})
{name}(lambda a: a.sum(), t(2, 3, dtype="bool"){v})
{name}(lambda a: 3, x{v})
{name}(lambda a: None, x{v})
{name}(lambda a: [a.sum()], x{v})
{name}(lambda a: (a.sum(), 3), x{v})
{name}(lambda a: (3, a.sum()), x{v})
{name}(lambda a: {{"out": a.sum()}}, x{v})
{name}(lambda a, b: a, x{v}) ## class
{name}(lambda a: a, (x, y){v}) ## class
{name}(lambda a: 1 / 0, x{v})
{name}(lambda a: a.argmax(), x{v})
{name}(lambda a: a.sum().to(torch.int64), x{v})
{name}(lambda a: (a.sum(), a.argmax()), x{v})
"""

STRATEGIES = """
jacobian(lambda a: a, x, strategy="forward")
jacobian(lambda a: a, 3, strategy="forward")
jacobian(lambda a: a, x, strategy=None)
jacobian(lambda a: a, x, strategy="forward-mode")
jacobian(lambda a: a, 3, strategy="forward-mode")
jacobian(lambda a: a, x, True, strategy="forward-mode")
jacobian(lambda a: a, x, True, True, True, strategy="forward-mode")
jacobian(lambda a: a, x, strict=True, strategy="forward-mode")
jacobian(lambda a: a, x, strict=True, vectorize=True, strategy="forward-mode")
jacobian(lambda a: a, x, strict=True, vectorize=True)
jacobian(lambda a: c, x, strict=True, vectorize=True)
jacobian(lambda a: 3, x, strict=True, vectorize=True)
jacobian(lambda a: a ** 2, x, False, False, False, "reverse-mode")
hessian(lambda a: a.sum(), x, outer_jacobian_strategy="forward")
hessian(lambda a: a.sum(), 3, outer_jacobian_strategy="forward")
hessian(lambda a: a.sum(), x, outer_jacobian_strategy="forward-mode")
hessian(lambda a: a.sum(), x, create_graph=True, outer_jacobian_strategy="forward-mode")
hessian(lambda a: a.sum(), x, strict=True, outer_jacobian_strategy="forward-mode")
hessian(lambda a: (a ** 3).sum(), x, strict=True, vectorize=True)
hessian(lambda a: a.sum(), x, strict=True, vectorize=True)
hessian(lambda a: (a ** 3).sum(), x, False, False, False, "reverse-mode")
"""


def noted(line: str) -> tuple[str, str]:
    call, _, notes = line.partition(" ## ")
    return call, notes


def test_the_vector() -> None:
    agree_all(case(tensors, *noted(line)) for tensors in (LEAVES, CONSTANTS) for line in cases(VECTORS))


@pytest.mark.parametrize("name", ["vjp", "jvp", "jacobian", "hessian", "hvp", "vhp"])
def test_arguments_that_are_no_tensors_and_results_that_are_none(name: str) -> None:
    vectors = [""] if name in ("jacobian", "hessian") else ["", ", x", ", ()"]
    lines = [line.format(name=name, v=v) for line in cases(ARGUMENTS) for v in vectors]
    agree_all(case(LEAVES, *noted(line)) for line in lines)


def test_strategies_and_what_they_cannot_be_combined_with() -> None:
    agree_all(case(LEAVES, *noted(line)) for line in cases(STRATEGIES))


# What the function sees, and what calling it leaves behind
BEHAVIOUR = """
log = []; functional.vjp(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x, torch.is_grad_enabled())), a.sum())[1], x); log
log = []; functional.vjp(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x, a.grad_fn.name())), a.sum())[1], x, create_graph=True); log
log = []; functional.jvp(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x)), a.sum())[1], x, x); log
log = []; functional.jacobian(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x)), a * a)[1], x); log
log = []; functional.hessian(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x)), (a * a).sum())[1], x); log
log = []; functional.hvp(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x)), (a * a).sum())[1], x, x); log
functional.vjp(lambda a: a.sum(), x); x.grad
functional.vjp(lambda a: (a * w).sum(), x); w.grad
functional.hvp(lambda a: (a * w).exp().sum(), x, x); x.grad, w.grad
functional.jacobian(lambda a: a * w, x, create_graph=True); x.grad, w.grad
torch.set_grad_enabled(False); seen(functional.vjp(lambda a: a ** 3, x, x)), torch.is_grad_enabled()
torch.set_grad_enabled(False); seen(functional.vjp(lambda a: a ** 3, x, x, create_graph=True)) ## unnamed
torch.set_grad_enabled(False); seen(functional.jvp(lambda a: a ** 3, x, x)), torch.is_grad_enabled()
torch.set_grad_enabled(False); seen(functional.jvp(lambda a: a ** 3, x, x, create_graph=True)) ## unnamed
torch.set_grad_enabled(False); seen(functional.jacobian(lambda a: a ** 3, x, create_graph=True)) ## unnamed
torch.set_grad_enabled(False); seen(functional.hessian(lambda a: (a ** 3).sum(), x, create_graph=True)) ## unnamed
torch.set_grad_enabled(False); seen(functional.vhp(lambda a: (a ** 3).sum(), x, x, create_graph=True)) ## unnamed
torch.set_grad_enabled(False); seen(functional.hvp(lambda a: (a ** 3).sum(), x, x, create_graph=True)) ## unnamed
torch.set_grad_enabled(False); caught(functional.vjp, lambda a: 1 / 0, x), torch.is_grad_enabled()
out, g = functional.vjp(lambda a: a, x, x); out.requires_grad, g.requires_grad, out.is_leaf, g.is_leaf
out, g = functional.vjp(lambda a: a, x, t(2, 3)); out.data_ptr() == x.data_ptr() if hasattr(out, "data_ptr") else True
seen(functional.vjp(lambda a: a.mul_(2), x * 1, x))
seen(functional.vjp(lambda a: (a * 1).mul_(a), x, x))
seen(functional.jacobian(lambda a: (a * 1).mul_(a), x))
seen(functional.jacobian(lambda a: a * x, x, create_graph=True)) ## unnamed
torch.set_grad_enabled(False); seen(functional.jacobian(lambda a: a ** 3, x, vectorize=True))
torch.set_grad_enabled(False); seen(functional.jacobian(lambda a: a ** 3, x, vectorize=True, create_graph=True)) ## unnamed
torch.set_grad_enabled(False); seen(functional.jacobian(lambda a: a ** 3, x, vectorize=True, strategy="forward-mode"))
torch.set_grad_enabled(False); functional.hessian(lambda a: (a ** 3).sum(), x, vectorize=True, outer_jacobian_strategy="forward-mode").detach()
torch.set_grad_enabled(False); functional.hessian(lambda a: (a ** 3).sum(), x, vectorize=True, outer_jacobian_strategy="forward-mode") ## differs: PyTorch's says that it requires grad, but has no graph
log = []; functional.jacobian(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x, a.shape)), a * a)[1], x, vectorize=True); log
log = []; functional.jacobian(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x, a.shape)), a * a)[1], x, vectorize=True, strategy="forward-mode"); log
log = []; functional.hessian(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x, a.shape)), (a * a).sum())[1], y, vectorize=True); log
log = []; functional.hessian(lambda a: (log.append((a.requires_grad, a.is_leaf, a is x, a.shape)), (a * a).sum())[1], y, vectorize=True, outer_jacobian_strategy="forward-mode"); log
functional.jacobian(lambda a: a, t(2, dtype="int64"), vectorize=True)
functional.jacobian(lambda a: a, t(2, dtype="int64"), vectorize=True, strategy="forward-mode")
functional.hessian(lambda a: a.sum(), t(2, dtype="int64"), vectorize=True)
functional.hessian(lambda a: a.sum(), t(2, dtype="int64"), vectorize=True, outer_jacobian_strategy="forward-mode")
functional.jacobian(lambda a: 3, x, vectorize=True, strategy="forward-mode")
functional.jacobian(lambda a: (a, 3), x, vectorize=True, strategy="forward-mode")
functional.jacobian(lambda a: [a], x, vectorize=True, strategy="forward-mode")
functional.jacobian(lambda a: (), x, vectorize=True, strategy="forward-mode")
functional.jacobian(lambda a: (a * 2, a.argmax(), c), x, vectorize=True)
functional.jacobian(lambda a: (a * 2, a.argmax(), c), x.detach(), vectorize=True, strategy="forward-mode")
functional.jacobian(lambda a: a ** 3, x, vectorize=True, strategy="forward-mode") ## unnamed
functional.jacobian(lambda a: a * a, t(2, dtype="complex128"), vectorize=True) ## unnamed
functional.jacobian(lambda a: a * a, t(2, dtype="complex128"), vectorize=True, strategy="forward-mode") ## unnamed
functional.jacobian(lambda a: a.abs(), t(2, dtype="complex128"), vectorize=True)
functional.jacobian(lambda a: (a * a, a.abs()), t(2, dtype="complex128"), vectorize=True) ## unnamed
functional.jacobian(lambda a: (a.to(torch.float32) * 2, a ** 2), t(2), vectorize=True)
functional.jacobian(lambda a, b: (a * b, a.abs()), (t(2, dtype="complex128"), t(2)), vectorize=True) ## unnamed
functional.jacobian(lambda a, b: (a * b, a.abs()), (t(2, dtype="complex128"), t(2)), vectorize=True, strategy="forward-mode") ## unnamed
functional.jacobian(lambda a: a.abs(), t(2, dtype="complex128"), vectorize=True, strategy="forward-mode")
functional.jacobian(lambda a: a * 2, t(0), vectorize=True) ## differs: PyTorch has no batches of nothing
functional.jacobian(lambda a: a.sum(), t(0, 3), vectorize=True)
functional.jacobian(lambda a: a * 2, t(), vectorize=True), functional.jacobian(lambda a: a * 2, t(), vectorize=True, strategy="forward-mode")
functional.jacobian(lambda a: a.to(torch.float32), t(2), vectorize=True), functional.jacobian(lambda a: a.to(torch.float32), t(2), vectorize=True, strategy="forward-mode")
functional.vjp(lambda a: a.sum(), x, v=None, create_graph=False, strict=False)
functional.vjp(func=lambda a: a.sum(), inputs=x)
functional.jvp(func=lambda a: a.sum(), inputs=x, v=x, create_graph=False, strict=False)
functional.jacobian(func=lambda a: a.sum(), inputs=x, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode")
functional.hessian(func=lambda a: a.sum(), inputs=x, create_graph=False, strict=False, vectorize=False, outer_jacobian_strategy="reverse-mode")
functional.vhp(func=lambda a: a.sum(), inputs=x, v=x, create_graph=False, strict=False)
functional.hvp(func=lambda a: a.sum(), inputs=x, v=x, create_graph=False, strict=False)
functional.jacobian(lambda a: a[:0], x)
functional.jacobian(lambda a: a.sum(), t(0, 3))
functional.jacobian(lambda a: a * 2, t())
functional.jacobian(lambda a: a.sum(), t(2, dtype="float32")), functional.jacobian(lambda a: a.to(torch.float32), t(2))
functional.jacobian(lambda a: a.real * 2, t(2, dtype="complex128"))
functional.jacobian(lambda a: (a * a.conj()).real, t(2, dtype="complex128"))
functional.jacobian(lambda a: a * a, t(2, dtype="complex128"))
functional.vjp(lambda a: a * a, t(2, dtype="complex128"), t(2, dtype="complex128", seed=1))
functional.jvp(lambda a: a * a, t(2, dtype="complex128"), t(2, dtype="complex128", seed=1))
functional.vjp(lambda a: a.abs(), t(2, dtype="complex128"), t(2))
functional.jvp(lambda a: a.abs(), t(2, dtype="complex128"), t(2, dtype="complex128", seed=1))
functional.hvp(lambda a: (a * a.conj() * a.real).real.sum(), t(2, dtype="complex128"), t(2, dtype="complex128", seed=1))
functional.vhp(lambda a: (a * a.conj() * a.real).real.sum(), t(2, dtype="complex128"), t(2, dtype="complex128", seed=1))
functional.vjp(lambda: w.sum(), ())
functional.vjp(lambda: c, (), t(3)) ## differs: without inputs there is nothing to do; PyTorch fails on its own empty tuple
functional.vjp(lambda a: (), x, ()) ## differs: as above, without outputs
functional.jacobian(lambda: w, ())
functional.jacobian(lambda a: (), x) ## differs: as above
functional.hessian(lambda: w.sum(), ())
functional.hvp(lambda: w.sum(), (), ())
functional.vjp(lambda a: (jac := functional.jacobian(lambda b: b ** 3, a, create_graph=True)).sum(), x)
functional.jacobian(lambda a: functional.vjp(lambda b: b ** 3, a, a, create_graph=True)[1], x)
functional.jacobian(lambda a: functional.hessian(lambda b: (b ** 4).sum(), a, create_graph=True), y)
functional.hessian(lambda a: functional.hvp(lambda b: (b ** 4).sum(), a, y, create_graph=True)[1].sum(), y)
"""


@pytest.mark.parametrize("line", cases(BEHAVIOUR))
def test_behaviour(line: str) -> None:
    code, notes = noted(line)
    agree_all([f"{SETUP}{LEAVES}\n{code}" + (f" ## {notes}" if notes else "")])
