/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program's command table. Thread: any. */
#include "util/osdep.h"
#include "qapi/qapi.h"

static int compare_name(const void *name, const void *command)
{
    return strcmp(name, ((const QapiCommand *)command)->name);
}

const QapiCommand *qapi_command_find(const char *name)
{
    return bsearch(name, qapi_commands, qapi_commands_count, sizeof(qapi_commands[0]), compare_name);
}
