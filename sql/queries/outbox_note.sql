-- $1 tags, a line each
-- Everybody is to forget what depends on them.
select 'ok' as outcome, pupitre.note(string_to_array($1, e'\n'))::text as body
