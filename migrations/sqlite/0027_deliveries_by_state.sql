-- What waits and what was given up is counted every few seconds.
create index deliveries_waiting on deliveries (id) where state = 'waiting';
create index deliveries_failed on deliveries (id) where state = 'failed';
