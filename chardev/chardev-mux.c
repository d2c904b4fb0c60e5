/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "mux": several users of one character device, such as a serial port and a
 * monitor on a terminal. All of them write; input goes to the one in focus. An
 * escape key (Ctrl-A) switches between them and has a few commands of its own.
 *
 * Thread: main thread; write from any thread.
 * Trust: input is any bytes.
 */
#include "util/osdep.h"
#include "chardev/chardev-internal.h"
#include "qapi-types.h"

#define USERS_MAX 4
#define BUFFER_SIZE 4096

typedef struct MuxChardev {
    Chardev parent;
    ChardevFrontend base;
    ChardevFrontend *users[USERS_MAX];
    unsigned n_users;
    int focus;                  /* -1: none */
    bool escaped;               /* the escape key was the last input */
    bool realized;              /* users were told that the device is open */
    uint8_t buffer[BUFFER_SIZE];        /* input that the user in focus has not taken yet */
    size_t buffered;
    /* Output, under write_lock. */
    bool timestamps, line_start;
    int64_t start_us;
} MuxChardev;

static uint8_t escape_key = 1;  /* Ctrl-A */
static void (*quit_program)(void), (*flush_disks)(void);

void chardev_mux_set_actions(void (*quit)(void), void (*flush)(void))
{
    quit_program = quit;
    flush_disks = flush;
}

void chardev_mux_set_escape(uint8_t key)
{
    escape_key = key;
}

static MuxChardev *mux_chardev(Chardev *chr)
{
    return (MuxChardev *)chr;
}

bool chardev_is_mux(const Chardev *chr)
{
    return object_is_a(chr, &chardev_mux_type);
}

/* ---- focus ---- */

static void tell(ChardevFrontend *fe, ChardevEvent event)
{
    if (fe != NULL && fe->started && fe->event != NULL) {
        fe->event(fe->opaque, event);
    }
}

static void tell_all(MuxChardev *s, ChardevEvent event)
{
    for (unsigned i = 0; i < s->n_users; i++) {
        tell(s->users[i], event);
    }
}

static void set_focus(MuxChardev *s, int focus)
{
    Chardev *chr = &s->parent;

    if (focus == s->focus) {
        return;
    }
    tell(chr->fe, CHARDEV_MUX_OUT);
    s->focus = focus;
    pthread_mutex_lock(&chr->write_lock);
    chr->fe = focus >= 0 ? s->users[focus] : NULL;
    pthread_mutex_unlock(&chr->write_lock);
    tell(chr->fe, CHARDEV_MUX_IN);
}

/* A new user gets the focus. */
static bool mux_attach(Chardev *chr, ChardevFrontend *fe, Error **errp)
{
    MuxChardev *s = mux_chardev(chr);

    if (s->n_users == USERS_MAX) {
        error_setg(errp, "too many uses of multiplexed chardev '%s' (maximum is %d)", chr->label, USERS_MAX);
        return false;
    }
    s->users[s->n_users] = fe;
    set_focus(s, (int)s->n_users++);
    return true;
}

static void mux_detach(Chardev *chr, ChardevFrontend *fe)
{
    MuxChardev *s = mux_chardev(chr);

    for (unsigned i = 0; i < s->n_users; i++) {
        if (s->users[i] == fe) {
            bool had_focus = s->focus == (int)i;

            memmove(&s->users[i], &s->users[i + 1], (s->n_users - i - 1) * sizeof(s->users[0]));
            s->n_users--;
            if (had_focus) {
                /* Not told that it loses the focus: it is going. */
                chr->fe = NULL;
                s->focus = -1;
                set_focus(s, (int)s->n_users - 1);
            } else if (s->focus > (int)i) {
                s->focus--;
            }
            return;
        }
    }
}

/* ---- the escape key ---- */

static void print_help(MuxChardev *s)
{
    g_autofree char *key = escape_key > 0 && escape_key < 27
                           ? g_strdup_printf("C-%c", escape_key - 1 + 'a')
                           : g_strdup_printf("%c", escape_key);
    g_autofree char *text = g_strdup_printf(
        "\r\n%s h    print this help\r\n%s x    exit emulator\r\n%s s    save disk data back to file (if -snapshot)\r\n"
        "%s t    toggle console timestamps\r\n%s b    send break (magic sysrq)\r\n"
        "%s c    switch between console and monitor\r\n%s %s  sends %s\r\n",
        key, key, key, key, key, key, key, key, key);

    chardev_write_all(&s->base, (const uint8_t *)text, strlen(text));
}

static void end_program(MuxChardev *s)
{
    static const char text[] = "QEMU: Terminated\r\n";

    chardev_write_all(&s->base, (const uint8_t *)text, strlen(text));
    if (quit_program != NULL) {
        quit_program();
    }
}

static void run_escape(MuxChardev *s, uint8_t byte)
{
    switch (byte) {
    case '?':
    case 'h':
        print_help(s);
        break;
    case 'x':
        end_program(s);
        break;
    case 's':
        if (flush_disks != NULL) {
            flush_disks();
        }
        break;
    case 'b':
        tell(s->parent.fe, CHARDEV_BREAK);
        break;
    case 'c':
        if (s->n_users > 1) {
            set_focus(s, (s->focus + 1) % (int)s->n_users);
        }
        break;
    case 't':
        pthread_mutex_lock(&s->parent.write_lock);
        s->timestamps = !s->timestamps;
        s->start_us = g_get_monotonic_time();
        s->line_start = false;
        pthread_mutex_unlock(&s->parent.write_lock);
        break;
    default:
        break;
    }
}

