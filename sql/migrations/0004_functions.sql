-- How times are written in bodies.
create or replace function pupitre.iso(t timestamp) returns text
  language sql stable parallel safe
  return to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');

-- A pattern for ILIKE that finds TEXT anywhere, its wildcards made ordinary.
create or replace function pupitre.containing(text text) returns text
  language sql stable parallel safe
  return '%' || replace(replace(replace(text, '\', '\\'), '%', '\%'), '_', '\_') || '%';

-- {"data":[...],"total":..,"page":..,"limit":..,"totalPages":..}; ROWS are
-- finished JSON objects, with commas between.
create or replace function pupitre.list(name text, rows text, total bigint, page int, lim int)
  returns text language sql immutable parallel safe
  return '{"' || name || '":[' || coalesce(rows, '') || '],"total":' || total
    || ',"page":' || page || ',"limit":' || lim
    || ',"totalPages":' || (total + lim - 1) / lim || '}';

-- Tags, or the bare word of their family when they are many.
create or replace function pupitre.few(tags text[], family text) returns text[]
  language sql stable parallel safe
  return case when cardinality(tags) > 100 then array[family] else coalesce(tags, '{}') end;
