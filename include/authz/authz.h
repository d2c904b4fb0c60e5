/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Authorisation of peers that have proved who they are: the objects
 * "authz-simple", "authz-list" and "authz-listfile". Main thread, or the holder
 * of the machine lock.
 */
#ifndef AUTHZ_AUTHZ_H
#define AUTHZ_AUTHZ_H

#include "util/error.h"

/* May @identity in, as the object @id says? False with an error: no, or the object cannot tell. */
bool authz_check(const char *id, const char *identity, Error **errp);
/* Is there such an object? */
bool authz_exists(const char *id, Error **errp);

#endif
