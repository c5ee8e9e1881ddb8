/*
 * The Makefile says which; without it, as for a linter, it is none.
 */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#ifndef PUPITRE_VERSION
#define PUPITRE_VERSION "0"
#endif

#endif
