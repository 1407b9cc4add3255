"""Optimizer: parameter groups, state and its saved form, hooks. What all optimisers share.

A subclass says in `step` how parameters change, with in-place operations on tensors: then it runs eagerly as it is and
compiles as it is. State is one dict per parameter, made at the first step that finds a gradient.
"""

from __future__ import annotations

import copy
import functools
import warnings
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from ..autograd.grad_mode import enable_grad, set_grad_enabled
from ..dtypes import float32
from ..errors import TapegradError
from ..ops.common import dtype_of
from ..tape import RemovableHandle, TensorBase
from ..tape.hooks import HookTable

if TYPE_CHECKING:
    from ..tensor import Tensor

__all__ = [
    "Group", "Optimizer", "evaluated", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook",
    "required", "with_grad_mode",
]  # fmt: skip

Group = dict[str, Any]
F = TypeVar("F", bound=Callable[..., Any])


class _Required:
    """Stands in the defaults for what each parameter group must say itself."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()

_before_every_step = HookTable()
_after_every_step = HookTable()

watched: weakref.WeakKeyDictionary[Optimizer, _Watched] = weakref.WeakKeyDictionary()
"""The optimisers that have a scheduler. (Not an attribute of theirs: it would differ before and after a first step,
and a function compiled with the one would be compiled again for the other.)"""


class _Watched:
    """What a scheduler wants to know of its optimiser: whether it has stepped, and whether its `step` is another."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.step = optimizer.__dict__.get("step")
        self.called = False
        self.versions = _versions(optimizer)

    def stepped(self, optimizer: Optimizer) -> bool:
        """Whether `step` has run: called from Python, or in a compiled function, of which only the writes show."""
        return self.called or self.versions != _versions(optimizer)


def _versions(optimizer: Optimizer) -> list[int]:
    params = [p for group in optimizer.param_groups for p in group["params"]]
    return [0 if p._storage is None else p._storage.version for p in params]


def watch(optimizer: Optimizer) -> None:
    """Note from now on whether `optimizer` steps."""
    if optimizer not in watched:
        watched[optimizer] = _Watched(optimizer)


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` before each step of every optimiser; it may return other arguments."""
    return _added(_before_every_step, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(optimizer, args, kwargs)` after each step of every optimiser."""
    return _added(_after_every_step, hook)


def _added(table: HookTable, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
    """Register `hook`, as the last or the first."""
    others = dict(table)
    handle = table.add(hook)
    if prepend:
        for number in others:
            table[number] = table.pop(number)
    return handle


def _hooked(step: F) -> F:
    """`step` with the hooks of the optimiser, and those of all, around it. They see `self` among the arguments."""

    @functools.wraps(step)
    def call(*args: Any, **kwargs: Any) -> Any:
        self: Optimizer = args[0]
        note = watched.get(self) if watched else None
        if note is not None:
            note.called = True
        for hook in (*_before_every_step.values(), *self._hooks_at("step pre")):
            result = hook(self, args, kwargs)
            if result is None:
                continue
            if not (isinstance(result, tuple) and len(result) == 2):
                raise TapegradError(f"{step} must return None or a tuple of (new_args, new_kwargs), but got {result}.")
            args, kwargs = result
        out = step(*args, **kwargs)
        for hook in (*self._hooks_at("step post"), *_after_every_step.values()):
            hook(self, args, kwargs)
        return out

    return call  # type: ignore[return-value]


def with_grad_mode(step: F) -> F:
    """`step` run in `no_grad`, or, for an optimiser made `differentiable`, in grad mode."""

    @functools.wraps(step)
    def call(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        with set_grad_enabled(bool(self.defaults["differentiable"])):
            return step(self, *args, **kwargs)

    return call  # type: ignore[return-value]


def evaluated(closure: Callable[[], Any] | None) -> Any:
    """What `closure()` returns, in grad mode; None without one."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


