"""ruptures, both ways: our exact search as a ruptures estimator, and ruptures' searches on our runs.

``Exact``, ``Pelt``, ``Dynp`` and ``KernelCPD`` take the constructor arguments of their namesakes and return their
*breakpoints*, the list of segment ends, n included (a breakpoint that is not n is our change point), so that
``from align.segmentation.interop import Pelt`` is the whole switch. They always reach the least objective.
ruptures 1.1.10 itself does not: ``jump=5``, its default, allows ends at every fifth sample only; with
``min_size > 1`` ``Pelt`` and ``KernelCPD`` drop candidates before their rivals may start a segment, and miss the
optimum in a few per cent of random cases (``python -m benchmarks.segmentation exactness``); ``KernelCPD`` sums
squares without centring, so a large offset costs it its digits. It is exact at ``jump=1, min_size=1``.

The only module that imports ruptures, and nothing imports this one before it is needed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import ruptures
from ruptures.base import BaseCost, BaseEstimator
from ruptures.costs import cost_factory
from ruptures.exceptions import BadSegmentationParameters

from align.datatypes import Floats
from align.errors import InputError, ParameterError
from align.segmentation.costs import COSTS, fit_cost
from align.segmentation.exact import changes_exact, changes_with_count

__all__ = ["RUPTURES", "Dynp", "Exact", "ImpossibleError", "KernelCPD", "Pelt", "ruptures_changes"]

Ints = npt.NDArray[np.int64]

# ruptures' models that we have: the same objective, but "rbf" takes its bandwidth from up to 512 samples, and with
# several channels is approximated (cost_features.kernel_features)
MODELS: Mapping[str, str] = MappingProxyType({"l2": "l2", "l1": "l1", "rank": "rank", "rbf": "kernel"})
_WIDTH = 100  # samples of ruptures.Window, its default


class ImpossibleError(ParameterError, BadSegmentationParameters):  # type: ignore[misc]
    """So many segments of that length do not fit; both libraries' ``except`` clauses catch it."""


