-- The keys of the cache that are read most, noted by the server from time to
-- time, so that it can load them again after a start.
create table if not exists pupitre.hot (
  key text not null primary key,
  reads bigint not null
);
