"""no_grad, enable_grad, set_grad_enabled."""

from __future__ import annotations

import pytest

import tapegrad

from ...examples import blocks, check

EXAMPLES = """
# as a context
>>> x = torch.ones(2, requires_grad=True)
>>> with torch.no_grad(): y = x * 2
>>> y, torch.is_grad_enabled()
(tensor([2., 2.]), True)

# nested
>>> with torch.no_grad():
...     with torch.enable_grad(): a = torch.is_grad_enabled()
...     b = torch.is_grad_enabled()
>>> a, b, torch.is_grad_enabled()
(True, False, True)

# as a decorator, with parentheses and without
>>> @torch.no_grad()
... def f(x): return (x * 2).requires_grad
>>> @torch.no_grad
... def g(x): return (x * 2).requires_grad
>>> f(torch.ones(2, requires_grad=True)), g(torch.ones(2, requires_grad=True)), f.__name__, torch.is_grad_enabled()
(False, False, 'f', True)

# generators, at every step
>>> @torch.no_grad()
... def f():
...     yield torch.is_grad_enabled()
...     yield torch.is_grad_enabled()
>>> [(inside, torch.is_grad_enabled()) for inside in f()]
[(False, True), (False, True)]

# set
>>> _ = torch.set_grad_enabled(False)
>>> (torch.ones(2, requires_grad=True) * 2).requires_grad
False
>>> _ = torch.set_grad_enabled(True)
>>> with torch.set_grad_enabled(False): a = torch.is_grad_enabled()
>>> a, torch.is_grad_enabled()
(False, True)

# an error leaves the mode as it was
>>> def f():
...     with torch.no_grad(): raise KeyError("inside")
>>> f()
Traceback (most recent call last):
KeyError: 'inside'
>>> torch.is_grad_enabled()
True

# new leaves may require grad inside
>>> with torch.no_grad(): a = torch.ones(2, requires_grad=True)
>>> a
tensor([1., 1.], requires_grad=True)
"""


@pytest.mark.parametrize("name", blocks(EXAMPLES))
def test_examples(name: str) -> None:
    check(blocks(EXAMPLES)[name], tapegrad)
