"""What became of the requests of the Postman collection: each reached its operation, and what is read without naming anything is there."""

import json
import sys

# The demo has no payment provider, and its customer is paid nothing.
OTHERWISE = {"/v1/payments/reconciliation": 409, "/v1/top-ups/terms": 409, "/v1/tenants/acme-42/payout-settings": 422}

sent = [
    (one["item"]["name"], request["method"], "/" + "/".join(request["url"]["path"]), one.get("response", {}).get("code"))
    for one in json.load(open(sys.argv[1]))["run"]["executions"]
    for request in [one["request"]]
]
assert len(sent) > 90, len(sent)
for name, method, path, status in sent:
    assert status is not None and status < 500 and status not in (401, 403, 405), (name, method, path, status)
    # A variable that nobody has filled in names nothing.
    expected = 404 if ":" in path else OTHERWISE.get(path, 200)
    assert method != "GET" or status == expected, (name, path, status)
print(f"newman: {len(sent)} requests")
