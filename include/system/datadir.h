/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where firmware files are looked for: -L folders, then the installed one.
 * Main thread.
 */
#ifndef SYSTEM_DATADIR_H
#define SYSTEM_DATADIR_H

/* @name itself when such a file exists, or in the first folder that has it; caller frees; NULL: nowhere. */
char *datadir_find(const char *name);

#endif
