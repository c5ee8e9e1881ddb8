-- The application's own tables, as Prisma makes them; each only where it is
-- not there yet.  On an existing database this changes nothing.
do $$
begin
  if to_regtype('"Role"') is null then
    create type "Role" as enum ('USER', 'ADMIN');
  end if;
  if to_regtype('"CourseState"') is null then
    create type "CourseState" as enum ('DRAFT', 'PUBLISHED');
  end if;
  if to_regtype('"LessonState"') is null then
    create type "LessonState" as enum ('HIDDEN', 'PUBLISHED', 'PUBLIC');
  end if;
  if to_regtype('"Progress"') is null then
    create type "Progress" as enum ('NOT_STARTED', 'IN_PROGRESS', 'COMPLETED');
  end if;

  if to_regclass('"User"') is null then
    create table "User" (
      id text not null constraint "User_pkey" primary key,
      name text,
      email text,
      "emailVerified" timestamp(3),
      image text,
      "createdAt" timestamp(3) not null default current_timestamp,
      "updatedAt" timestamp(3) not null default current_timestamp,
      role "Role" not null default 'USER'
    );
    create unique index "User_email_key" on "User" (email);
  end if;

  if to_regclass('sessions') is null then
    create table sessions (
      id text not null constraint sessions_pkey primary key,
      session_token text not null,
      user_id text not null constraint sessions_user_id_fkey
        references "User" (id) on delete cascade on update cascade,
      expires timestamp(3) not null,
      created_at timestamp(3) not null default current_timestamp
    );
    create unique index sessions_session_token_key on sessions (session_token);
  end if;

  if to_regclass('"Account"') is null then
    create table "Account" (
      id text not null constraint "Account_pkey" primary key,
      "userId" text not null constraint "Account_userId_fkey"
        references "User" (id) on delete cascade on update cascade,
      type text not null,
      provider text not null,
      "providerAccountId" text not null,
      "refreshTokenExpiresIn" integer,
      refresh_token text,
      access_token text,
      expires_at integer,
      token_type text,
      scope text,
      id_token text,
      session_state text
    );
    create unique index "Account_provider_providerAccountId_key"
      on "Account" (provider, "providerAccountId");
  end if;

  if to_regclass('verificationtokens') is null then
    create table verificationtokens (
      identifier text not null,
      token text not null,
      expires timestamp(3) not null
    );
    create unique index verificationtokens_token_key on verificationtokens (token);
    create unique index verificationtokens_identifier_token_key
      on verificationtokens (identifier, token);
  end if;

  if to_regclass('"Course"') is null then
    create table "Course" (
      id text not null constraint "Course_pkey" primary key,
      name text not null,
      presentation text not null,
      image text not null,
      "createdAt" timestamp(3) not null default current_timestamp,
      "creatorId" text not null constraint "Course_creatorId_fkey"
        references "User" (id) on delete cascade on update cascade,
      state "CourseState" not null default 'DRAFT'
    );
  end if;

  if to_regclass('"Lesson"') is null then
    create table "Lesson" (
      id text not null constraint "Lesson_pkey" primary key,
      name text not null,
      rank text not null,
      content text not null,
      state "LessonState" not null default 'HIDDEN',
      "createdAt" timestamp(3) not null default current_timestamp,
      "courseId" text not null constraint "Lesson_courseId_fkey"
        references "Course" (id) on delete cascade on update cascade
    );
  end if;

  if to_regclass('"LessonOnUser"') is null then
    create table "LessonOnUser" (
      id text not null constraint "LessonOnUser_pkey" primary key,
      "userId" text not null constraint "LessonOnUser_userId_fkey"
        references "User" (id) on delete cascade on update cascade,
      "lessonId" text not null constraint "LessonOnUser_lessonId_fkey"
        references "Lesson" (id) on delete cascade on update cascade,
      progress "Progress" not null,
      "createdAt" timestamp(3) not null default current_timestamp
    );
    create unique index "LessonOnUser_userId_lessonId_key"
      on "LessonOnUser" ("userId", "lessonId");
  end if;

  if to_regclass('"CourseOnUser"') is null then
    create table "CourseOnUser" (
      id text not null constraint "CourseOnUser_pkey" primary key,
      "userId" text not null constraint "CourseOnUser_userId_fkey"
        references "User" (id) on delete cascade on update cascade,
      "courseId" text not null constraint "CourseOnUser_courseId_fkey"
        references "Course" (id) on delete cascade on update cascade,
      "createdAt" timestamp(3) not null default current_timestamp,
      "canceledAt" timestamp(3)
    );
    create unique index "CourseOnUser_userId_courseId_key"
      on "CourseOnUser" ("userId", "courseId");
  end if;
end
$$;
