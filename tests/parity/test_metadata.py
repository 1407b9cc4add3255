"""Devices, layouts, memory formats, flags, limits of dtypes, `new_*`, generators: what tensors say of themselves."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases

DEVICES = """
torch.device("cpu"), torch.device("cpu:0"), torch.device("cpu", 0), torch.device(torch.device("cpu")), torch.device("cuda:3")
[repr(d) for d in (torch.device("cpu"), torch.device("cpu:0"), torch.device("cuda", 2), torch.device("meta"), torch.device(type="cpu"), torch.device(type="cpu", index=0), torch.device("cpu", None), torch.device(device="cpu"))]
[str(d) for d in (torch.device("cpu"), torch.device("cuda", 2))], f"{torch.device('cpu')}"
torch.device("cpu").type, torch.device("cpu").index, torch.device("cuda:1").type, torch.device("cuda:1").index
torch.device("cpu") == torch.device("cpu"), torch.device("cpu") == torch.device("cpu:0"), torch.device("cpu") == "cpu", "cpu" == torch.device("cpu"), torch.device("cpu") != "cpu"
hash(torch.device("cpu")) == hash(torch.device("cpu")), {torch.device("cpu"): 1}[torch.ones(1).device]
torch.device("foo")
torch.device("foo:1")
torch.device("CPU")
torch.device("")
torch.device("cpu:")
torch.device("cpu:x")
torch.device("cpu:-1")
torch.device("cpu:01")
torch.device("cpu:1:2")
torch.device(":1")
torch.device("cpu", -1)
torch.device("cpu:0", 0)
torch.device("cpu", "x")
torch.device("cpu", True)
torch.device(torch.device("cpu"), 1)
torch.device(0)
torch.device(-1)
torch.device(1.5) ## says: device() received an invalid combination of arguments - got (float)
torch.device(True) ## says: invalid combination of arguments - got (bool)
torch.device(None) ## says: invalid combination of arguments - got (NoneType)
torch.device() ## says: device() received an invalid combination of arguments
torch.device("cpu") < torch.device("cpu") ## class
torch.device("cpu").type = "cuda"
torch.device("cpu").other = 1
torch.device("cpu").other ## class
copy.copy(torch.device("cpu:0")), copy.deepcopy(torch.device("cpu:0"))
isinstance(torch.ones(1).device, torch.device), torch.ones(1).device
torch.ones(2, device="cpu").device, torch.ones(2, device="cpu:0").device, torch.ones(2, device=torch.device("cpu")).device
torch.zeros(2, device="foo")
torch.tensor(1.0, device="foo")
torch.rand(2, device="foo")
torch.zeros(2, device=1.5) ## says: argument 'device' must be torch.device, not float
torch.zeros(2, device=True) ## says: argument 'device' must be torch.device, not bool
torch.zeros(2, device=0)
torch.zeros(2, device=-1)
torch.zeros(2, device="cuda") ## differs: a RuntimeError, whatever PyTorch was built with
torch.zeros(2, device="meta") ## differs: tensors without values are jax.eval_shape's business
with torch.device("cpu"): x = torch.ones(2)
x = torch.ones(2); x.device = "cpu" ## class
torch.set_default_device("cpu"), torch.get_default_device()
x = t(2); x.get_device(), torch.get_device(x)
"""

CONVERSIONS = """
x = t(2); x.to("cpu") is x, x.to(torch.device("cpu")) is x, x.to("cpu:0") is x, x.to() is x, x.to(None) is x, x.cpu() is x
x = t(2); x.to(torch.float64) is x, x.to(torch.float64, True) is x, x.to(torch.float64, False, True) is x, x.to(torch.float64, non_blocking=True) is x, x.to(x) is x
x = t(2); x.to("cpu", torch.float32, True, True), x.to(torch.ones(1, dtype=torch.int64), False, True)
x = t(2); x.to(float), x.to(int), x.to(bool), x.to(complex)
t(2).to(torch.float64, torch.float32) ## says: to() received an invalid combination of arguments
t(2).to(torch.float32, 3) ## says: to() received an invalid combination of arguments
t(2).to("foo")
t(2).to(3)
t(2).to(other=t(2)) ## class
t(2).to(tensor=torch.ones(1, dtype=torch.int64))
t(2).to(nothing=1) ## class
t(2).to(memory_format=3) ## class
leaf(2).to(torch.float64, copy=True)
leaf(2).to(torch.float32)
x = leaf(2); pull(x.to(torch.float32, copy=True), x)
"""

FORMATS = """
[repr(f) for f in (torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d)], repr(torch.strided), repr(t(2).layout), t(2).layout is torch.strided
torch.channels_last == torch.channels_last, torch.channels_last == torch.contiguous_format, isinstance(torch.channels_last, torch.memory_format), isinstance(torch.strided, torch.layout)
copy.deepcopy(torch.channels_last) is torch.channels_last, copy.copy(torch.strided) is torch.strided
x = t(2, 3, 4, 5); [y.stride() for y in (x.to(memory_format=torch.channels_last), x.clone(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last), x.to(torch.float32, memory_format=torch.channels_last))]
x = t(2, 3, 4, 5, 2); [y.stride() for y in (x.to(memory_format=torch.channels_last_3d), x.clone(memory_format=torch.channels_last_3d), x.contiguous(memory_format=torch.channels_last_3d))]
x = t(2, 3, 4, 5).to(memory_format=torch.channels_last); [y.stride() for y in (x.clone(), x.contiguous(), x.to(torch.float32), x.to(memory_format=torch.contiguous_format), x.clone(memory_format=torch.contiguous_format), x.clone(memory_format=None), x + 1, x.exp())]
x = t(2, 3, 4, 5).to(memory_format=torch.channels_last); x.is_contiguous(), x.is_contiguous(memory_format=torch.channels_last), x.is_contiguous(memory_format=torch.channels_last_3d), x.to(memory_format=torch.channels_last) is x, x.contiguous(memory_format=torch.channels_last) is x
x = t(2, 3, 4, 5); x.is_contiguous(memory_format=torch.channels_last), x.is_contiguous(memory_format=torch.preserve_format), x.contiguous(memory_format=torch.preserve_format) is x
t(2, 1, 4, 5).is_contiguous(memory_format=torch.channels_last), t(2, 3, 1, 1).is_contiguous(memory_format=torch.channels_last), t(2, 3).is_contiguous(memory_format=torch.channels_last)
t(2, 3, 4, 5).permute(0, 3, 1, 2).is_contiguous(memory_format=torch.channels_last), t(2, 3, 4, 5).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last).stride()
t(2, 3).t().contiguous(memory_format=torch.preserve_format)
t(2, 3).is_contiguous(torch.channels_last) ## class
t(2, 3).is_contiguous(memory_format=3)
t(2, 3).clone(memory_format=3)
t(2, 3).clone(memory_format=torch.channels_last)
t(2, 3, 4, 5).clone(memory_format=torch.channels_last_3d)
t(2, 3).to(memory_format=torch.channels_last)
t(2, 3).contiguous(memory_format=torch.channels_last)
torch.zeros_like(t(2, 3), memory_format=torch.channels_last)
torch.empty(2, 3, memory_format=torch.channels_last)
torch.empty(2, 3, memory_format=torch.preserve_format) ## class
torch.zeros(2, 3, 4, 5, memory_format=torch.channels_last) ## class
torch.empty(2, 3, 4, 5, memory_format=torch.channels_last).stride(), torch.empty((2, 3)).stride()
x = t(2, 3, 4, 5).to(memory_format=torch.channels_last); [f(x).stride() for f in (torch.zeros_like, torch.ones_like, torch.empty_like, torch.rand_like, torch.randn_like)], torch.full_like(x, 2).stride(), torch.randint_like(x, 3).stride()
x = t(2, 3, 4, 5); [f(x, memory_format=torch.channels_last).stride() for f in (torch.zeros_like, torch.ones_like, torch.empty_like, torch.rand_like, torch.randn_like)], torch.full_like(x, 2, memory_format=torch.channels_last).stride(), torch.randint_like(x, 3, memory_format=torch.channels_last).stride()
x = t(2, 3).t(); torch.zeros_like(x).stride(), torch.ones_like(x, memory_format=torch.contiguous_format).stride(), torch.zeros_like(x), torch.full_like(x, 3)
x = t(2, 3, 4, 5); y = x.to(memory_format=torch.channels_last); (x == y).all(), y.sum(1), y.view(2, 3, 20)
t(2, 3, 4, 5).to(memory_format=torch.channels_last).view(-1)
x = t(2, 3); x.t().contiguous().view(-1), x.t().contiguous().stride(), x.t().clone().stride()
x = t(1, 3, 2, 2).requires_grad_(); pull(x.contiguous(memory_format=torch.channels_last), x)
x = t(1, 3, 2, 2).requires_grad_(); pull(x.to(memory_format=torch.channels_last), x)
x = t(1, 3, 2, 2).requires_grad_(); pull(x.clone(memory_format=torch.channels_last), x)
x = leaf(3, 4); pull(x.t().contiguous(), x)
x = t(2, 3).expand(4, 2, 3); x.clone().stride(), torch.zeros_like(x).stride(), x.to(torch.float32).stride(), x.contiguous().stride()
x = t(4, 6)[:, ::2].t(); x.clone().stride(), torch.zeros_like(x).stride(), x.to(torch.float32).stride(), x.contiguous().stride()
x = t(2, 3); x.stride(), x.stride(0), x.stride(-1), x.stride(dim=1), t(2, 0).stride(), t(0, 2).stride(), t().stride()
t(2, 3).stride(2)
t(2, 3).stride("a") ## class
torch.zeros_like([1.0])
torch.rand_like([1.0])
"""

FLAGS = """
x = t(2); x.is_cpu, x.is_cuda, x.is_sparse, x.is_meta, x.is_quantized, x.is_mkldnn, x.is_mps, x.is_xpu, x.is_nested, x.is_sparse_csr, x.is_vulkan, x.is_ipu, x.is_xla, x.is_mtia, x.is_maia
x = t(2); x.is_signed(), x.is_conj(), x.is_neg(), x.is_pinned(), x.is_shared(), x.is_floating_point(), x.is_complex(), x.is_same_size(t(2)), x.is_same_size(t(3))
[torch.ones(1, dtype=d).is_signed() for d in (torch.uint8, torch.int8, torch.bool, torch.complex64)]
t(2).is_coalesced()
t(2).is_nonzero()
t(1).is_nonzero(), torch.is_nonzero(torch.tensor(0)), torch.is_nonzero(torch.tensor([[2.5]]))
t(2).is_cpu() ## class
x = t(2); x.is_cpu = False ## class
x = t(2); x.nbytes = 3 ## class
x = t(2, 3); x.nbytes, x.itemsize, x.element_size(), t(2, dtype="complex64").nbytes, t(0).nbytes
torch.is_tensor(t(2)), torch.is_tensor([1]), torch.is_tensor(np.ones(1))
torch.numel(t(2, 3)), torch.numel(t())
torch.numel([1])
torch.is_floating_point(t(2)), torch.is_complex(t(2)), torch.is_signed(t(2)), torch.is_complex(t(2, dtype="complex64"))
torch.is_floating_point(1)
torch.is_complex(1)
torch.get_device(1) ## class
"""

LIMITS = """
[repr(torch.finfo(d)) for d in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128)]
[repr(torch.iinfo(d)) for d in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)]
[(f.bits, f.eps, f.max, f.min, f.tiny, f.smallest_normal, f.resolution, f.dtype) for f in map(torch.finfo, (torch.float16, torch.bfloat16, torch.float32, torch.float64))]
[(f.bits, f.max, f.min, f.dtype) for f in map(torch.iinfo, (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64))]
repr(torch.finfo()), repr(torch.finfo(float)), repr(torch.iinfo(int)), repr(torch.finfo(type=torch.float32))
torch.set_default_dtype(torch.float64); r = torch.finfo().bits; torch.set_default_dtype(torch.float32); r
torch.finfo(torch.float32) == torch.finfo(torch.float32), torch.finfo(torch.float32) == torch.finfo(torch.float64), torch.iinfo(torch.int8) == torch.iinfo(torch.int8)
torch.finfo(torch.int32)
torch.finfo(3)
torch.finfo("float32")
torch.iinfo(torch.bool)
torch.iinfo(torch.float32)
torch.iinfo() ## class
f = torch.finfo(torch.float32); f.eps = 1
1 + torch.finfo(torch.float32).eps > 1, torch.tensor(1.0) + torch.finfo(torch.float32).eps > 1
"""

NEW = """
x = t(2); x.new_zeros(2, 3), x.new_zeros((2,)), x.new_zeros(torch.Size([2])), x.new_zeros(size=(2,)), x.new_ones(1), x.new_empty(2).shape, x.new_full((2,), 3), x.new_full([2], 2.5), x.new_full(size=(2,), fill_value=3)
x = t(2); x.new_tensor([1, 2]), x.new_tensor(3), x.new_tensor([[1.5]]), x.new_tensor(np.ones(2, dtype=np.int64)), x.new_tensor(t(2))
x = t(2, dtype="int32"); x.new_zeros(2), x.new_full((2,), 2.5), x.new_tensor([1.5]), x.new_zeros(2, dtype=torch.float64), x.new_full((2,), 3, dtype=torch.float32)
x = leaf(2); x.new_zeros(2), x.new_zeros(2, requires_grad=True), x.new_ones(2, requires_grad=True), x.new_tensor([1], requires_grad=True), x.new_full((2,), 1, requires_grad=True)
x = t(2, dtype="bool"); x.new_full((2,), 3), x.new_full((2,), 0.5), x.new_ones(2)
t(2, dtype="complex64").new_full((2,), 1j), t(2, dtype="complex64").new_tensor([1j])
t(2, dtype="int32").new_zeros(2, requires_grad=True)
t(2, dtype="int32").new_tensor([1.0], requires_grad=True)
t(2).new_zeros()
t(2).new_zeros(-1)
t(2).new_zeros("a") ## class
t(2).new_full(2, 3)
t(2).new_full((2,)) ## class
t(2).new_full((2,), "a")
t(2).new_full((2,), 1j) ## says: without overflow
t(2).new_full((2,), torch.tensor(3.0))
t(2).new_tensor("a") ## says: invalid data type 'str'
t(2).new_tensor([[1], [2, 3]])
t(2, dtype="uint8").new_tensor(300) ## class
t(2, dtype="uint8").new_full((2,), 300) ## says: without overflow
t(2).new_zeros(2, device="foo")
"""

GENERATORS = """
g = torch.manual_seed(3); type(g).__name__, g.initial_seed(), g is torch.default_generator, g.device, torch.initial_seed()
torch.manual_seed(-1).initial_seed(), torch.manual_seed(1.5).initial_seed(), torch.manual_seed(2**64 - 1).initial_seed()
torch.manual_seed(2**64)
torch.manual_seed("a")
torch.Generator().initial_seed(), torch.Generator("cpu").device, torch.Generator(device="cpu").manual_seed(4).initial_seed()
g = torch.Generator().manual_seed(3); a = torch.rand(2, generator=g); g.manual_seed(3); torch.equal(a, torch.rand(2, generator=g))
g = torch.Generator(); s = g.get_state(); a = torch.randn(3, generator=g); b = torch.randint(9, (3,), generator=g); h = torch.Generator(); h.set_state(s); torch.equal(a, torch.randn(3, generator=h)), torch.equal(b, torch.randint(9, (3,), generator=h)), s.dtype, s.ndim
s = torch.get_rng_state(); a = torch.rand(3); torch.set_rng_state(s); torch.equal(a, torch.rand(3))
g = torch.Generator(); a = torch.initial_seed(); torch.rand(2, generator=g); torch.randperm(3, generator=g).shape, torch.rand_like(t(2), generator=g).shape, torch.randn_like(t(2), generator=g).shape
type(torch.seed()).__name__, torch.Generator().seed() == torch.Generator().seed()
torch.rand(2, generator=3) ## class
torch.Generator().set_state(3) ## class
torch.Generator().set_state(torch.zeros(3, dtype=torch.uint8)) ## class
torch.Generator("cuda") ## class
"""


@pytest.mark.parametrize("case", cases(DEVICES))
def test_devices(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(CONVERSIONS))
def test_conversions(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(FORMATS))
def test_formats(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(FLAGS))
def test_flags(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(LIMITS))
def test_limits(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(NEW))
def test_new(case: str) -> None:
    agree(case)


@pytest.mark.parametrize("case", cases(GENERATORS))
def test_generators(case: str) -> None:
    agree(case)