class Optimizer:
    """The base of optimisers.

    `params` is an iterable of tensors, of pairs of names and tensors, or of dicts, each a parameter group: its tensors
    under "params", and options where they are not those in `defaults`. The order must be the same in every run.

    Raises TypeError for what is no such iterable or no tensor; ValueError for no parameters, for a tensor that is no
    leaf, and for one that is in two groups.
    """

    param_groups: list[Group]
    state: defaultdict[Any, Any]
    defaults: dict[str, Any]
    _hooks: dict[str, HookTable]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in cls.__dict__:
            cls.step = _hooked(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._hooks = {}
        if isinstance(params, TensorBase):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + _typename(params)
            )
        self.state = defaultdict(dict)
        self.param_groups = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles have; hooks stay behind."""
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_hooks", {})
        self.defaults.setdefault("differentiable", False)

    def __repr__(self) -> str:
        lines = []
        for number, group in enumerate(self.param_groups):
            options = [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
            lines += [f"\nParameter Group {number}\n", *options]
        return f"{type(self).__name__} ({''.join(lines)})"

    # Parameters

    def add_param_group(self, param_group: Group) -> None:
        """Add a dict of parameters, under "params", and their options; `defaults` fills in the others."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params, names = _named(param_group["params"])
        for p in params:
            if not isinstance(p, TensorBase):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {_typename(p)}")
            if not self.defaults.get("differentiable") and not (p.is_leaf or p.retains_grad):  # type: ignore[attr-defined]
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
        group = {**param_group, "params": params, **({"param_names": names} if names else {})}
        self._refuse_repeated(group)
        for name, default in self.defaults.items():
            group.setdefault(name, default)
        param_group.update(group)
        self.param_groups.append(param_group)

    def _refuse_repeated(self, group: Group) -> None:
        """Raise ValueError for parameters that another group has, and where only some groups have names."""
        if len(group["params"]) != len(set(group["params"])):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=4,
            )
        named = "param_names" in group
        for other in self.param_groups:
            if named != ("param_names" in other):
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param group "
                    f"{'with' if named else 'without'} names to the optimizer"
                )
        before = {p for other in self.param_groups for p in other["params"]}
        if not before.isdisjoint(group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Let the gradient of every parameter be None, or zeros in the memory that it has."""
        for group in self.param_groups:
            for p in group["params"]:
                grad = p.grad
                if grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                    continue
                if grad.grad_fn is not None:
                    grad.detach_()
                elif grad.requires_grad:
                    grad.requires_grad_(False)
                grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once. `closure` computes the loss again, with its gradients, and returns it."""
        raise NotImplementedError

    # State

    def state_dict(self) -> dict[str, Any]:
        """The state and the options: `{"state": {number: dict}, "param_groups": [dict]}`.

        Parameters are numbered in the order of the groups, and stand as their numbers. The tensors are the
        optimiser's own, not copies.
        """
        for before in self._hooks_at("state_dict pre"):
            before(self)
        numbers: dict[int, int] = {}
        groups = []
        start = 0
        for group in self.param_groups:
            numbers.update({id(p): number for number, p in enumerate(group["params"], start)})
            start += len(group["params"])
            groups.append({key: value for key, value in group.items() if key != "params"})
            groups[-1]["params"] = [numbers[id(p)] for p in group["params"]]
        state = {numbers[id(key)] if isinstance(key, TensorBase) else key: self.state[key] for key in self.state}
        out: dict[str, Any] = {"state": state, "param_groups": groups}
        for after in self._hooks_at("state_dict post"):
            result = after(self, out)
            out = out if result is None else result
        return out

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict()` gave: its options, and its state in the dtypes of the parameters here.

        Parameters are matched by their order. Tensors that have the dtype already are shared with `state_dict`, as in
        PyTorch. Raises ValueError unless it has as many groups, each of as many parameters; nothing is changed then.
        """
        state_dict = state_dict.copy()
        for before in self._hooks_at("load_state_dict pre"):
            result = before(self, state_dict)
            state_dict = state_dict if result is None else result
        groups = copy.deepcopy(state_dict["param_groups"])
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(a["params"]) != len(b["params"]) for a, b in zip(groups, self.param_groups, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        state: defaultdict[Any, Any] = defaultdict(dict)
        owner = {
            number: (p, group)
            for group, own in zip(groups, self.param_groups, strict=True)
            for number, p in zip(group["params"], own["params"], strict=True)
        }
        for key, value in state_dict["state"].items():
            if key in owner:
                p, group = owner[key]
                state[p] = _fitted(p, value, group)
            else:
                state[key] = value
        for group, own in zip(groups, self.param_groups, strict=True):
            group["params"] = own["params"]
            if "param_names" in own:
                group.setdefault("param_names", own["param_names"])
        self.__setstate__({"state": state, "param_groups": groups})
        for after in self._hooks_at("load_state_dict post"):
            after(self)

    # Hooks

    def _hooks_at(self, when: str) -> Iterable[Callable[..., Any]]:
        """The hooks to call at a time: most optimisers have none."""
        return self._hooks[when].values() if when in self._hooks else ()

    def _table(self, when: str) -> HookTable:
        """Where those are to be added."""
        return self._hooks.setdefault(when, HookTable())

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return other `(args, kwargs)`."""
        return _added(self._table("step pre"), hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return _added(self._table("step post"), hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict()` does anything."""
        return _added(self._table("state_dict pre"), hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` on what `state_dict()` returns; it may return another."""
        return _added(self._table("state_dict post"), hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` on a shallow copy of what is loaded; it may return another."""
        return _added(self._table("load_state_dict pre"), hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` once a state has been loaded."""
        return _added(self._table("load_state_dict post"), hook, prepend)


def _named(params: Any) -> tuple[list[Any], list[Any]]:
    """The parameters, and their names if they came as pairs. Raises ValueError if only some did."""
    if isinstance(params, TensorBase):
        return [params], []
    if isinstance(params, set):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
            "will change between runs. Please use a list instead."
        )
    listed = list(params)
    names = [item[0] for item in listed if isinstance(item, tuple)]
    if names and len(names) != len(listed):
        raise ValueError("all optimizer params should be with/without names. Some param names are missing")
    return [item[1] if isinstance(item, tuple) else item for item in listed], names


def _fitted(p: Tensor, value: Any, group: Group, key: Any = None) -> Any:
    """A loaded value as the state of `p`: floating state has the dtype of a floating parameter, but for "step"."""
    if isinstance(value, TensorBase):
        if key == "step":
            return value.to(float32) if group.get("capturable") or group.get("fused") else value  # type: ignore[attr-defined]
        return value.to(dtype_of(p)) if p.is_floating_point() else value  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return {name: _fitted(p, item, group, name) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return type(value)(_items(p, value, group))  # type: ignore[call-arg]
    return value


def _items(p: Tensor, value: Iterable[Any], group: Group) -> Iterator[Any]:
    return (_fitted(p, item, group) for item in value)


def _typename(x: Any) -> str:
    """PyTorch's name of the type of `x`."""
    if isinstance(x, TensorBase):
        return f"torch.{dtype_of(x).scalar_type}Tensor"
    module = type(x).__module__
    return type(x).__qualname__ if module == "builtins" else f"{module}.{type(x).__qualname__}"
