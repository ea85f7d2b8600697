"""All metrics of the service."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

SERVED = Counter("relate_texts_served_total", "Texts served, by source.", ["source"])
EMPTY = Counter("relate_empty_answers_total", "Answers to /generate without a text, by reason.", ["reason"])
ANSWERS = Counter(
    "relate_answers_total",
    "Answers to /generate, by the reason why they hold no text of the policy; none: they hold one.",
    ["reason"],
)
REFILLS = Counter(
    "relate_refills_total",
    "Refills of a pool key, by outcome: written; no_text: none of its texts may be served; cancelled; "
    "policy_unavailable, store_unavailable and failed: errors.",
    ["outcome"],
)
CANDIDATES = Counter(
    "relate_candidates_total",
    "Raw candidates before any filter (eq. 11), by policy and verdict.",
    ["policy", "verdict"],
)
JUDGED = Counter(
    "relate_judged_total",
    "Texts of models, by the judge's decision: serve, review, refuse; unjudged: no judge covers the language; failed.",
    ["outcome"],
)
SERVINGS_LOST = Counter(
    "relate_servings_lost_total",
    "Serving rows dropped because the log was full or its database unavailable for too long.",
)
POLICY_UP = Gauge("relate_policy_up", "1 while the policy's server answers, else 0.", ["policy"])
POOL_HEADS = Gauge("relate_pool_heads", "Pool keys held in memory.")

REQUESTS = Histogram(
    "relate_request_seconds",
    "Seconds from the first byte of a request to the last byte of its answer, by route template and status.",
    ["route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10),
)
REFUSED = Counter("relate_requests_refused_total", "Requests refused before they reached a route, by rule.", ["rule"])
CONNECTIONS = Gauge("relate_connections", "Open connections of callers.")
INFLIGHT = Gauge("relate_requests_inflight", "Requests that are being answered.")
WAITING = Gauge("relate_requests_waiting", "Requests that have arrived and wait to begin.")
EVENTS = Counter("relate_events_total", "Reported events, by outcome.", ["status"])
EVENTS_REJECTED = Counter("relate_events_rejected_total", "Rejected events, by reason.", ["reason"])
SAMPLE_RATIO_ALARM = Gauge(
    "relate_sample_ratio_alarm",
    "1 while the units of a running experiment do not fall into its arms as configured, else 0.",
    ["experiment"],
)
JOBS = Gauge("relate_jobs", "Jobs by kind and state.", ["kind", "state"])
JOBS_QUEUED = Gauge("relate_jobs_queued", "Jobs that wait for a worker.")
JOBS_OLDEST_QUEUED = Gauge("relate_jobs_oldest_queued_seconds", "How long the job that waits longest has waited.")
JOBS_LAST_SUCCESS = Gauge(
    "relate_jobs_last_success_timestamp_seconds", "When a job of this kind last succeeded, as Unix time.", ["kind"]
)
LAST_SUCCESS = Gauge(
    "relate_last_success_timestamp_seconds",
    "When this last succeeded, as a job or as a command, as Unix time; 0: never.",
    ["task"],
)
