"""Thresholds that follow from how money moves, beside those that somebody has fixed.

| model | keeps | source |
|---|---|---|
| Miller-Orr | the cheapest target between transfers that cost and money that lies idle | Miller and Orr 1966 |
| service level | a minimum that lasts, at a probability, until what was ordered has come | safety stock over a lead time |
| share of assets | a share of what is managed, at least a floor | the plan of the treasury |
| newsvendor | the stock at which one more unit costs as much as one that is missing | the critical fractile |

What comes out is a proposal in the unit of what goes in, not rounded. Moments of flows are estimates, so the quantile of
the normal distribution is taken from the standard library, as the shortest decimal that names it; the rest is exact to
forty digits.
"""

from decimal import Context, Decimal, localcontext
from statistics import NormalDist
from typing import NamedTuple

_ESTIMATE = Context(prec=40)


class MillerOrr(NamedTuple):
    """Between `lower` and `upper` nothing is done; beyond them the balance is brought to the target. `average` is what
    it is then.
    """

    lower: Decimal
    target: Decimal
    upper: Decimal
    average: Decimal


def miller_orr(
    lower: Decimal, sigma_per_day: Decimal, cost_per_transfer: Decimal, annual_rate: Decimal, days_per_year: int
) -> MillerOrr:
    """Return the bounds that cost least: a third of the distance to the upper one is the target's."""
    with localcontext(_ESTIMATE):
        spread = 3 * cost_per_transfer * sigma_per_day**2 / (4 * annual_rate / days_per_year)
        target = lower + spread ** (Decimal(1) / 3)
        return MillerOrr(lower, target, 3 * target - 2 * lower, (4 * target - lower) / 3)


def service_level(mean_out_per_day: Decimal, sigma_per_day: Decimal, lead_time_days: Decimal, service: Decimal) -> Decimal:
    """Return the minimum that lasts through the lead time with the probability `service`."""
    with localcontext(_ESTIMATE):
        return mean_out_per_day * lead_time_days + quantile(service) * sigma_per_day * lead_time_days.sqrt()


def share_of_assets(assets: Decimal, share: Decimal, floor: Decimal) -> Decimal:
    """Return the share of what is managed, at least the floor."""
    with localcontext(_ESTIMATE):
        return max(floor, assets * share)


def critical_fractile(cost_under: Decimal, cost_over_annual: Decimal, days_per_year: int) -> Decimal:
    """Return the probability with which a day's demand should be met, by what too little and too much cost per unit and
    day.
    """
    with localcontext(_ESTIMATE):
        return cost_under / (cost_under + cost_over_annual / days_per_year)


def newsvendor(mean: Decimal, sigma: Decimal, fractile: Decimal) -> Decimal:
    """Return the stock that meets a day's demand with the probability `fractile`."""
    with localcontext(_ESTIMATE):
        return mean + quantile(fractile) * sigma


def quantile(probability: Decimal) -> Decimal:
    """Return how many deviations above the mean a normal variable stays below, with this probability."""
    return Decimal(repr(NormalDist().inv_cdf(float(probability))))
