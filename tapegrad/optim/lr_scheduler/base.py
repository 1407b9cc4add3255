"""LRScheduler: counts epochs, and writes what `get_lr` says into the parameter groups."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...tape import TensorBase
from ..optimizer import Group, Optimizer, watch, watched
from ..updates import scalar

__all__ = ["LRScheduler", "copied", "each_of", "require_optimizer", "values_of", "warn_of_epoch", "write"]

_ORDER = "See more details at https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
_OVERRIDDEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, make sure "
    f"to call `optimizer.step()` before `lr_scheduler.step()`. {_ORDER}"
)
_TOO_EARLY = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call "
    "them in the opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in "
    f"PyTorch skipping the first value of the learning rate schedule. {_ORDER}"
)
_EPOCH = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed "
    "form is used instead of the new chainable form, where available. Please open an issue if you are unable to "
    "replicate your use case: https://github.com/pytorch/pytorch/issues/new/choose."
)


def require_optimizer(optimizer: Any) -> Optimizer:
    """`optimizer`, if it is one. Raises TypeError."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer


def copied(x: Any) -> Any:
    """A tensor's copy; a number as it is."""
    return x.clone() if isinstance(x, TensorBase) else x  # type: ignore[attr-defined]


def values_of(optimizer: Optimizer, key: str = "lr") -> list[Any]:
    """What the parameter groups have under `key`; copies of tensors."""
    return [copied(group[key]) for group in optimizer.param_groups]


def each_of(name: str, optimizer: Optimizer, given: Any) -> list[Any]:
    """`given`, for all groups or one for each, as a list. Raises ValueError for another number of them."""
    groups = optimizer.param_groups
    if not isinstance(given, list | tuple):
        return [copied(given) for _ in groups]
    if len(given) != len(groups):
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(given)} values, param_groups "
            f"has {len(groups)}."
        )
    return list(map(copied, given))


def write(group: Group, key: str, value: Any) -> None:
    """Let the group have `value` under `key`; a tensor there is written to."""
    if isinstance(group[key], TensorBase):
        group[key].fill_(scalar(value))
    else:
        group[key] = value


def warn_of_epoch() -> None:
    """Warn of an argument that PyTorch deprecates."""
    warnings.warn(_EPOCH, UserWarning, stacklevel=3)


class LRScheduler:
    """The base of schedulers: a subclass says in `get_lr` what the learning rates are at `last_epoch`.

    `last_epoch` is -1 to start; else the groups must have an "initial_lr", as those of a loaded optimiser do. The
    first step is made here. `get_lr` may use that the groups have the rates of the epoch before; where there is a
    formula without them, `_get_closed_form_lr` has it, for `step(epoch)`.

    Raises TypeError for what is no optimiser, KeyError for an "initial_lr" that is missing.
    """

    _get_lr_called_within_step: bool = False
    _is_initial: bool = False

    optimizer: Optimizer
    base_lrs: list[Any]
    last_epoch: int
    _last_lr: list[Any]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = require_optimizer(optimizer)
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{number}] when resuming scheduler with "
                    "last_epoch >= 0.\nThis typically happens when:\n1. You're trying to resume training from a "
                    "checkpoint but haven't properly loaded the optimizer state\n2. You're using last_epoch >= 0 for a "
                    "fresh training run (not recommended)"
                )
        self.base_lrs = values_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        watch(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        """The step to the first epoch, which no step of the optimiser comes before."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def state_dict(self) -> dict[str, Any]:
        """All that the scheduler knows, without the optimiser."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict()` gave. The learning rates themselves are in the optimiser's state."""
        self.__dict__.update(state_dict)

    def get_last_lr(self) -> list[Any]:
        """The learning rates last written, one per group."""
        return self._last_lr

    def get_lr(self) -> list[Any]:
        """The learning rates at `last_epoch`, one per group. For `step` to call."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Go to the next epoch (or to `epoch`, which PyTorch deprecates) and write its learning rates.

        Warns if the optimiser has not stepped before the second call.
        """
        if self._step_count == 1:
            self._check_order()
        self._step_count += 1
        if epoch is not None:
            warn_of_epoch()
        self._update_lr(epoch)

    def _check_order(self) -> None:
        note = watched.get(self.optimizer)
        if note is None:
            return
        if self.optimizer.__dict__.get("step") is not note.step:
            warnings.warn(_OVERRIDDEN, UserWarning, stacklevel=3)
        elif not note.stepped(self.optimizer):
            warnings.warn(_TOO_EARLY, UserWarning, stacklevel=3)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed_form = None if epoch is None else getattr(self, "_get_closed_form_lr", None)
        with self._within_step():
            self._write((closed_form or self.get_lr)())

    def _write(self, rates: Sequence[Any]) -> None:
        """Let the groups have these learning rates."""
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            write(group, "lr", lr)
        self._last_lr = values_of(self.optimizer)

    @contextmanager
    def _within_step(self) -> Iterator[None]:
        self._get_lr_called_within_step = True
        try:
            yield
        finally:
            self._get_lr_called_within_step = False

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    def _times(self, factor: Any) -> list[Any]:
        """The present learning rates times `factor`."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]
