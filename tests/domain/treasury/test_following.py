"""Thresholds that follow from how money has moved: what comes out can be kept, or a sentence says why there is none."""

from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messages.treasury import PARAMETERS, BufferThresholds, Model, parameters_trouble
from domain.treasury.buffer import Thresholds, is_ordered
from domain.treasury.following import DAYS_MIN, follow
from domain.treasury.forecast import Moments

TOLD = Thresholds(10_000, 50_000, 100_000, 20_000)
GIVEN: dict[Model, dict[str, str]] = {
    "fixed": {},
    "miller_orr": {"lower": "10000", "cost_per_transfer": "20", "annual_rate": "0.09", "days_per_year": "360"},
    "service_level": {"lead_time_days": "2", "service": "0.99"},
    "share_of_assets": {"assets": "3000000", "share": "0.02", "floor": "10000"},
    "newsvendor": {"cost_under": "0.003", "cost_over_annual": "0.045", "days_per_year": "365"},
}
DAYS = Moments(DAYS_MIN, Decimal(-12_000), Decimal(81_000_000))


def _decimals(parameters: dict[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(value) for name, value in parameters.items()}


FOLLOWED: list[tuple[Model, Moments, Thresholds | str]] = [
    ("fixed", DAYS, TOLD),
    ("miller_orr", DAYS._replace(variance=Decimal(6_250_000)), Thresholds(10_000, 17_211, 31_634, 20_000)),
    ("miller_orr", DAYS._replace(variance=Decimal(0)), "miller_orr comes to 10000, 10000, 10000"),
    ("service_level", DAYS, Thresholds(53_610, 268_048, 536_096, 20_000)),
    ("service_level", DAYS._replace(mean=Decimal(900_000)), "no order above zero"),
    ("share_of_assets", DAYS, Thresholds(60_000, 300_000, 600_000, 20_000)),
    ("newsvendor", DAYS, Thresholds(5_562, 27_811, 55_623, 20_000)),
    ("newsvendor", DAYS._replace(windows=DAYS_MIN - 1), "6 days were seen"),
]


@pytest.mark.parametrize(("model", "days", "expected"), FOLLOWED)
def test_what_follows(model: Model, days: Moments, expected: Thresholds | str) -> None:
    """Each model gives the thresholds of its case (DYN-01, 03, 06, 07), rounded to whole units, or says why not."""
    found = follow(model, _decimals(GIVEN[model]), days, TOLD)
    assert expected == found if isinstance(expected, Thresholds) else expected in found


@given(
    st.sampled_from(get_args(Model)),
    st.decimals(-(10**9), 10**9, places=2),
    st.decimals(0, 10**18, places=2),
    st.lists(st.integers(1, 10**12), min_size=3, max_size=3, unique=True).map(sorted),
    st.sampled_from([1, 10_000]),
)
def test_what_follows_can_be_kept(model: Model, mean: Decimal, variance: Decimal, three: list[int], unit: int) -> None:
    """Whatever has flowed, new thresholds are three amounts above zero in their order, or there are none."""
    found = follow(model, _decimals(GIVEN[model]), Moments(30, mean, variance), Thresholds(*three, batch=5), unit)
    assert found if isinstance(found, str) else is_ordered(found) and found.batch == 5


def _message(model: str, parameters: dict[str, str]) -> dict[str, Any]:
    three = {"min": 10_000, "target": 50_000, "max": 100_000, "batch": 20_000}
    told = {"buffer": "system_buffer_usdc", "by": "anna", "reason": "r", "as_of": 1_770_000_000_000}
    return three | told | {"model": model, "parameters": parameters}


@pytest.mark.parametrize("model", GIVEN)
def test_thresholds_are_told_with_their_parameters(model: Model) -> None:
    """A message with the parameters that its model wants is read; with one less or one more, or of another, it is not."""
    assert PARAMETERS.keys() == GIVEN.keys()
    assert model == BufferThresholds.model_validate(_message(model, GIVEN[model])).model
    for wrong in [
        GIVEN[model] | {"x": "1"},
        *({n: v for n, v in GIVEN[model].items() if n != name} for name in GIVEN[model]),
    ]:
        with pytest.raises(ValueError, match=f"{model} wants the parameters"):
            BufferThresholds.model_validate(_message(model, wrong))


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("miller_orr", "lower", "0"),
        ("miller_orr", "annual_rate", "0"),
        ("miller_orr", "days_per_year", "300"),
        ("miller_orr", "days_per_year", "365.25"),
        ("service_level", "service", "1"),
        ("service_level", "service", "0"),
        ("service_level", "lead_time_days", "-1"),
        ("share_of_assets", "share", "1.1"),
        ("newsvendor", "cost_under", "-0.1"),
    ],
)
def test_parameters_have_their_range(model: Model, name: str, value: str) -> None:
    """A parameter that its model cannot use is named in a sentence."""
    trouble = parameters_trouble(model, _decimals(GIVEN[model] | {name: value}))
    assert trouble is not None
    assert trouble.startswith(f"{name} has to be ")
