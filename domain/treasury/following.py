"""Thresholds that follow from how money has moved, by the model that was told for a buffer.

| model | from the model | in the proportions that were told |
|---|---|---|
| miller_orr | minimum (`lower`), target, maximum | - |
| service_level, share_of_assets | minimum | target, maximum |
| newsvendor | target | minimum, maximum |

The batch stays as it was told. What comes out is rounded to whole units. Where it is no order of three amounts above zero,
as when nothing flows out, or where too few days were seen, there are no new thresholds and a sentence says why: those that
hold go on holding.
"""

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, localcontext

from domain.messages.treasury import PARAMETERS, Model
from domain.money import round_half_even
from domain.treasury.buffer import Thresholds, is_ordered
from domain.treasury.forecast import Moments
from domain.treasury.threshold import critical_fractile, miller_orr, newsvendor, service_level, share_of_assets

DAYS_MIN = 7
"""A week has every day of the week."""

Three = tuple[Decimal, Decimal, Decimal]
Parameters = Mapping[str, Decimal]

_ESTIMATE = Context(prec=40)


def follow(model: Model, parameters: Parameters, days: Moments, told: Thresholds, unit: int = 1) -> Thresholds | str:
    """Return the thresholds that follow from the moments of days, or a sentence that says why there are none.

    `unit` is what one of the parameters' units comes to in the unit of all else.
    """
    if days.windows < DAYS_MIN:
        return f"{days.windows} days were seen, and {model} wants {DAYS_MIN}"
    own = {name: value * unit if PARAMETERS[model][name] == "amount" else value for name, value in parameters.items()}
    with localcontext(_ESTIMATE):
        low, target, high = (round_half_even(one) for one in _MODELS[model](own, days, told))
    found = Thresholds(low, target, high, told.batch)
    return found if is_ordered(found) else f"{model} comes to {low}, {target}, {high}, which is no order above zero"


def _fixed(_own: Parameters, _days: Moments, told: Thresholds) -> Three:
    return Decimal(told.min), Decimal(told.target), Decimal(told.max)


def _miller_orr(own: Parameters, days: Moments, _told: Thresholds) -> Three:
    found = miller_orr(
        own["lower"], days.variance.sqrt(), own["cost_per_transfer"], own["annual_rate"], int(own["days_per_year"])
    )
    return found.lower, found.target, found.upper


def _service_level(own: Parameters, days: Moments, told: Thresholds) -> Three:
    minimum = service_level(-days.mean, days.variance.sqrt(), own["lead_time_days"], own["service"])
    return _in_proportion(told, minimum / told.min)


def _share_of_assets(own: Parameters, _days: Moments, told: Thresholds) -> Three:
    return _in_proportion(told, share_of_assets(own["assets"], own["share"], own["floor"]) / told.min)


def _newsvendor(own: Parameters, days: Moments, told: Thresholds) -> Three:
    fractile = critical_fractile(own["cost_under"], own["cost_over_annual"], int(own["days_per_year"]))
    return _in_proportion(told, newsvendor(-days.mean, days.variance.sqrt(), fractile) / told.target)


def _in_proportion(told: Thresholds, ratio: Decimal) -> Three:
    return told.min * ratio, told.target * ratio, told.max * ratio


_MODELS: Mapping[Model, Callable[[Parameters, Moments, Thresholds], Three]] = {
    "fixed": _fixed,
    "miller_orr": _miller_orr,
    "service_level": _service_level,
    "share_of_assets": _share_of_assets,
    "newsvendor": _newsvendor,
}
