"""A year of releases: what our rule gains and what harm it does, beside two rules that ship on a mean alone.

Simulated: 20 prompts, 52 weeks, scores that arrive within 3 days, at 1,000 and 3,000 scored units a week for each
prompt. Three rules meet the same candidates and the same traffic. *Naive offline* ships what has the higher mean on 200
fresh cases. *Naive A/B* then shows it to half of the users for a week, and ships what has the higher mean there. *Ours*
is the product's rule: screen, ledger, canary, holdback, with the product's own thresholds.

The scenarios of the grid: candidates of three mixes, an honest judge and one whose liking differs from the users' by 3
points (sd) for each candidate, five candidates a week and one. Two more were fixed, with every number, before
anything was run; they are what a canary is most likely to be wrong about:

- *gains that fade, and a new model*: every candidate pleases by up to 3 points more when it is new, and half of that is
  gone after each 14 days: no canary can see what is left. Once a year the provider changes the model, and everything is
  5 points worse the next day: a rule that compares with last week would take the release back.
- *drifting traffic, missing scores, down-voters*: the effect of a candidate differs (3 points, sd) in a part of the
  traffic whose share wanders between 10% and 60% over the year, and the offline cases are four weeks old; bad answers
  stay without a score more often than good ones (50%, 30%); 5% of the users call everything bad, on 12 days 30%.
  Candidates are of the poorest mix with good ones, and the judge is biased.

The measures, for each prompt and year: *harm* is excess bad answers from any version that is worse than the one it
replaced, in a canary or live, until it is replaced; *gain* is the mean served quality minus that at the start.
Ends with exit code 1 when a claim does not hold or a broken variant is not caught. Seeds are fixed.

    .venv/bin/python benchmarks/year.py [--small] [--out benchmarks/year_figures.json]
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gate_figures import aligned
from year_checks import Agreement, looks, screens
from year_outcomes import NAMES, Claim, Outcome, claims, outcome, years
from year_variants import Broken, broken, others
from year_world import SCENARIOS

SEED = 20_262
PROMPTS = 20
YEARS, SMALL_YEARS, VARIANT_YEARS = 120, 12, 50
"""Years of 20 prompts that are simulated for each scenario; prompts do not know of each other."""

SMALL = ("0-honest-5-1000", "0-biased-5-3000", "3-biased-1-1000", "fading-3000")
"""Scenarios in which a few years are enough to show what is claimed."""

_HEAD = ("scenario", "rule", "harm", "ours to its harm [95%]", "year-mean", "ours to its gain [95%]", "final")
_COUNTS = ("releases", "no better", "worse by > 1", "canaries", "staked", "false")
_OWN = (("canaries", 1), ("spent", 3), ("false", 3))


def table(outcomes: Sequence[Outcome]) -> str:
    """The three rules beside each other, for a prompt and year. Harm in answers, gains in points."""
    rows: list[Sequence[str]] = [(*_HEAD, *_COUNTS)]
    for one in outcomes:
        for place, rule in enumerate(NAMES):
            found, gain = one.means[rule], one.gain_ratio.get(rule)
            rows.append(
                (
                    "" if place else one.name,
                    NAMES[rule],
                    f"{found['harm'].mean:.1f}",
                    str(one.harm_ratio.get(rule, "")),
                    f"{100 * found['gain'].mean:+.2f}",
                    "" if rule == "ours" else str(gain or "gains nothing"),
                    f"{100 * found['final'].mean:+.2f}",
                    f"{found['releases'].mean:.1f}",
                    f"{found['no_better'].mean:.3f}",
                    f"{found['much_worse'].mean:.4f}",
                    *(f"{found[name].mean:.{digits}f}" if rule == "ours" else "" for name, digits in _OWN),
                )
            )
    return aligned(rows)


def broken_table(found: Sequence[Broken]) -> str:
    """Broken products beside the sound one."""
    rows = [("broken", "stream", "false promotions [95%]", "sound", "harm", "sound")]
    for one in found:
        numbers = str(one.false), str(one.sound_false), f"{one.harm.mean:.1f}", f"{one.sound_harm.mean:.1f}"
        rows.append((one.name, one.stream, *numbers))
    return aligned(rows)


def better_mean(outcomes: Sequence[Outcome]) -> list[str]:
    """Where a naive rule has the better mean, in plain words."""
    return [
        f"{NAMES[rule]} has the better mean by {-100 * lead.mean:.2f} points: {one.name}"
        for one in outcomes
        for rule, lead in one.lead.items()
        if lead.mean < 0.0
    ]


def arithmetic(screened: Agreement, looked: Agreement) -> list[Claim]:
    """Whether what is simulated is the product."""
    return [
        Claim(
            text=f"the screen is the product's in {screened.agreed} of {screened.asked}",
            holds=screened.agreed == screened.asked,
        ),
        Claim(
            text=f"a look is the product's in {looked.agreed} of {looked.asked}; evidence {looked.apart:.2f} times off"
            " at most (1.5 is tolerated: what a unit is compared with is of the day before)",
            holds=looked.agreed >= 0.95 * looked.asked and looked.apart <= 1.5,
        ),
    ]


def main() -> int:
    """Run everything, print every figure."""
    given = _arguments()
    started = time.monotonic()
    outcomes = []
    for scenario in SCENARIOS:
        if not given.small or scenario.key in SMALL:
            begun = time.monotonic()
            outcomes.append(outcome(scenario, years(scenario, PROMPTS * (SMALL_YEARS if given.small else YEARS), SEED)))
            print(f"  {scenario.key:20} {time.monotonic() - begun:6.1f} s", file=sys.stderr, flush=True)
    print(f"{table(outcomes)}\n")
    print("\n".join(better_mean(outcomes)), end="\n\n")
    wrong = list(broken(PROMPTS * (SMALL_YEARS if given.small else VARIANT_YEARS), SEED))
    print(f"{broken_table(wrong)}\n")
    sound = [] if given.small else list(others(PROMPTS * VARIANT_YEARS, SEED))
    print("".join(f"{one.sentence}\n" for one in sound))
    tries = 10 if given.small else 40
    made = [
        *arithmetic(screens(10 * tries, SEED), looks(SCENARIOS[0], tries, SEED)),
        *(claim for one in outcomes for claim in claims(one)),
        *(one.claim() for one in wrong),
    ]
    for claim in made:
        print(f"{'holds ' if claim.holds else 'FAILS '} {claim.text}")
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    if given.out:
        figures = {
            "seed": SEED,
            "prompts": PROMPTS,
            "years": YEARS,
            "variant_years": VARIANT_YEARS,
            "scenarios": [asdict(one) for one in outcomes],
            "broken": [one.figures() for one in wrong],
            "others": [asdict(one) for one in sound],
            "claims": [asdict(claim) for claim in made],
        }
        Path(given.out).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0 if all(claim.holds for claim in made) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="a few scenarios and years: for CI")
    parser.add_argument("--out", help="also write every figure to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
