/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the monitor share.
 *
 * The path of a command: bytes arrive on the character device's loop (main
 * loop, or the monitors' iothread once out-of-band commands are enabled) and
 * are parsed there. Out-of-band commands run at once on that thread; all
 * others, and the answers to faulty input, go through the monitor's queue to
 * the dispatcher, a bottom half of the main loop that runs one command of one
 * monitor at a time. Answers and events are appended to the output buffer
 * under the monitor's lock.
 */
#ifndef MONITOR_INTERNAL_H
#define MONITOR_INTERNAL_H

#include <pthread.h>
#include "monitor/monitor.h"
#include "qapi-types.h"
#include "qapi/json.h"

/* So many commands may wait in a monitor with out-of-band commands; otherwise one piece of input. */
#define QUEUE_MAX 8
/* No further command is read while so much output waits for the client. */
#define OUTPUT_BUSY MIB
/* Events do not stop: a client that leaves so much unread is disconnected. */
#define OUTPUT_MAX (64 * MIB)

typedef struct Request {
    JsonValue *input;           /* NULL: a parse error */
    char *error;
    unsigned session;
} Request;

typedef struct NamedFd {
    char *name;
    int fd;
} NamedFd;

struct Monitor {
    ChardevFrontend fe;
    bool pretty;
    JsonStream *stream;         /* on the character device's loop */

    pthread_mutex_t lock;       /* for what follows */
    GQueue requests;            /* of Request */
    bool running;               /* a command of this monitor runs in the dispatcher */
    bool connected;
    bool negotiated;            /* qmp_capabilities was there; atomic */
    bool oob;                   /* out-of-band commands are enabled; atomic */
    unsigned session;           /* counts connections from 1, so that no answer reaches the next client */
    GString *out;               /* not yet taken by the character device */
    GArray *passed_fds;         /* of int: arrived, and no command took them yet */
    GArray *named_fds;          /* of NamedFd */
};

/* All monitors; they are only added, on the main thread, before others can look. */
extern GPtrArray *monitors;

/* ---- qmp.c ---- */

/*
 * Append @v and a line end, and send what can be sent; drops it when @session
 * is over. MONITOR_EVENT: for any client that has negotiated. Any thread.
 */
#define MONITOR_EVENT 0
void monitor_send(Monitor *mon, unsigned session, const JsonValue *v);
/* The client wants out-of-band commands: input moves to the iothread. Main thread. */
bool monitor_enable_oob(Monitor *mon, Error **errp);


/* ---- human.c ---- */

bool human_monitor_add(Chardev *chr, Error **errp);
/* The process ends. */
void human_monitors_flush(void);

/* ---- dispatch.c ---- */

void monitor_request_free(Request *r);
/* The value at @input (consumed) is to run out of band. */
bool monitor_input_is_oob(const Monitor *mon, const JsonValue *input);
/* Run or refuse the request, and answer. */
void monitor_dispatch(Monitor *mon, Request *r);

/* ---- events.c ---- */

/* From the first client that has negotiated on, events are wanted. */
void monitor_events_start(void);

/* ---- fds.c ---- */

/* Keep what arrived with the input; the older ones that nobody took go when the monitor is @idle. */
void monitor_take_passed_fds(Monitor *mon, bool idle);
void monitor_close_passed_fds(Monitor *mon);
void monitor_fds_init(void);

#endif
