"""Tensors made from data, from numbers and at random: dtypes, values, errors as PyTorch's."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="compares with an installed PyTorch")

from .harness import agree, cases

CASES = """
torch.tensor(1)
torch.tensor(1.5)
torch.tensor(True)
torch.tensor(1+2j)
torch.tensor([])
torch.tensor([[]])
torch.tensor([[], []])
torch.tensor([1, 2, 3])
torch.tensor([1, 2.5, True])
torch.tensor([True, 2])
torch.tensor([[1, 2], [3, 4]], dtype=torch.float64)
torch.tensor([1.7, -1.7], dtype=torch.int32)
torch.tensor([0, 2], dtype=torch.bool)
torch.tensor((1, (2)), dtype=torch.uint8)
torch.tensor(range(4))
torch.tensor([[1, 2], [3]])
torch.tensor([1, [2]]) ## differs: a ValueError, as for other ragged data
torch.tensor("a") ## class
torch.tensor(["a"]) ## class
torch.tensor(None) ## class
torch.tensor([None]) ## class
torch.tensor({}) ## class
torch.tensor() ## class
torch.tensor([1.0], requires_grad=True)
torch.tensor([1j], requires_grad=True)
torch.tensor([1], requires_grad=True)
torch.tensor([True], requires_grad=True)
torch.tensor([1], dtype=torch.float32, requires_grad=True)
torch.tensor(2**63) ## class
torch.tensor(2**62)
torch.tensor([2**63]) ## class
torch.tensor(300, dtype=torch.uint8) ## class
torch.tensor([300], dtype=torch.uint8) ## class
torch.tensor([-1], dtype=torch.uint8) ## class
torch.tensor(torch.tensor([1.0, 2.0]))
torch.tensor([torch.tensor(1.0), torch.tensor(2)])
torch.tensor([torch.tensor(1), 2.5])
torch.tensor([np.float32(1.5), np.int8(2)])
torch.tensor(np.arange(3))
torch.tensor(np.arange(3, dtype=np.float64))
torch.tensor(np.float64(2.5))
torch.tensor(np.float32(2.5))
torch.tensor(np.int16(2))
torch.tensor(np.bool_(True))
torch.tensor([np.arange(2), np.arange(2)])
torch.tensor(np.array(["a"])) ## class
torch.tensor([1.0], device="cpu")
torch.tensor([1.0], device="cpu").device
torch.tensor([1.0], dtype=float)
torch.tensor([1.0], dtype=int)
torch.tensor([1.0], dtype=bool)
torch.tensor([1.0], dtype="float32") ## differs: NumPy's dtypes and their names are accepted as well
torch.tensor([1.0], dtype=np.float32) ## differs: NumPy's dtypes and their names are accepted as well
torch.tensor([1.0], dtype=3) ## class
torch.as_tensor([1, 2])
torch.as_tensor([1, 2], dtype=torch.float32)
a = np.arange(3.0); b = torch.as_tensor(a); a[0] = 9; b
a = np.arange(3.0); b = torch.as_tensor(a, dtype=torch.float32); a[0] = 9; b
a = torch.ones(2); torch.as_tensor(a) is a
a = torch.ones(2, requires_grad=True); torch.as_tensor(a, dtype=torch.float64)
a = np.arange(3.0); b = torch.from_numpy(a); a[0] = 9; b[1] = 7; (b, a)
torch.from_numpy([1]) ## class
torch.from_numpy(np.array(["a"])) ## class
torch.from_numpy(np.arange(6).reshape(2, 3).T).stride()
torch.from_numpy(np.arange(6)[::2])
torch.from_numpy(np.arange(6)[::-1]) ## differs: negative strides are as good as others
torch.zeros(2, 3)
torch.zeros((2, 3))
torch.zeros([2, 3])
torch.zeros(torch.Size([2, 3]))
torch.zeros(())
torch.zeros(0)
torch.zeros(2, 0)
torch.zeros(size=(2, 3))
torch.zeros(2, dtype=torch.int32)
torch.zeros(2, dtype=torch.bool)
torch.zeros(2, dtype=torch.bfloat16)
torch.zeros(2, dtype=torch.complex64)
torch.zeros(2, requires_grad=True)
torch.zeros(2, requires_grad=True, dtype=torch.int64)
torch.zeros(-1) ## class
torch.zeros(2.5) ## class
torch.zeros("a") ## class
torch.zeros(2, device="cuda:99") ## differs: a RuntimeError, also without CUDA
torch.zeros(2, device="nowhere") ## class
torch.ones(2, 3)
torch.ones(3, dtype=torch.uint8)
torch.ones((), dtype=torch.float16)
torch.empty(2, 3).shape
torch.empty(2, dtype=torch.int8).dtype
torch.empty((0,))
torch.full((2, 2), 3)
torch.full((2, 2), 3.5)
torch.full((2,), True)
torch.full((2,), 1j)
torch.full((2,), 3, dtype=torch.float32)
torch.full([], 2.5)
torch.full((2,), 3.7, dtype=torch.int64)
torch.full((2,), 1.0, requires_grad=True)
torch.full((2,), torch.tensor(2.0))
torch.full(2, 3.0) ## class
torch.full(size=(2,), fill_value=1)
torch.full((2,), nan)
torch.full((2,), -inf)
torch.arange(5)
torch.arange(5.0)
torch.arange(1, 4)
torch.arange(1, 4, 0.5)
torch.arange(start=1, end=5, step=2)
torch.arange(5, 1, -2)
torch.arange(0)
torch.arange(3, 3)
torch.arange(0, 1, 0.1)
torch.arange(0, 1, 0.1, dtype=torch.float64)
torch.arange(3, dtype=torch.float16)
torch.arange(3, dtype=torch.bfloat16)
torch.arange(3.0, requires_grad=True)
torch.arange(3, 1)
torch.arange(1, 3, -1)
torch.arange(1, 3, 0)
torch.arange(2.7)
torch.arange(1, 2.5, 0.5)
torch.arange(torch.tensor(3))
torch.arange(end=3)
torch.arange(True) ## class
torch.linspace(0, 1, 5)
torch.linspace(0, 10, steps=4)
torch.linspace(start=3, end=-3, steps=7)
torch.linspace(0, 1, 1)
torch.linspace(0, 1, 0)
torch.linspace(0, 1, -1)
torch.linspace(0, 1, 5, dtype=torch.float64)
torch.linspace(0, 4, 5, dtype=torch.int64)
torch.linspace(0, 10, 4, dtype=torch.int64)
torch.linspace(0, 1, 3, requires_grad=True)
torch.linspace(-3.3, 7.7, 50)
torch.linspace(-3.3, 7.7, 51, dtype=torch.float64)
torch.eye(3)
torch.eye(2, 3)
torch.eye(3, 2)
torch.eye(0)
torch.eye(2, dtype=torch.int64)
torch.eye(2, requires_grad=True)
torch.eye(-1)
torch.zeros_like(torch.ones(2, 3))
torch.zeros_like(torch.arange(3))
torch.zeros_like(torch.arange(3), dtype=torch.float32)
torch.zeros_like(torch.ones(2, requires_grad=True))
torch.zeros_like(torch.ones(2), requires_grad=True)
torch.zeros_like(input=torch.ones(2))
torch.ones_like(torch.zeros(2, dtype=torch.float16))
torch.ones_like(torch.tensor(5))
torch.full((2,), torch.tensor([2.0]))
torch.full((2,), torch.tensor([1.0, 2.0]))
torch.full((2,), "a")
torch.full((2,), 1j, dtype=torch.float32)
torch.full((2,), 1j, dtype=torch.bool)
torch.full_like(torch.zeros(2), 7)
torch.full_like(torch.zeros(2), torch.tensor(2.5))
torch.full_like(torch.arange(2), torch.tensor(2.5))
torch.full_like(torch.zeros(2), np.float32(2.5))
torch.full_like(torch.zeros(2), torch.tensor([1.0, 2.0]))
torch.full_like(torch.zeros(2), torch.tensor([1.0]))
torch.full_like(torch.zeros(2), torch.tensor(1.0, requires_grad=True))
torch.full_like(torch.zeros(2), [1.0, 2.0])
torch.full_like(torch.zeros(2), None)
torch.full_like(torch.zeros(2), np.ones(2)) ## class
torch.full_like(torch.zeros(2), 1j)
torch.zeros(2).new_full((2,), torch.tensor([1.0, 2.0]))
torch.zeros(2).new_full((2,), torch.tensor(2.0))
torch.full_like(torch.arange(2), 7.5)
torch.full_like(torch.zeros(2), 7, dtype=torch.int64)
torch.full_like(torch.zeros(2), fill_value=True)
torch.empty_like(torch.zeros(2, 3)).shape
torch.zeros_like(3) ## class
torch.rand(2, 3).shape
torch.rand(2, dtype=torch.float64).dtype
torch.rand(2, requires_grad=True).requires_grad
torch.rand(()).shape
torch.rand(2, dtype=torch.int64) ## class
torch.randn(2, 3).shape
torch.randn((2, 3), dtype=torch.complex64).dtype
torch.randn(2, 3, dtype=torch.float16).dtype
torch.randn(size=(2, 3)).shape
torch.randint(5, (3,)).dtype
torch.randint(2, 5, (3, 2)).shape
torch.randint(low=2, high=5, size=(3, 2)).shape
torch.randint(high=5, size=(3, 2)).shape
torch.randint(5, (3,), dtype=torch.float32).dtype
torch.randint(5, 5, (2,))
torch.randint(5, 2, (2,))
torch.randint(2, 3, (4,))
torch.randint(5, (3,)).tolist().__len__()
torch.rand_like(torch.ones(2, 3)).dtype
torch.randn_like(torch.ones(2, 3), dtype=torch.float64).dtype
torch.randn_like(torch.arange(3)) ## class
torch.randint_like(torch.ones(2, 3), 5).dtype
torch.randint_like(torch.ones(2, 3), 2, 5).shape
torch.randperm(0)
torch.randperm(-1) ## class
torch.manual_seed(3); a = torch.rand(3); torch.manual_seed(3); b = torch.rand(3); (a == b).all()
torch.manual_seed(-3); a = torch.randn(3); torch.manual_seed(-3); b = torch.randn(3); (a == b).all()
torch.clone(torch.ones(2, requires_grad=True))
torch.ones(2).clone()
torch.Tensor([1, 2])
torch.Tensor(2, 3).shape ## differs: PyTorch's legacy constructor of uninitialised memory
torch.Tensor().shape
torch.get_default_dtype()
torch.Size([2, 3])
torch.Size([2, 3]).numel()
torch.Size([2, 3]) == (2, 3)
torch.Size([2, 3])[1:]
torch.Size([2, 3]) + (1,)
str(torch.ones(2, 3).shape)
str(torch.ones(2, 3).size())
torch.set_default_dtype(torch.int64) ## class
"""


@pytest.mark.parametrize("case", cases(CASES))
def test_creation(case: str) -> None:
    agree(case)
