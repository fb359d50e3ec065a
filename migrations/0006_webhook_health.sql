-- How a webhook's receiver is, where it is not well. Written only when it changes.
alter table walhook.webhooks
  -- The first failure since the last success; null while it answers well.
  add column failing_since timestamptz,
  -- Retry-After: nothing is sent before.
  add column held_until timestamptz;
