-- Passwords, apart from the application's tables so that Prisma never sees
-- them.
create table if not exists pupitre.credential (
  user_id text not null primary key
    references "User" (id) on delete cascade on update cascade,
  hash text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