/* ---- input ---- */

static void deliver(MuxChardev *s)
{
    size_t done = 0;

    while (done < s->buffered) {
        size_t n = MIN(chardev_can_receive(&s->parent), s->buffered - done);

        if (n == 0) {
            break;
        }
        chardev_receive(&s->parent, s->buffer + done, n);
        done += n;
    }
    s->buffered -= done;
    memmove(s->buffer, s->buffer + done, s->buffered);
}

static size_t base_can_receive(void *opaque)
{
    MuxChardev *s = opaque;

    return BUFFER_SIZE - s->buffered;
}

static void base_receive(void *opaque, const uint8_t *buf, size_t len)
{
    MuxChardev *s = opaque;

    for (size_t i = 0; i < len; i++) {
        if (s->escaped) {
            s->escaped = false;
            if (buf[i] != escape_key) {
                run_escape(s, buf[i]);
                continue;
            }
        } else if (buf[i] == escape_key) {
            s->escaped = true;
            /* What came before is for the user who has the focus now. */
            deliver(s);
            continue;
        }
        if (s->buffered < BUFFER_SIZE) {
            s->buffer[s->buffered++] = buf[i];
        }
    }
    deliver(s);
}

static void base_writable(void *opaque)
{
    MuxChardev *s = opaque;

    for (unsigned i = 0; i < s->n_users; i++) {
        if (s->users[i]->started && s->users[i]->writable != NULL) {
            s->users[i]->writable(s->users[i]->opaque);
        }
    }
}

static void base_event(void *opaque, ChardevEvent event)
{
    MuxChardev *s = opaque;

    if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
        s->parent.be_open = s->realized && event == CHARDEV_OPENED;
        if (!s->realized) {
            return;
        }
    }
    tell_all(s, event);
}

/*
 * Users are told that the device is open when the main loop runs: by then all
 * that the command line names are there, and only one of them greets.
 */
static void realize(void *opaque)
{
    Chardev *chr = opaque;
    MuxChardev *s = mux_chardev(chr);

    if (!chr->closed && !s->realized) {
        s->realized = true;
        if (s->base.chr != NULL && s->base.chr->be_open) {
            chr->be_open = true;
            for (unsigned i = 0; i < s->n_users; i++) {
                if ((int)i != s->focus) {
                    tell(s->users[i], CHARDEV_MUX_OUT);
                }
            }
            tell_all(s, CHARDEV_OPENED);
        }
    }
    object_unref(chr);
}

static void mux_watch(Chardev *chr)
{
    MuxChardev *s = mux_chardev(chr);

    deliver(s);
    chardev_frontend_accept_input(&s->base);
}

/* ---- output ---- */

static bool write_timestamp(MuxChardev *s)
{
    int64_t us = g_get_monotonic_time() - s->start_us;
    char text[40];
    int n = snprintf(text, sizeof(text), "[%02d:%02d:%02d.%03d] ", (int)(us / 3600000000), (int)(us / 60000000 % 60),
                     (int)(us / 1000000 % 60), (int)(us / 1000 % 1000));

    return chardev_write_all(&s->base, (const uint8_t *)text, (size_t)n);
}

static ssize_t mux_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    MuxChardev *s = mux_chardev(chr);
    size_t done = 0;

    if (!s->timestamps) {
        return chardev_write(&s->base, buf, len);
    }
    while (done < len) {
        const uint8_t *end = memchr(buf + done, '\n', len - done);
        size_t n = end != NULL ? (size_t)(end - buf) + 1 - done : len - done;

        if (s->line_start && !write_timestamp(s)) {
            break;
        }
        if (!chardev_write_all(&s->base, buf + done, n)) {
            break;
        }
        s->line_start = end != NULL;
        done += n;
    }
    return done || !len ? (ssize_t)done : -1;
}

/* ---- life ---- */

static bool mux_open(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    MuxChardev *s = mux_chardev(chr);
    Chardev *base = chardev_find(backend->u.mux.data->chardev);

    if (base == NULL) {
        error_setg(errp, "mux: base chardev %s not found", backend->u.mux.data->chardev);
        return false;
    }
    if (chardev_is_mux(base)) {
        error_setg(errp, "mux: base chardev %s is itself a mux", base->label);
        return false;
    }
    if (!chardev_frontend_attach(&s->base, base, errp)) {
        return false;
    }
    s->focus = -1;
    s->base.can_receive = base_can_receive;
    s->base.receive = base_receive;
    s->base.writable = base_writable;
    s->base.event = base_event;
    s->base.opaque = s;
    chardev_frontend_set_open(&s->base, true);
    chardev_frontend_start(&s->base);
    object_ref(chr);
    event_loop_run_soon(event_loop_main(), realize, chr);
    return true;
}

static void mux_close(Chardev *chr)
{
    chardev_frontend_detach(&mux_chardev(chr)->base);
}

static void mux_finalize(Object *obj)
{
    chardev_frontend_detach(&((MuxChardev *)obj)->base);
}

static const ChardevOps mux_ops = {
    .open = mux_open, .close = mux_close, .write = mux_write, .watch = mux_watch,
    .attach = mux_attach, .detach = mux_detach,
};

OBJECT_TYPE(chardev_mux_type) = {
    .name = "chardev-mux", .parent = &chardev_type,
    .instance_size = sizeof(MuxChardev),
    .instance_finalize = mux_finalize,
    .impls = TYPE_IMPLS({ &chardev_type, &mux_ops }),
};
