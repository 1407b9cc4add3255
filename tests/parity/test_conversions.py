"""Out of tensors and between dtypes: item, numpy, tolist, len, iteration, bool, int, float, index, format, devices."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases

CASES = """
torch.tensor(3).item(), torch.tensor(2.5).item(), torch.tensor(True).item(), torch.tensor(1 + 2j).item()
[type(torch.tensor(v).item()).__name__ for v in (3, 2.5, True, 1j)]
torch.tensor([[3]]).item()
t(2).item()
t(0).item()
leaf().item()
torch.tensor(2.5, dtype=torch.bfloat16).item()
torch.tensor(2.5, dtype=torch.float16).tolist()
t(2, 3).tolist()
torch.tensor(3).tolist()
torch.tensor([]).tolist(), torch.zeros(2, 0).tolist()
torch.tensor([1.5, 2.5], dtype=torch.bfloat16).tolist()
torch.tensor([True, False]).tolist(), torch.tensor([1j]).tolist()
leaf(2).tolist()
t(2, 3).numpy()
t(2, 3, dtype="int32").numpy()
leaf(2).numpy()
leaf(2).detach().numpy()
(leaf(2) * 2).numpy()
torch.tensor(3.0).numpy()
torch.tensor([1.5], dtype=torch.bfloat16).numpy() ## differs: NumPy has bfloat16 by ml_dtypes
np.asarray(t(2, 3))
np.array(t(2, 3), dtype=np.float32)
np.asarray(leaf(2))
x = t(3); n = np.asarray(x); n[0] = 5; x
x = t(3); n = np.array(x); n[0] = 5; x
np.sum(t(2, 3).numpy()), np.mean(np.asarray(t(2, 3)))
np.float64(t()) == float(t())
[float(v) for v in t(3)], [int(v) for v in t(3, dtype="int64")]
np.stack([t(3), t(3)])
len(t(2, 3)), len(t(0, 3))
len(t())
list(t()), 1 ## class
[x.shape for x in t(2, 3)]
for x in t(): pass
list(t(0, 3))
x, y = t(2, 3); (x, y)
bool(torch.tensor(0.0)), bool(torch.tensor([[1]])), bool(torch.tensor(nan)), bool(torch.tensor(False))
bool(t(2))
bool(t(0)) ## says: Boolean value of Tensor with no values is ambiguous
1 if torch.tensor(2.0) > 1 else 0
not torch.tensor(0)
torch.tensor([1]) and 5
int(torch.tensor(2.7)), int(torch.tensor([-2.7])), int(torch.tensor(True))
int(torch.tensor(nan)) ## class
int(torch.tensor(inf)) ## class
int(torch.tensor(1j)) ## class
int(t(2))
float(torch.tensor(2)), float(torch.tensor([2.5])), float(torch.tensor(True))
float(t(2))
float(torch.tensor(1j)) ## class
complex(torch.tensor(2.5)), complex(torch.tensor(1j)), complex(torch.tensor([3]))
float(leaf())
operator.index(torch.tensor(3)), operator.index(torch.tensor([3])), operator.index(torch.tensor(True))
operator.index(torch.tensor(3.0))
operator.index(torch.tensor([3, 4]))
[10, 20, 30][torch.tensor(1)]
list(range(torch.tensor(3)))
"abc"[torch.tensor(0):torch.tensor(2)]
math.sqrt(torch.tensor(4.0)), math.floor(torch.tensor(2.5)) ## class
round(2.5) == 2 and torch.tensor(2.5).round().item()
hash(x := t(2)) == id(x)
x = t(2); {x: 1}[x]
x = t(2); x in [x], x is x
f"{torch.tensor(2.5):.3f}", f"{torch.tensor(3)}", f"{torch.tensor(3):5d}"
f"{t(2)}"
f"{leaf()}"
f"{leaf():.2f}"
f"{t(2):.2f}"
"{}".format(torch.tensor(1.0)), "%.2f" % torch.tensor(1.0), "%d" % torch.tensor(3)
format(torch.tensor(True)), format(torch.tensor(1 + 2j))
str(t(2)), repr(leaf(2))
t(3) == t(3), (t(3) == t(3)).all().item()
torch.tensor(1.0) == 1.0, torch.tensor(1.0) is True
sorted([torch.tensor(3), torch.tensor(1)])
max(torch.tensor([1, 3, 2])), sum(torch.tensor([1, 3, 2]))
max(torch.tensor(1.0), 2.0), min(torch.tensor(1.0), 2.0)
sum([torch.tensor(1.0), torch.tensor(2.0)])
any(torch.tensor([False, True])), all(torch.tensor([1, 0]))
list(reversed(torch.tensor([1, 2, 3])))
torch.tensor([1, 2, 3]).__reversed__()
list(zip(torch.tensor([1, 2]), t(2)))
{**{"a": torch.tensor(1)}}
[*torch.tensor([1, 2])]
x = t(2, 3); x.shape[0], x.size(1), x.ndim, x.dim(), x.numel(), x.nelement(), x.element_size()
x = t(2, 3); x.shape == (2, 3), x.shape == torch.Size([2, 3]), isinstance(x.shape, tuple), x.shape.numel()
x = t(2, 3); x.shape[1:], x.shape + (4,), x.shape * 2
x = t(2, 3); x.dtype, x.dtype == torch.float64, x.dtype is torch.float64, str(x.dtype)
x = t(2, 3); x.is_floating_point(), x.is_complex()
torch.float32.is_floating_point, torch.int8.is_signed, torch.uint8.is_signed, torch.complex64.is_complex, torch.bool.is_signed
torch.float16.itemsize, torch.complex128.itemsize, torch.bfloat16.itemsize
torch.float == torch.float32, torch.double is torch.float64, torch.half is torch.float16, torch.int is torch.int32, torch.long is torch.int64
torch.short is torch.int16, torch.cfloat is torch.complex64, torch.cdouble is torch.complex128
[torch.promote_types(torch.uint8, torch.int8), torch.promote_types(torch.int64, torch.float16)]
torch.result_type(torch.tensor([1]), 2.5), torch.result_type(1, 2.5), torch.result_type(torch.tensor([1.0]), torch.tensor(1, dtype=torch.float64))
torch.can_cast(torch.float32, torch.int32), torch.can_cast(torch.int32, torch.float32)
t(2).to(torch.float32), t(2).to(torch.int64), t(2).to(torch.bool), t(2).to(torch.complex64)
t(2).to(dtype=torch.float32), t(2).to("cpu"), t(2).to("cpu", torch.float32), t(2).to(device="cpu", dtype=torch.float16)
t(2).to(torch.tensor(1)), t(2).type_as(torch.tensor(1.0))
x = t(2); x.to(torch.float64) is x, x.to(torch.float64, copy=True) is x, x.double() is x
x = t(2); x.cpu() is x, x.contiguous() is x
t(2).float(), t(2).double(), t(2).half(), t(2).bfloat16(), t(2).int(), t(2).long(), t(2).bool(), t(2).short(), t(2).char(), t(2).byte()
t(2).to("cuda:0") ## differs: a RuntimeError, whatever PyTorch was built with
t(2).to("other") ## class
t(2).cuda() ## differs: no such method
str(t(2).device)
torch.tensor([300.0, -1.0, 2.5]).to(torch.int32), torch.tensor([2.5, -2.5]).long()
torch.tensor([1.7, -1.7]).to(torch.int8), torch.tensor([True]).to(torch.float32)
torch.tensor([1 + 2j]).to(torch.float32) ## class
x = leaf(2); pull(x.to(torch.float32), x)
x = leaf(2); pull(x.to(torch.complex128), x)
x = leaf(2, dtype="float32"); pull(x.double() * t(2), x) ## unnamed
x = leaf(2, dtype="complex128"); pull(x.real.float(), x) ## unnamed
t(2).is_cuda, t(2).is_sparse, t(2).layout
t(2).foo ## class
t(2)._foo ## class
x = t(2); x.foo = 3; x.foo
torch.nothing ## class
x = t(2); del x.shape ## class
torch.set_default_dtype(torch.float64); r = torch.ones(2).dtype, torch.tensor(1.0), torch.tensor(1j).dtype, torch.arange(3.0).dtype, torch.get_default_dtype(); torch.set_default_dtype(torch.float32); r
torch.set_default_dtype(torch.float16); r = (torch.tensor([1]) / 2).dtype, torch.tensor([1]).exp().dtype, torch.tensor([1]) + 1.5; torch.set_default_dtype(torch.float32); r
"""


@pytest.mark.parametrize("case", cases(CASES))
def test_conversions(case: str) -> None:
    agree(case)
