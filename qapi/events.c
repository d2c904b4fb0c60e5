/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where events leave the rooms that send them. The block layer sends events
 * too and is linked into tools that have no monitor, so the monitor registers
 * itself instead of being called by name.
 *
 * Thread: any.
 */
#include "util/osdep.h"
#include "qapi/qapi.h"

static QapiEventSink *event_sink;

void qapi_event_set_sink(QapiEventSink *sink)
{
    atomic_store_release(&event_sink, sink);
}

bool qapi_event_wanted(void)
{
    return atomic_load(&event_sink) != NULL;
}

void qapi_event_emit(int event, JsonValue *data)
{
    QapiEventSink *sink = atomic_load_acquire(&event_sink);

    if (sink != NULL) {
        sink(event, data);
    } else {
        json_unref(data);
    }
}