class Exact(BaseEstimator):  # type: ignore[misc]
    """The exact optimum for a penalty, a number of change points or an error budget.

    Arguments are kept as given and looked at by ``fit``, as scikit-learn's ``clone`` needs it.

    Args:
        model: "l2", "l1", "rank" or "rbf" as ruptures names them, or any key of ``costs.COSTS``.
        custom_cost: there for ruptures' order of arguments; must be None.
        min_size: fewest samples of a segment, >= 1.
        jump: accepted and not used: every sample may start a segment, which is never worse.
        params: there for ruptures' order of arguments; must be None or empty.

    >>> Exact("l2", min_size=1).fit_predict(np.array([0.0, 0.0, 5.0, 5.0, 5.0]), pen=1.0)
    [2, 5]
    """

    def __init__(
        self,
        model: str = "l2",
        custom_cost: BaseCost | None = None,
        min_size: int = 2,
        jump: int = 1,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.custom_cost = custom_cost
        self.min_size = min_size
        self.jump = jump
        self.params = params

    def fit(self, signal: npt.ArrayLike) -> Exact:
        """Prepare a signal, (n,) or (n, d) finite numbers.

        Raises:
            ParameterError: a constructor argument or shape that means nothing here.
            InputError: E-NONFINITE, a value that is NaN or infinite.
        """
        values = np.asarray(signal, np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or 0 in values.shape:
            raise ParameterError("signal", f"shape {values.shape}", "(n_samples,) or (n_samples, n_features)")
        if not np.isfinite(values).all():
            sample = int(np.argmin(np.isfinite(values).all(axis=1)))
            raise InputError(
                "E-NONFINITE", "NaN or an infinite value; allowed: finite numbers", sample=sample
            )
        self._fitted = fit_cost(
            self._cost_name(), values, np.ones(values.shape[1]), _whole("min_size", self.min_size)
        )
        self.signal = values
        self.n_samples = len(values)
        return self

    def predict(
        self, n_bkps: int | None = None, pen: float | None = None, epsilon: float | None = None
    ) -> list[int]:
        """The breakpoints of the fitted signal, ascending, the last one n.

        Args:
            n_bkps: number of change points; or
            pen: price of one more change point, >= 0; or
            epsilon: the fewest change points whose sum of costs, as ruptures counts it, is at most this.
                The first of the three that is given is used, as in ruptures.

        Raises:
            ParameterError: none is given, one is out of range, or the signal was not fitted.
            ImpossibleError: so many segments of ``min_size`` samples do not fit.
        """
        if not hasattr(self, "_fitted"):
            raise ParameterError("predict", "no signal", "a fitted estimator", hint="call fit(signal) first")
        if n_bkps is not None:
            changes = self._with_count(_whole("n_bkps", n_bkps, least=0))
        elif pen is not None:
            changes = changes_exact(self._fitted, _amount("pen", pen), self.n_samples)
        elif epsilon is not None:
            changes = self._within(_amount("epsilon", epsilon))
        else:
            raise ParameterError("n_bkps, pen, epsilon", None, "one of them")
        return [*changes.tolist(), self.n_samples]

    def fit_predict(
        self,
        signal: npt.ArrayLike,
        n_bkps: int | None = None,
        pen: float | None = None,
        epsilon: float | None = None,
    ) -> list[int]:
        """``fit``, then ``predict``."""
        return self.fit(signal).predict(n_bkps=n_bkps, pen=pen, epsilon=epsilon)

    @property
    def cost(self) -> BaseCost:
        """ruptures' own cost object on the fitted signal, for its ``error`` and ``sum_of_costs``."""
        model = self._ruptures_model()
        if model not in MODELS:
            raise ParameterError(
                "model", model, f"{_quoted(MODELS)} where ruptures counts the cost (epsilon)"
            )
        return cost_factory(model=model).fit(self.signal)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, as scikit-learn asks for them."""
        return {name: getattr(self, name) for name in _arguments(type(self))}

    def set_params(self, **params: Any) -> Exact:
        """Change constructor arguments; takes effect with the next ``fit``.

        Raises:
            ParameterError: a name that the constructor does not have.
        """
        known = _arguments(type(self))
        for name, value in params.items():
            if name not in known:
                raise ParameterError("set_params", name, ", ".join(known))
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_params().items())})"

    def _ruptures_model(self) -> str:
        return self.model

    def _cost_name(self) -> str:
        if self.custom_cost is not None or self.params:
            raise ParameterError(
                "custom_cost, params",
                "given",
                "None",
                hint="ruptures.Pelt(..., min_size=1, jump=1) takes them",
            )
        _whole("jump", self.jump)
        model = self._ruptures_model()
        name = MODELS.get(model, model)
        if name not in COSTS:
            raise ParameterError("model", model, _quoted([*MODELS, *(c for c in COSTS if c not in MODELS)]))
        return name

    def _with_count(self, count: int) -> Ints:
        n, size = self.n_samples, self._fitted.min_size
        if count and (count + 1) * size > n:
            most = max(0, n // size - 1)
            raise ImpossibleError("n_bkps", count, f"at most {most} with {n} samples and segments of {size}")
        return changes_with_count(self._fitted, count)

    def _within(self, budget: float) -> Ints:
        """Fewest change points whose sum of costs is within the budget; the most that fit where none is."""
        cost, size = self.cost, self._fitted.min_size
        most = max(0, self.n_samples // size - 1)

        def fits(count: int) -> bool:
            ends = [*self._with_count(count).tolist(), self.n_samples]
            return bool(cost.sum_of_costs(ends) <= budget)

        # up to here some segment can always be split in two, so that the sum never rises with the number
        low, high = 0, max(0, self.n_samples // (2 * size) - 1)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if fits(middle) else (middle + 1, high)
        while low < most and not fits(low):
            low += 1
        return self._with_count(low)


class Pelt(Exact):
    """``Exact`` under the name that ruptures gives its penalised search; any other argument works too."""


class Dynp(Exact):
    """``Exact`` under the name that ruptures gives its search for a number of change points."""


class KernelCPD(Exact):
    """``Exact`` with the constructor of ruptures' ``KernelCPD``.

    Args:
        kernel: "linear", which is changes in the mean, or "rbf", with its bandwidth from the data.
        min_size: fewest samples of a segment, >= 1.
        jump: accepted and not used, as in ruptures.
        params: must be None or empty.
    """

    def __init__(
        self,
        kernel: str = "linear",
        min_size: int = 2,
        jump: int = 1,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__("l2", None, min_size, jump, params)
        self.kernel = kernel

    def _ruptures_model(self) -> str:
        if self.kernel not in ("linear", "rbf"):
            raise ParameterError("kernel", self.kernel, '"linear", "rbf"')
        return "l2" if self.kernel == "linear" else "rbf"


def _arguments(cls: type) -> list[str]:
    return [name for name in inspect.signature(cls).parameters if name != "self"]


def _quoted(names: Iterable[str], before: str = "") -> str:
    return ", ".join(f'"{before}{name}"' for name in names)


def _whole(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ParameterError(name, value, f"a whole number >= {least}")
    return int(value)


def _amount(name: str, value: Any) -> float:
    amount = float(value)
    if not 0 <= amount < np.inf:
        raise ParameterError(name, value, "a finite number >= 0")
    return amount


# --- the other way: ruptures on our runs


def _best_of(segmentations: Iterator[Sequence[int]], values: Floats, penalty: float) -> list[int]:
    """The least penalised of segmentations with 0, 1, 2 ... change points; stops when penalties alone cost more."""
    cost, n = cost_factory(model="l2").fit(values), len(values)
    best: list[int] = []
    least = float(cost.sum_of_costs([n]))
    for count, ends in enumerate(segmentations, start=1):
        if count * penalty >= least:
            break
        reached = float(cost.sum_of_costs(list(ends))) + count * penalty
        if reached < least:
            best, least = list(ends)[:-1], reached
    return best


def _pelt(values: Floats, penalty: float, min_size: int, most: int) -> list[int]:
    found = ruptures.Pelt("l2", min_size=min_size, jump=1).fit_predict(values, pen=penalty)[:-1]
    return list(found) if len(found) <= most else _dynp(values, penalty, min_size, most)


def _dynp(values: Floats, penalty: float, min_size: int, most: int) -> list[int]:
    model = ruptures.Dynp("l2", min_size=min_size, jump=1).fit(values)
    return _best_of((model.predict(n_bkps=k) for k in range(1, most + 1)), values, penalty)


def _kernel_cpd(values: Floats, penalty: float, min_size: int, most: int) -> list[int]:
    model = ruptures.KernelCPD("linear", min_size=min_size).fit(values)
    found = model.predict(pen=max(penalty, np.finfo(np.float64).tiny))[:-1]
    if len(found) <= most:
        return list(found)
    return _best_of((model.predict(n_bkps=k) for k in range(1, most + 1)), values, penalty)


def _greedy(name: str) -> Callable[[Floats, float, int, int], list[int]]:
    """A search of ruptures that places or removes change points one by one, so that ``most`` just stops it."""

    def search(values: Floats, penalty: float, min_size: int, most: int) -> list[int]:
        options: dict[str, Any] = {"model": "l2", "min_size": min_size, "jump": 1}
        if name == "Window":
            options["width"] = 2 * max(min_size, min(_WIDTH // 2, len(values) // 4))
        model = getattr(ruptures, name)(**options).fit(values)
        found = model.predict(pen=penalty)[:-1]
        return list(found if len(found) <= most else model.predict(n_bkps=most)[:-1])

    return search


RUPTURES: Mapping[str, Callable[[Floats, float, int, int], list[int]]] = MappingProxyType(
    {
        "KernelCPD": _kernel_cpd,
        "Pelt": _pelt,
        "Dynp": _dynp,
        "Binseg": _greedy("Binseg"),
        "BottomUp": _greedy("BottomUp"),
        "Window": _greedy("Window"),
    }
)


def ruptures_changes(name: str, values: npt.ArrayLike, penalty: float, min_size: int, most: int) -> Ints:
    """Change points of one run that ruptures finds for changes in the mean, at ``jump=1``.

    "Dynp", which knows no penalty, is asked for 1, 2, ... change points and the least penalised answer is
    kept; it is written in Python and cubic, for hundreds of samples. "Window" looks through 100 samples, or
    half of a shorter run. With ``min_size > 1`` "Pelt" and "KernelCPD" may miss the optimum (see above).

    Args:
        name: a key of ``RUPTURES``.
        values: (n, d) finite numbers.
        penalty: price of one more change point, >= 0.
        min_size: fewest samples of a segment, >= 1.
        most: largest number of change points; any number from n on is no limit.

    Returns:
        (n_changes,) ascending samples in 1..n-1; none where no two segments fit.

    Raises:
        ParameterError: an unknown name.
    """
    if name not in RUPTURES:
        raise ParameterError(
            "method", f"ruptures:{name}", ", ".join(f'"ruptures:{known}"' for known in RUPTURES)
        )
    run = np.asarray(values, np.float64)
    run = run[:, None] if run.ndim == 1 else run
    most = min(most, len(run) // min_size - 1)
    if most < 1:
        return np.empty(0, np.int64)
    run = np.ascontiguousarray(run - run.mean(axis=0))  # ruptures does not centre: an offset eats its digits
    return np.asarray(RUPTURES[name](run, penalty, min_size, most), np.int64)
