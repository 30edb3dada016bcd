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
