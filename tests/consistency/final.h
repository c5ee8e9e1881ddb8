/*
 * After the threads have ended and all is whole again: what the database
 * holds, and whether every answer shows it.
 */
#ifndef CONSISTENCY_FINAL_H
#define CONSISTENCY_FINAL_H

#include "questions.h"
#include "run.h"

/* Give every key its first version, before anybody asks. */
bool final_begin(struct run *run);
/* Judge the database; every question is asked SWEEPS times. */
void final_judge(struct run *run, const struct questions *questions, int sweeps);

#endif
