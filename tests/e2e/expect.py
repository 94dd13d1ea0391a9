"""expect.py FILE CODE EXPRESSION: exit code 0 if the expression holds of what `mtasts check --json`
or `mtasts show --json` has written to FILE. Names in it: those below."""
import calendar
import json
import sys
import time


def seconds(text):
    """Unix seconds of "2027-01-31T23:59:59Z"."""
    return text and calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


with open(sys.argv[1]) as f:
    lines = [json.loads(line) for line in f if line.strip()]
j = lines[0] if lines else {}
checked = "learned" in j  # else it is of `show` or `list`
policy = (checked and j.get("policy")) or {}
hosts = j["mx"] if checked else []
names = {
    "code": int(sys.argv[2]),  # exit code
    "lines": lines,
    "j": j,  # the first line
    "now": time.time(),
    "policy": policy,
    "domain": j.get("domain"),
    "verdict": j.get("verdict"),
    "learned": j.get("learned"),
    "err": (j.get("error") or "").replace("MTASTS_ERR_", ""),
    "tlsrpt": j.get("result"),
    "http_status": (j.get("https") or {}).get("status"),
    "mode": policy.get("mode"),  # of the policy that is honoured; None: none is
    "id": policy.get("id"),
    "patterns": policy.get("mx"),
    "expires": seconds(policy.get("expires")),
    "fetched_now": policy.get("fetched_now", False),
    "it": hosts[0] if hosts else None,  # the only MX host, or the first
    "order": [mx["host"] for mx in hosts],
    "mx": {mx["host"]: mx for mx in hosts},
}
sys.exit(not eval(sys.argv[3], names))
