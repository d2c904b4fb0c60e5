/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interactive human monitors: a character device, line editing, and commands.
 *
 * Main thread with the machine lock. The user may type anything, leave at any
 * time, and never read: then no further input is taken.
 */
#include "util/osdep.h"
#include "monitor/hmp-internal.h"
#include "monitor/monitor-internal.h"
#include "monitor/readline.h"

#define PROMPT "(qemu) "

typedef struct HumanMonitor {
    ChardevFrontend fe;
    Hmp hmp;
    Readline *readline;
    GString *out;               /* not yet taken by the character device */
    bool running;               /* a command runs, and may poll the loop */
    bool hidden;                /* another user of the device has the terminal */
    bool greeted;
} HumanMonitor;

static GPtrArray *humans;

static void flush(HumanMonitor *mon)
{
    while (mon->out->len > 0) {
        ssize_t n = chardev_write(&mon->fe, (const uint8_t *)mon->out->str, mon->out->len);

        if (n <= 0) {
            return;             /* "writable" goes on */
        }
        g_string_erase(mon->out, 0, n);
    }
}

/* Terminals want the carriage return, too. */
static void put(HumanMonitor *mon, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n') {
            g_string_append_c(mon->out, '\r');
        }
        g_string_append_c(mon->out, *text);
    }
    flush(mon);
}

/* ---- line editing ---- */

static void on_print(void *opaque, const char *text)
{
    put(opaque, text);
}

static void on_line(void *opaque, const char *line)
{
    HumanMonitor *mon = opaque;

    mon->running = true;
    monitor_hold_dispatch(true);
    hmp_execute(&mon->hmp, line);
    monitor_hold_dispatch(false);
    mon->running = false;
    put(mon, mon->hmp.out->str);
    g_string_truncate(mon->hmp.out, 0);
    readline_start(mon->readline);
}

static GPtrArray *on_complete(void *opaque, const char *line)
{
    return hmp_complete(line);
}

static const ReadlineOps readline_ops = {
    .print = on_print, .line = on_line, .complete = on_complete,
};

/* ---- the character device ---- */

static size_t on_can_receive(void *opaque)
{
    HumanMonitor *mon = opaque;

    return !mon->running && mon->out->len <= OUTPUT_BUSY ? 1 : 0;
}

static void on_receive(void *opaque, const uint8_t *buf, size_t len)
{
    HumanMonitor *mon = opaque;

    for (size_t i = 0; i < len; i++) {
        readline_input(mon->readline, buf[i]);
    }
}

static void on_writable(void *opaque)
{
    HumanMonitor *mon = opaque;

    flush(mon);
    chardev_frontend_accept_input(&mon->fe);
}

static void greet(HumanMonitor *mon)
{
    mon->greeted = true;
    put(mon, "QEMU " NEMU_COMPAT_VERSION " monitor - type 'help' for more information\n");
    readline_start(mon->readline);
}

static void on_event(void *opaque, ChardevEvent event)
{
    HumanMonitor *mon = opaque;

    switch (event) {
    case CHARDEV_OPENED:
        g_string_truncate(mon->out, 0);
        mon->greeted = false;
        if (!mon->hidden) {
            greet(mon);
        }
        break;
    case CHARDEV_CLOSED:
        g_string_truncate(mon->out, 0);
        break;
    case CHARDEV_MUX_IN:
        mon->hidden = false;
        if (mon->greeted) {
            put(mon, "\n");
            readline_show(mon->readline);
        } else if (mon->fe.chr->be_open) {
            greet(mon);
        }
        break;
    case CHARDEV_MUX_OUT:
        mon->hidden = true;
        break;
    default:
        break;
    }
}

bool human_monitor_add(Chardev *chr, Error **errp)
{
    HumanMonitor *mon = g_new0(HumanMonitor, 1);

    if (!chardev_frontend_attach(&mon->fe, chr, errp)) {
        g_free(mon);
        return false;
    }
    mon->out = g_string_new(NULL);
    mon->readline = readline_new(PROMPT, &readline_ops, mon);
    mon->hmp = (Hmp){ .out = g_string_new(NULL), .history = readline_history(mon->readline) };
    mon->fe.can_receive = on_can_receive;
    mon->fe.receive = on_receive;
    mon->fe.event = on_event;
    mon->fe.writable = on_writable;
    mon->fe.opaque = mon;
    if (!humans) {
        humans = g_ptr_array_new();
    }
    g_ptr_array_add(humans, mon);
    chardev_frontend_set_open(&mon->fe, true);
    chardev_frontend_start(&mon->fe);
    return true;
}

void human_monitors_flush(void)
{
    for (guint i = 0; humans && i < humans->len; i++) {
        flush(g_ptr_array_index(humans, i));
    }
}
