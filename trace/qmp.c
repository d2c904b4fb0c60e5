/* SPDX-License-Identifier: GPL-2.0-or-later */
/* QMP: trace-event-get-state and trace-event-set-state. Main thread. */
#include "util/osdep.h"
#include "qapi-commands.h"
#include "trace/control.h"

typedef struct Collect {
    TraceEventInfoList *list, **end;
} Collect;

static void add_info(const char *name, bool on, void *opaque)
{
    Collect *c = opaque;
    TraceEventInfoList *l = g_new0(TraceEventInfoList, 1);

    l->value = g_new0(TraceEventInfo, 1);
    l->value->name = g_strdup(name);
    l->value->state = on ? TRACE_EVENT_STATE_ENABLED : TRACE_EVENT_STATE_DISABLED;
    *c->end = l;
    c->end = &l->next;
}

TraceEventInfoList *qmp_trace_event_get_state(const QmpTraceEventGetStateArgs *args, Error **errp)
{
    Collect c = { .end = &c.list };

    trace_for_each(args->name, add_info, &c);
    if (!c.list && !strpbrk(args->name, "*?")) {
        error_setg(errp, "unknown event \"%s\"", args->name);
    }
    return c.list;
}

bool qmp_trace_event_set_state(const QmpTraceEventSetStateArgs *args, Error **errp)
{
    if (!trace_set_matching(args->name, args->enable) &&
        !(args->has_ignore_unavailable && args->ignore_unavailable)) {
        error_setg(errp, "unknown event \"%s\"", args->name);
        return false;
    }
    return true;
}
