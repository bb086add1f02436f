// Sends usage by the types that openapi-typescript made of the document, and checks that the balance moved by its price.

import createClient from "openapi-fetch";
import type { components, paths } from "./centwise";

declare const process: { env: Record<string, string | undefined> };

const check = (holds: boolean, found: unknown): void => {
  if (!holds) throw new Error(JSON.stringify(found));
};

const client = createClient<paths>({ baseUrl: process.env.URL ?? "", headers: { Authorization: `Bearer ${process.env.KEY}` } });

const balance = async (): Promise<number> => {
  const { data } = await client.GET("/v1/accounts/{tenant}", { params: { path: { tenant: "acme-42" } } });
  if (data === undefined || !("posted_cents" in data)) throw new Error(JSON.stringify(data));
  return data.posted_cents;
};

const send = async (): Promise<void> => {
  const event: components["schemas"]["UsageEvent"] = {
    id: "typescript-1",
    source: "clients",
    customer: "acme-42",
    meter: "call",
    quantity: "60",
    at: new Date().toISOString(),
    destination: "+4930123456",
  };
  const before = await balance();
  const rated = await client.POST("/v1/usage-events", { body: event });
  if (rated.data === undefined || !("status" in rated.data)) throw new Error(JSON.stringify(rated.error));
  const status: components["schemas"]["EventStatus"] = rated.data.status;
  const debit = rated.data.debit_cents ?? 0;
  check(rated.response.status === 201 && status === "rated" && debit > 0, rated.data);
  check((await balance()) === before - debit, rated.data);

  const again = await client.POST("/v1/usage-events", { body: { events: [event] } });
  check(again.data !== undefined && "data" in again.data && again.data.data[0]?.status === "duplicate", again.data);
  check((await balance()) === before - debit, again.data);

  const refused = await client.POST("/v1/usage-events", { body: { ...event, id: "typescript-2", quantity: "many" } });
  check(refused.error?.code === "invalid_field" && refused.error.field === "quantity", refused.error);
  console.log(`openapi-typescript: ${debit} cents`);
};

send().catch(error => {
  console.error(error);
  (process as unknown as { exitCode: number }).exitCode = 1;
});
