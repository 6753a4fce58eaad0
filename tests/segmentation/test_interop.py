"""ruptures both ways: equal results where ruptures is exact, and never worse where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import ruptures
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from align.errors import InputError, ParameterError
from align.segmentation.interop import (
    RUPTURES,
    Dynp,
    Exact,
    ImpossibleError,
    KernelCPD,
    Pelt,
    ruptures_changes,
)
from tests.naive import least_penalised_cost, penalised_cost

SIGNAL, ENDS = ruptures.pw_constant(300, 2, 4, noise_std=1.0, delta=(3, 6), seed=1)
PENALTY = 4 * float(np.log(300))


def random_signal(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 60)), int(rng.integers(1, 4))
    return np.round(
        rng.standard_normal((n, d)) + np.repeat(rng.normal(0, 2, (n // 7 + 1, d)), 7, axis=0)[:n], 3
    )


def cost(signal: np.ndarray, ends: list[int], penalty: float = 0.0) -> float:
    return penalised_cost(signal, ends[:-1], penalty)


# --- our search as a ruptures estimator


@pytest.mark.parametrize("ours", [Exact, Pelt, Dynp, KernelCPD])
def test_each_is_a_ruptures_estimator_and_returns_its_list_of_ends(ours: type[Exact]) -> None:
    estimator = ours(min_size=2)
    assert isinstance(estimator, ruptures.base.BaseEstimator)
    ends = estimator.fit(SIGNAL).predict(pen=PENALTY)
    assert ends == ENDS == estimator.fit_predict(SIGNAL, pen=PENALTY)
    assert all(type(e) is int for e in ends)
    assert ends == estimator.predict(n_bkps=4)


@given(st.integers(0, 10_000), st.sampled_from([0.5, 2.0, 8.0]))
def test_equal_to_ruptures_where_it_is_exact(seed: int, penalty: float) -> None:
    signal = random_signal(seed)
    theirs = ruptures.Pelt("l2", min_size=1, jump=1).fit_predict(signal, pen=penalty)
    ours = Pelt("l2", min_size=1).fit_predict(signal, pen=penalty)
    assert cost(signal, ours, penalty) == pytest.approx(cost(signal, theirs, penalty), rel=1e-9, abs=1e-9)
    theirs = ruptures.KernelCPD("linear", min_size=1).fit_predict(signal, pen=penalty)
    assert cost(signal, ours, penalty) == pytest.approx(cost(signal, theirs, penalty), rel=1e-9, abs=1e-9)


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 4))
def test_n_bkps_is_the_optimum_of_dynamic_programming(seed: int, count: int, min_size: int) -> None:
    signal = random_signal(seed)
    if (count + 1) * min_size > len(signal):
        with pytest.raises(ImpossibleError, match="n_bkps"):
            Dynp(min_size=min_size).fit_predict(signal, n_bkps=count)
        return
    ours = Dynp(min_size=min_size).fit_predict(signal, n_bkps=count)
    theirs = ruptures.KernelCPD("linear", min_size=min_size).fit_predict(signal, n_bkps=count)
    assert len(ours) == count + 1 and min(np.diff([0, *ours])) >= min_size
    assert cost(signal, ours) <= cost(signal, theirs) * (1 + 1e-9) + 1e-9


def test_a_number_that_no_penalty_gives_is_found_by_search() -> None:
    """Two equal steps away from the middle: at any penalty 0 or 2 change points are best, never 1."""
    signal = np.repeat([0.0, 5.0, 0.0], 20)
    assert {
        len(Exact(min_size=1).fit_predict(signal, pen=p)) - 1 for p in (0.1, 10.0, 100.0, 300.0, 1e4)
    } == {0, 2}
    for count in (1, 2):
        ours = Exact(min_size=1).fit_predict(signal, n_bkps=count)
        theirs = ruptures.Dynp("l2", min_size=1, jump=1).fit_predict(signal, n_bkps=count)
        assert cost(signal[:, None], ours) == pytest.approx(cost(signal[:, None], theirs), abs=1e-9)


@given(st.integers(0, 10_000), st.floats(0.0, 1.2), st.integers(1, 5))
def test_epsilon_is_the_fewest_change_points_within_the_budget(
    seed: int, share: float, min_size: int
) -> None:
    signal = random_signal(seed)
    estimator = Exact(min_size=min_size).fit(signal)
    most = max(0, len(signal) // min_size - 1)
    sums = [estimator.cost.sum_of_costs(estimator.predict(n_bkps=k)) for k in range(most + 1)]
    budget = share * sums[0]
    ends = estimator.predict(epsilon=budget)
    enough = [k for k, s in enumerate(sums) if s <= budget]
    assert len(ends) - 1 == (enough[0] if enough else most)


@given(st.integers(0, 10_000), st.sampled_from(["l1", "rank"]))
def test_the_other_models_have_ruptures_objective(seed: int, model: str) -> None:
    signal = random_signal(seed)
    if len(signal) < 8 or (model == "rank" and np.linalg.matrix_rank(np.cov(signal.T)) < signal.shape[1]):
        return
    reference = ruptures.Pelt(model, min_size=2, jump=1).fit(signal)
    ours = Exact(model, min_size=2).fit(signal)
    whole = float(np.squeeze(reference.cost.error(0, len(signal))))  # rank: a matrix of one cell
    penalty = 0.05 * abs(whole) + 1.0
    ends, theirs = ours.predict(pen=penalty), reference.predict(pen=penalty)
    reached = reference.cost.sum_of_costs(ends) + penalty * len(ends)
    expected = reference.cost.sum_of_costs(theirs) + penalty * len(theirs)
    assert reached <= expected + 1e-6 * abs(whole)
    assert ours.cost.sum_of_costs(ends) == reference.cost.sum_of_costs(ends)


def test_rbf_finds_what_kernel_cpd_finds() -> None:
    signal = SIGNAL[:, :1]
    gamma = 1 / float(np.median((signal - signal.T)[np.triu_indices(len(signal), 1)] ** 2))
    theirs = ruptures.KernelCPD("rbf", min_size=2, params={"gamma": gamma}).fit_predict(signal, pen=5.0)
    assert (
        KernelCPD("rbf").fit_predict(signal, pen=5.0) == theirs == Exact("rbf").fit_predict(signal, pen=5.0)
    )
    assert Exact("meanvar").fit_predict(signal, pen=30.0) == theirs
    with pytest.raises(ParameterError, match="epsilon"):
        Exact("meanvar").fit(signal).predict(epsilon=1.0)


def test_jump_is_accepted_and_not_used() -> None:
    assert Pelt(jump=5).fit_predict(SIGNAL, pen=PENALTY) == ENDS
    coarse = ruptures.Pelt("l2", jump=5).fit_predict(SIGNAL, pen=PENALTY)
    assert cost(SIGNAL, ENDS, PENALTY) < cost(SIGNAL, coarse, PENALTY)


def test_what_ruptures_misses_with_a_least_length_is_found() -> None:
    """KernelCPD drops candidates too early under min_size (its pruning ignores it): one of many such cases."""
    missed = 0
    for seed in range(300):
        signal, penalty, min_size = random_signal(seed), 3.0, 4
        if len(signal) < 2 * min_size:
            continue
        least = least_penalised_cost(signal, penalty, min_size)
        theirs = cost(
            signal, ruptures.KernelCPD("linear", min_size=min_size).fit_predict(signal, pen=penalty), penalty
        )
        ours = cost(signal, KernelCPD("linear", min_size=min_size).fit_predict(signal, pen=penalty), penalty)
        assert ours == pytest.approx(least, rel=1e-9, abs=1e-9)
        missed += theirs > least * (1 + 1e-6)
    assert missed > 0


def test_get_params_set_params_and_clone() -> None:
    estimator = Pelt("l2", min_size=7)
    assert estimator.get_params() == {
        "model": "l2", "custom_cost": None, "min_size": 7, "jump": 1, "params": None
    }  # fmt: skip
    twin = clone(estimator.fit(SIGNAL))
    assert type(twin) is Pelt and twin.get_params() == estimator.get_params() and not hasattr(twin, "signal")
    assert twin.set_params(min_size=3).min_size == 3
    assert clone(KernelCPD("linear", min_size=3)).get_params() == {
        "kernel": "linear", "min_size": 3, "jump": 1, "params": None
    }  # fmt: skip
    assert repr(KernelCPD()) == "KernelCPD(kernel='linear', min_size=2, jump=1, params=None)"


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Pelt("nonsense"), "model is 'nonsense'; allowed: \"l2\""),
        (Pelt(min_size=0), "min_size is 0; allowed: a whole number >= 1"),
        (Pelt(jump=0), "jump is 0"),
        (Pelt(params={"gamma": 1.0}), "custom_cost, params"),
        (KernelCPD("sigmoid"), "kernel is 'sigmoid'"),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_allowed(estimator: Exact, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        estimator.fit(SIGNAL)
    assert message in str(caught.value)


def test_other_misuse_is_refused() -> None:
    with pytest.raises(ParameterError, match="set_params"):
        Pelt().set_params(penalty=1.0)
    with pytest.raises(ParameterError, match="predict"):
        Pelt().predict(pen=1.0)
    with pytest.raises(ParameterError, match="n_bkps, pen, epsilon"):
        Pelt().fit(SIGNAL).predict()
    with pytest.raises(ParameterError, match="pen"):
        Pelt().fit(SIGNAL).predict(pen=-1.0)
    with pytest.raises(ParameterError, match="signal"):
        Pelt().fit(np.zeros((3, 2, 2)))
    with pytest.raises(InputError, match="E-NONFINITE"):
        Pelt().fit(np.array([0.0, np.nan, 1.0]))
    with pytest.raises(ruptures.exceptions.BadSegmentationParameters):
        Pelt(min_size=10).fit(np.zeros(25)).predict(n_bkps=2)


# --- ruptures on our runs


@pytest.mark.parametrize("name", sorted(set(RUPTURES) - {"Dynp"}))
def test_each_search_of_ruptures_finds_clear_changes(name: str) -> None:
    found = ruptures_changes(name, SIGNAL, PENALTY, 2, 300)
    assert found.dtype == np.int64
    expected = ENDS[:3] if name == "Window" else ENDS[:-1]  # it looks 50 samples ahead and sees no later end
    assert len(found) == len(expected) and np.abs(found - expected).max() <= 5
    fewer = ruptures_changes(name, SIGNAL[:120], 5.0, 2, 1)
    assert len(fewer) == 1


@pytest.mark.parametrize("name", ["Pelt", "KernelCPD", "Dynp"])
def test_the_exact_ones_reach_the_optimum_at_min_size_1(name: str) -> None:
    for seed in range(15):
        signal = random_signal(seed)[:25]
        found = ruptures_changes(name, signal, 2.0, 1, 1000)
        assert penalised_cost(signal, found, 2.0) == pytest.approx(
            least_penalised_cost(signal, 2.0, 1), abs=1e-9
        )


@pytest.mark.parametrize("name", ["Pelt", "KernelCPD", "Dynp"])
def test_most_limits_to_the_best_of_so_many(name: str) -> None:
    signal = random_signal(3)[:25]
    free = ruptures_changes(name, signal, 0.5, 1, 100)
    limited = ruptures_changes(name, signal, 0.5, 1, 2)
    assert len(free) > 2 >= len(limited)
    best = min(cost(signal, Dynp(min_size=1).fit_predict(signal, n_bkps=k), 0.5) for k in (0, 1, 2))
    assert penalised_cost(signal, limited, 0.5) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("name", sorted(RUPTURES))
def test_short_flat_and_offset_runs(name: str) -> None:
    for values in (np.zeros(1), np.zeros(3), np.full(12, 7.0)):
        assert ruptures_changes(name, values, 1.0, 2, 100).tolist() == []
    steps = np.repeat([0.0, 9.0], 15)
    assert ruptures_changes(name, steps, 0.0 if name == "KernelCPD" else 1.0, 2, 1).tolist() == [15]
    assert ruptures_changes(name, steps + 1e9, 1.0, 2, 100).tolist() == [15]


def test_an_unknown_search_is_named_with_those_there_are() -> None:
    with pytest.raises(ParameterError) as caught:
        ruptures_changes("Amoc", SIGNAL, 1.0, 2, 10)
    assert "ruptures:Amoc" in str(caught.value)
    assert all(f'"ruptures:{name}"' in str(caught.value) for name in RUPTURES)
