-- Which prices the last stretch of a counter has, and where it began: what takes an event back must know.
-- Counters from before have none: they are one stretch, of whatever versions were in force.

alter table counters add column segment bytea;  -- packed: number, version, rate and cell, where it began
