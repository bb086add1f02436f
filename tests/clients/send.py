"""Sends usage with the client that openapi-python-client made of the document, and checks that the balance moved by its price."""

import datetime
import os

from centwise_client import AuthenticatedClient
from centwise_client.api.accounts import get_account
from centwise_client.api.usage_events import send_usage
from centwise_client.models import Account, BatchBody, EventBody, EventStatus, Problem, UsageBatch, UsageEvent

client = AuthenticatedClient(base_url=os.environ["URL"], token=os.environ["KEY"])


def balance() -> int:
    account = get_account.sync("acme-42", client=client)
    assert isinstance(account, Account), account
    return account.posted_cents


event = UsageEvent(
    id="python-1",
    source="clients",
    customer="acme-42",
    meter="call",
    quantity="60",
    at=datetime.datetime.now(datetime.timezone.utc),
    destination="+4930123456",
)
before = balance()
rated = send_usage.sync_detailed(client=client, body=event)
assert rated.status_code == 201 and isinstance(rated.parsed, EventBody), rated
assert rated.parsed.status == EventStatus.RATED and rated.parsed.debit_cents > 0, rated.parsed
assert balance() == before - rated.parsed.debit_cents, (before, balance(), rated.parsed)

again = send_usage.sync(client=client, body=UsageBatch(events=[event]))
assert isinstance(again, BatchBody) and again.data[0].status == EventStatus.DUPLICATE, again
assert balance() == before - rated.parsed.debit_cents

refused = send_usage.sync(client=client, body=UsageEvent.from_dict({**event.to_dict(), "id": "python-2", "quantity": "many"}))
assert isinstance(refused, Problem) and (refused.code, refused.field) == ("invalid_field", "quantity"), refused
print(f"openapi-python-client: {rated.parsed.debit_cents} cents")
