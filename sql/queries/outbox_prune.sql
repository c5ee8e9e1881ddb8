-- $1 how long a row is kept, in s, $2 how many at most
select pupitre.prune_outbox($1::int * interval '1 s', $2::bigint)::text as body
