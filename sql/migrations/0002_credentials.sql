-- Passwords, apart from the application's tables so that Prisma never sees
-- them.  The schema is made only where it is not there yet: to ask for it
-- again takes a right that the role need not have.
do $$
begin
  if to_regnamespace('pupitre') is null then
    create schema pupitre;
  end if;
end
$$;

create table if not exists pupitre.credential (
  user_id text not null primary key
    references "User" (id) on delete cascade on update cascade,
  hash text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
