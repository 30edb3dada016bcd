"""`tracegrad init`: a commented settings file that is valid as it stands."""

from deploy.cli.options import Options
from optimizer.errors import BadSettings

TEMPLATE = """\
# Tracegrad settings. Every key can also be given as an environment variable (TRACEGRAD_LANGFUSE__HOST=...) or as a
# file in ./secrets (TRACEGRAD_LANGFUSE__SECRET_KEY). Keep keys out of this file:
#   export LANGFUSE_PUBLIC_KEY=...  LANGFUSE_SECRET_KEY=...  OPENAI_API_KEY=...
# Then: tracegrad doctor    checks all of this
#       tracegrad once my-prompt --dry-run
#       tracegrad gate --prompt my-prompt --candidate new.txt    judges a change that you wrote

langfuse:
  host: https://cloud.langfuse.com        # or your own server, 4.16 or newer
  environments: [production, default]     # only traces from these are read
  requests_per_minute: 20                 # Hobby allows 30; 0 switches the limit off for your own server

model:
  base_url: https://api.openai.com/v1     # any OpenAI-compatible endpoint
  task: gpt-5-mini                        # the model that your application uses: candidates are tried on it
  critic: gpt-5                           # reads complaints and rewrites
  judge: gpt-5                            # scores answers that have no exact reference
  # embedding: text-embedding-3-small     # only for promptfoo assertions of type `similar`
  concurrency: 16
  # prices:                               # only for models that the public price list does not know
  #   my-model: {input_usd_per_mtok: 0.5, output_usd_per_mtok: 2}

prompts:
  - name: my-prompt                       # a prompt in Langfuse that Tracegrad may change
    schedule: "0 3 * * *"                 # cron, UTC
    label: production                     # the version that your application reads
    rules:                                # which scores are complaints
      - {kind: numeric, score: user-feedback, below: 0.5}
      - {kind: boolean, score: resolved, bad: false}
      - {kind: categorical, score: quality, bad: [bad, wrong]}
      - {kind: correction}
    lookback_days: 30
    quorum: 2                             # an edit needs complaints from this many different users
    budget_usd: 5.0                       # model spend of one cycle, or of one `tracegrad gate`
    gate:
      datasets: []                        # Langfuse datasets with expected outputs
      # sealed_datasets: []               # kept for claims: no screen sees them, and each case proves something once
      replayed: 200                       # production inputs of other users that the screen replays
      sealed: 400                         # production inputs that are kept for claims
      evaluator: rubric                   # pairwise, contains, exact, regex, json-schema, python:module:function, or
                                          # http://host/path
      # rubric: The answer solves the user's problem in two sentences.
      assertions: []                      # promptfoo assertions that every answer must keep
      # promptfoo: promptfooconfig.yaml   # your own promptfoo configuration is run as it is written
      # attacks: true                     # try the attacks that come with Tracegrad; attack_files adds your own
      # human_score: reviewed             # a score that people give: how far does the judge agree with them?
      min_cases: 50                       # fewer cases than this never pass
      max_cases: 400
      claim: true                         # prove on sealed cases what is to be published; false only screens
      claim_budget: 0.5                   # chance of a false claim in a year
      # cost_margin: 1.5                  # how much dearer, slower and longer answers may become
      # latency_margin: 1.5
      # length_margin: 1.5
      # export: true                      # show what was compared in Langfuse, as two experiments
    release:
      policy: propose                     # observe: report only; propose: a person decides; canary: production decides
      then: promote                       # what an approval starts: promote at once, or a canary
      ask: command                        # `tracegrad approve`, or pull-request (set `path` and `forge`)
      # path: prompts/my-prompt.txt       # the prompt's file in the repository
      resolver: ofrep                     # where applications ask for a version: ofrep, langfuse or launchdarkly
      # canary:
      #   metric: {score: user-feedback}  # what a good answer is; `sampled: true` when a hash chose what is scored
      #   unit: user                      # or session
      #   budget: 0.2                     # chance of a false promotion in a year

state_dir: .tracegrad                     # database and journal
node_dir: .node                           # `tracegrad setup-node` installs promptfoo here
web: {port: 8321}                         # status page on 127.0.0.1
role: all                                 # proposer: no credential that publishes; publisher: no model key
# forge: {kind: github, repository: owner/name}   # TRACEGRAD_FORGE__TOKEN; base_url for an Enterprise server
# notify: [{kind: slack, url: https://...}]       # told of proposals, promotions, rollbacks and halts
"""


def command(options: Options, *, force: bool, show: bool) -> None:
    """Write the template to the settings path; never over an existing file unless told to."""
    if show:
        print(TEMPLATE, end="")
        return
    if options.config.exists() and not force:
        raise BadSettings(f"{options.config} exists already", "edit it, or overwrite it with `tracegrad init --force`")
    options.config.write_text(TEMPLATE, encoding="utf-8")
    print(f"Wrote {options.config}. Set your keys, edit `prompts`, then run `tracegrad doctor`.")
