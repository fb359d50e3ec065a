-- Who looks for an event by its id is to use the primary key. While a day's partition was empty, the planner took either index
-- for equally good, and after midnight a claim whose plan was made the day before read all of this one for each event. Being
-- partial, it serves only those that name an entity, which says that it is not null.
drop index walhook.events_by_entity;
create index events_by_entity on walhook.events (entity_id, id) where entity_id is not null;
