/* SPDX-License-Identifier: GPL-2.0-or-later */
/* -readconfig: a file of option sections. Main thread, at start-up. */
#ifndef SYSTEM_READCONFIG_H
#define SYSTEM_READCONFIG_H

#include "system/options.h"

/* An option that the file gives; owns @text. */
typedef void ReadConfigAdd(const Option *option, char *text);
bool readconfig_parse(const char *path, ReadConfigAdd *add, Error **errp);

#endif
