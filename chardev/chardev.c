/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character devices: creation, the connection of front and back ends, logging
 * of output, and the property kind that devices use.
 *
 * Thread: see include/chardev/chardev.h. chr->loop and chr->fe change on the
 * main thread only, under write_lock when another thread may look.
 */
#include "util/osdep.h"
#include "chardev/chardev-internal.h"
#include "qapi-types.h"
#include "util/cutils.h"
#include "trace-chardev.h"

static const ChardevOps *chardev_ops(const Chardev *chr)
{
    return object_ops(chr, &chardev_type);
}

/* ---- back end side ---- */

static void watch_now(void *opaque)
{
    Chardev *chr = opaque;

    if (chr->opened && !chr->closed && chardev_ops(chr)->watch != NULL) {
        chardev_ops(chr)->watch(chr);
    }
}

static void watch_later(void *opaque)
{
    watch_now(opaque);
    object_unref(opaque);
}

void chardev_watch_soon(Chardev *chr)
{
    object_ref(chr);
    event_loop_run_soon(atomic_load(&chr->loop), watch_later, chr);
}

void chardev_update_watch(Chardev *chr)
{
    if (event_loop_is_current(atomic_load(&chr->loop))) {
        watch_now(chr);
    } else {
        chardev_watch_soon(chr);
    }
}

size_t chardev_can_receive(Chardev *chr)
{
    ChardevFrontend *fe = chr->fe;

    return fe != NULL && fe->started && fe->can_receive != NULL ? fe->can_receive(fe->opaque) : 0;
}

void chardev_receive(Chardev *chr, const uint8_t *buf, size_t len)
{
    ChardevFrontend *fe = chr->fe;

    if (fe != NULL && fe->started && fe->receive != NULL) {
        fe->receive(fe->opaque, buf, len);
    }
}

void chardev_emit(Chardev *chr, ChardevEvent event)
{
    ChardevFrontend *fe = chr->fe;

    trace_chardev_event(chr->label, event);
    if (event == CHARDEV_OPENED) {
        chr->be_open = true;
    } else if (event == CHARDEV_CLOSED) {
        chr->be_open = false;
    }
    if (fe != NULL && fe->started && fe->event != NULL) {
        fe->event(fe->opaque, event);
    }
    if (event == CHARDEV_OPENED && chr->opened) {
        chardev_update_watch(chr);
    }
}

void chardev_writable(Chardev *chr)
{
    ChardevFrontend *fe = chr->fe;

    if (fe != NULL && fe->started && fe->writable != NULL) {
        fe->writable(fe->opaque);
    }
}

int chardev_open_path(const char *path, int flags, Error **errp)
{
    int fd = open_cloexec(path, flags, 0666);

    if (fd < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", path);
    }
    return fd;
}

bool chardev_set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* ---- front end side ---- */

bool chardev_frontend_attach(ChardevFrontend *fe, Chardev *chr, Error **errp)
{
    const ChardevOps *ops = chardev_ops(chr);

    if (ops->attach == NULL && chr->fe != NULL) {
        error_setg(errp, "Device '%s' is in use", chr->label);
        return false;
    }
    assert(fe->chr == NULL);
    fe->open = false;
    fe->started = false;
    if (ops->attach == NULL) {
        chr->fe = fe;
    } else if (!ops->attach(chr, fe, errp)) {
        return false;
    }
    object_ref(chr);
    fe->chr = chr;
    return true;
}

void chardev_frontend_detach(ChardevFrontend *fe)
{
    Chardev *chr = fe->chr;

    if (chr == NULL) {
        return;
    }
    chardev_frontend_set_open(fe, false);
    fe->started = false;
    if (chardev_ops(chr)->detach != NULL) {
        chardev_ops(chr)->detach(chr, fe);
    }
    pthread_mutex_lock(&chr->write_lock);
    if (chr->fe == fe) {
        chr->fe = NULL;
    }
    fe->chr = NULL;
    pthread_mutex_unlock(&chr->write_lock);
    chardev_update_watch(chr);
    object_unref(chr);
}

void chardev_frontend_start(ChardevFrontend *fe)
{
    Chardev *chr = fe->chr;

    fe->started = true;
    if (chr == NULL) {
        return;
    }
    if (chr->be_open && fe->event != NULL) {
        fe->event(fe->opaque, CHARDEV_OPENED);
    }
    chardev_update_watch(chr);
}

void chardev_frontend_set_open(ChardevFrontend *fe, bool open)
{
    Chardev *chr = fe->chr;

    if (chr == NULL || fe->open == open) {
        return;
    }
    fe->open = open;
    if (chardev_ops(chr)->frontend_open != NULL) {
        chardev_ops(chr)->frontend_open(chr, open);
    }
}

void chardev_frontend_set_loop(ChardevFrontend *fe, EventLoop *loop)
{
    Chardev *chr = fe->chr;

    if (chr == NULL || chr->loop == loop) {
        return;
    }
    if (chardev_ops(chr)->unwatch != NULL && !chr->closed) {
        chardev_ops(chr)->unwatch(chr);
    }
    atomic_store(&chr->loop, loop);
    chardev_update_watch(chr);
}

void chardev_frontend_accept_input(ChardevFrontend *fe)
{
    if (fe->chr != NULL) {
        chardev_update_watch(fe->chr);
    }
}

static void disconnect_now(void *opaque)
{
    Chardev *chr = opaque;

    if (!chr->closed && chardev_ops(chr)->disconnect != NULL) {
        chardev_ops(chr)->disconnect(chr);
    }
    object_unref(chr);
}

void chardev_frontend_disconnect(ChardevFrontend *fe)
{
    if (fe->chr != NULL) {
        object_ref(fe->chr);
        event_loop_run_soon(atomic_load(&fe->chr->loop), disconnect_now, fe->chr);
    }
}

static void log_output(Chardev *chr, const uint8_t *buf, size_t len)
{
    /* A full disk costs the log its end, not the guest its output. */
    if (chr->log_fd >= 0 && !write_full(chr->log_fd, buf, len)) {
        trace_chardev_log_failed(chr->label, errno);
    }
}

ssize_t chardev_write(ChardevFrontend *fe, const uint8_t *buf, size_t len)
{
    Chardev *chr = fe->chr;
    ssize_t n = (ssize_t)len;

    if (chr == NULL) {
        return n;
    }
    pthread_mutex_lock(&chr->write_lock);
    if (!chr->closed) {
        n = chardev_ops(chr)->write(chr, buf, len);
        if (n > 0) {
            log_output(chr, buf, (size_t)n);
        }
    }
    pthread_mutex_unlock(&chr->write_lock);
    return n;
}

bool chardev_write_all(ChardevFrontend *fe, const uint8_t *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = chardev_write(fe, buf, len);

        if (n > 0) {
            buf += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            g_usleep(100);
        } else {
            return false;
        }
    }
    return true;
}

int chardev_frontend_get_fds(ChardevFrontend *fe, int *fds, int max)
{
    Chardev *chr = fe->chr;

    return chr != NULL && chardev_ops(chr)->get_fds != NULL ? chardev_ops(chr)->get_fds(chr, fds, max) : 0;
}

bool chardev_frontend_set_fds(ChardevFrontend *fe, const int *fds, int n)
{
    Chardev *chr = fe->chr;
    bool ok;

    if (chr == NULL || chardev_ops(chr)->set_fds == NULL) {
        return false;
    }
    pthread_mutex_lock(&chr->write_lock);
    ok = chardev_ops(chr)->set_fds(chr, fds, n);
    pthread_mutex_unlock(&chr->write_lock);
    return ok;
}

int chardev_frontend_ioctl(ChardevFrontend *fe, int cmd, void *arg)
{
    Chardev *chr = fe->chr;

    return chr != NULL && chardev_ops(chr)->ioctl != NULL ? chardev_ops(chr)->ioctl(chr, cmd, arg) : -ENOTSUP;
}

/* ---- making and removing ---- */

const char *chardev_kind_type(ChardevBackendKind kind)
{
    static const char *const names[] = {
        [CHARDEV_BACKEND_KIND_FILE] = "chardev-file",
        [CHARDEV_BACKEND_KIND_PIPE] = "chardev-pipe",
        [CHARDEV_BACKEND_KIND_SOCKET] = "chardev-socket",
        [CHARDEV_BACKEND_KIND_PTY] = "chardev-pty",
        [CHARDEV_BACKEND_KIND_NULL] = "chardev-null",
        [CHARDEV_BACKEND_KIND_MUX] = "chardev-mux",
        [CHARDEV_BACKEND_KIND_UDP] = "chardev-udp",
        [CHARDEV_BACKEND_KIND_STDIO] = "chardev-stdio",
        [CHARDEV_BACKEND_KIND_RINGBUF] = "chardev-ringbuf",
        [CHARDEV_BACKEND_KIND_MEMORY] = "chardev-ringbuf",
    };

    return names[kind];
}

static bool open_log(Chardev *chr, const ChardevCommon *common, Error **errp)
{
    int flags = O_WRONLY | O_CREAT;

    if (common->logfile == NULL) {
        return true;
    }
    flags |= common->has_logappend && common->logappend ? O_APPEND : O_TRUNC;
    chr->log_fd = open_cloexec(common->logfile, flags, 0666);
    if (chr->log_fd < 0) {
        error_setg_errno(errp, errno, "Could not create '%s'", common->logfile);
        return false;
    }
    return true;
}

/* Opened, but not in the tree yet; one reference. */
static Chardev *chardev_open(const char *id, const ChardevBackend *backend, Error **errp)
{
    const TypeInfo *type = type_find(chardev_kind_type(backend->type));
    Chardev *chr = CHARDEV(object_new(type));

    chr->label = g_strdup(id);
    /* The members of ChardevCommon come first in the data of every kind. */
    if (!open_log(chr, (const ChardevCommon *)backend->u.null.data, errp) ||
        !chardev_ops(chr)->open(chr, backend, errp)) {
        chr->closed = true;
        object_unref(chr);
        return NULL;
    }
    chr->opened = true;
    if (chr->filename == NULL) {
        chr->filename = g_strdup(type->name + strlen("chardev-"));
    }
    trace_chardev_new(chr->label, chr->filename);
    return chr;
}

Chardev *chardev_new(const char *id, const ChardevBackend *backend, Error **errp)
{
    Chardev *chr;

    if (chardev_find(id) != NULL) {
        error_setg(errp, "Chardev with id '%s' already exists", id);
        return NULL;
    }
    chr = chardev_open(id, backend, errp);
    if (chr == NULL) {
        return NULL;
    }
    if (!object_add_child(object_chardevs_root(), id, chr, errp)) {
        object_unref(chr);
        return NULL;
    }
    object_unref(chr);          /* the tree has one */
    chardev_update_watch(chr);
    return chr;
}

/*
 * @id as a mux over a device of its own, which is called @id-base and goes
 * with it (chardev_remove()).
 */
static Chardev *chardev_new_mux(const char *id, const ChardevBackend *backend, Error **errp)
{
    g_autofree char *base_id = g_strdup_printf("%s-base", id);
    ChardevMux data = { .chardev = base_id };
    ChardevBackend mux = { .type = CHARDEV_BACKEND_KIND_MUX, .u.mux.data = &data };
    Chardev *chr;

    if (chardev_new(base_id, backend, errp) == NULL) {
        return NULL;
    }
    chr = chardev_new(id, &mux, errp);
    if (chr == NULL) {
        chardev_remove(base_id, NULL);
    }
    return chr;
}

static const Chardev *chardev_base(const Chardev *mux)
{
    g_autofree char *base_id = g_strdup_printf("%s-base", mux->label);

    return chardev_find(base_id);
}

/* The user has to learn the path of a pseudo terminal; scripts read this line. */
static void tell_pty(const Chardev *chr)
{
    if (chr != NULL && chardev_pty_path(chr) != NULL) {
        printf("char device redirected to %s (label %s)\n", chardev_pty_path(chr), chr->label);
        fflush(stdout);
    }
}

Chardev *chardev_new_from_options(const char *text, Error **errp)
{
    g_autofree char *id = NULL;
    g_autoptr(ChardevBackend) backend = NULL;
    Chardev *chr;

    bool mux = false;

    if (!chardev_parse_options(text, &id, &backend, &mux, errp)) {
        return NULL;
    }
    if (!id_wellformed(id)) {
        error_setg(errp, "Parameter 'id' expects an identifier");
        error_append_hint(errp, "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.\n");
        return NULL;
    }
    if (chardev_find(id) != NULL) {
        error_setg(errp, "Duplicate ID '%s' for chardev", id);
        return NULL;
    }
    chr = mux ? chardev_new_mux(id, backend, errp) : chardev_new(id, backend, errp);
    tell_pty(mux && chr != NULL ? chardev_base(chr) : chr);
    return chr;
}

bool chardev_change_from_options(const char *id, const char *text, Error **errp)
{
    g_autofree char *with_id = g_strdup_printf("%s,id=%s", text, id);
    g_autofree char *same_id = NULL;
    g_autoptr(ChardevBackend) backend = NULL;
    Chardev *chr = chardev_find(id);
    bool mux = false;

    if (chr == NULL) {
        error_setg(errp, "Chardev '%s' does not exist", id);
        return false;
    }
    if (!chardev_parse_options(with_id, &same_id, &backend, &mux, errp)) {
        return false;
    }
    if (mux) {
        error_setg(errp, "Mux device hotswap not supported yet");
        return false;
    }
    return chardev_replace(chr, backend, errp);
}

Chardev *chardev_new_from_shorthand(const char *id, const char *text, Error **errp)
{
    g_autoptr(ChardevBackend) backend = NULL;
    bool mux = g_str_has_prefix(text, "mon:");
    Chardev *chr;

    text += mux ? strlen("mon:") : 0;
    if (g_str_has_prefix(text, "chardev:")) {
        text += strlen("chardev:");
        chr = chardev_find(text);
        if (chr == NULL) {
            error_setg(errp, "chardev \"%s\" not found", text);
        }
        return chr;
    }
    backend = chardev_parse_shorthand(text, errp);
    if (backend == NULL) {
        return NULL;
    }
    chr = mux ? chardev_new_mux(id, backend, errp) : chardev_new(id, backend, errp);
    tell_pty(mux && chr != NULL ? chardev_base(chr) : chr);
    return chr;
}

void chardev_print_kinds(void)
{
    printf("Available chardev backend types: \n");
    for (int i = 0; i < CHARDEV_BACKEND_KIND__MAX; i++) {
        printf("  %s\n", ChardevBackendKind_str(i));
    }
}

Chardev *chardev_find(const char *id)
{
    Object *obj = object_child(object_chardevs_root(), id);

    return obj != NULL ? CHARDEV(obj) : NULL;
}

static void close_backend(Chardev *chr)
{
    if (chr->opened && !chr->closed) {
        pthread_mutex_lock(&chr->write_lock);
        chr->closed = true;
        pthread_mutex_unlock(&chr->write_lock);
        if (chardev_ops(chr)->close != NULL) {
            chardev_ops(chr)->close(chr);
        }
    }
}

bool chardev_remove(const char *id, Error **errp)
{
    Chardev *chr = chardev_find(id);
    g_autofree char *base_id = g_strdup_printf("%s-base", id);
    bool mux;

    if (chr == NULL) {
        error_setg(errp, "Chardev '%s' not found", id);
        return false;
    }
    if (chr->fe != NULL) {
        error_setg(errp, "Chardev '%s' is busy", id);
        return false;
    }
    mux = chardev_is_mux(chr);
    close_backend(chr);
    object_unparent(chr);
    if (mux && chardev_find(base_id) != NULL) {
        chardev_remove(base_id, NULL);
    }
    return true;
}

/* Take the front end's connection from @from to @to. */
static void move_frontend(ChardevFrontend *fe, Chardev *from, Chardev *to)
{
    pthread_mutex_lock(&from->write_lock);
    from->fe = NULL;
    to->fe = fe;
    fe->chr = to;
    pthread_mutex_unlock(&from->write_lock);
    object_ref(to);
    object_unref(from);
}

bool chardev_replace(Chardev *chr, const ChardevBackend *backend, Error **errp)
{
    ChardevFrontend *fe = chr->fe;
    g_autofree char *id = g_strdup(chr->label);
    Chardev *next;

    if (chardev_is_mux(chr) || backend->type == CHARDEV_BACKEND_KIND_MUX) {
        error_setg(errp, "Mux device hotswap not supported yet");
        return false;
    }
    if (fe != NULL && fe->backend_changed == NULL) {
        error_setg(errp, "Chardev user does not support chardev hotswap");
        return false;
    }
    next = chardev_open(id, backend, errp);
    if (next == NULL) {
        return false;
    }
    if (fe != NULL) {
        move_frontend(fe, chr, next);
        if (!fe->backend_changed(fe->opaque, errp)) {
            move_frontend(fe, next, chr);
            object_unref(next);
            return false;
        }
    }
    close_backend(chr);
    object_unparent(chr);
    object_add_child(object_chardevs_root(), id, next, &error_abort);
    object_unref(next);
    if (fe != NULL && fe->open && chardev_ops(next)->frontend_open != NULL) {
        chardev_ops(next)->frontend_open(next, true);
    }
    if (fe != NULL && fe->started && fe->event != NULL) {
        fe->event(fe->opaque, next->be_open ? CHARDEV_OPENED : CHARDEV_CLOSED);
    }
    chardev_update_watch(next);
    return true;
}

static int close_one(Object *child, void *opaque)
{
    close_backend(CHARDEV(child));
    return 0;
}

void chardev_cleanup_all(void)
{
    object_foreach_child(object_chardevs_root(), close_one, NULL);
}

static void chardev_init(Object *obj)
{
    Chardev *chr = (Chardev *)obj;

    chr->loop = event_loop_main();
    chr->log_fd = -1;
    pthread_mutex_init(&chr->write_lock, NULL);
}

static void chardev_finalize(Object *obj)
{
    Chardev *chr = (Chardev *)obj;

    close_backend(chr);
    if (chr->log_fd >= 0) {
        close(chr->log_fd);
    }
    pthread_mutex_destroy(&chr->write_lock);
    g_free(chr->filename);
    g_free(chr->label);
}

OBJECT_TYPE(chardev_type) = {
    .name = "chardev", .parent = &object_type, .abstract = true,
    .instance_size = sizeof(Chardev),
    .instance_init = chardev_init,
    .instance_finalize = chardev_finalize,
};

/* ---- properties of devices: chardev=ID ---- */

static bool prop_get(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    ChardevFrontend *fe = property_field(obj, p);

    *value = json_string(fe->chr != NULL ? fe->chr->label : "");
    return true;
}

static bool prop_set(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    ChardevFrontend *fe = property_field(obj, p);
    const char *id = json_get_string(value);
    Chardev *chr;

    if (id == NULL) {
        error_setg(errp, "Invalid parameter type for '%s', expected: string", p->name);
        return false;
    }
    chr = chardev_find(id);
    if (*id != '\0' && chr == NULL) {
        error_setg(errp, "Property '%s.%s' can't find value '%s'", obj->type->name, p->name, id);
        return false;
    }
    if (chr != NULL && chr->fe != NULL && chr->fe != fe && chardev_ops(chr)->attach == NULL) {
        error_setg(errp, "Property '%s.%s' can't take value '%s', it's in use", obj->type->name, p->name, id);
        return false;
    }
    chardev_frontend_detach(fe);
    return chr == NULL || chardev_frontend_attach(fe, chr, errp);
}

static void prop_release(Object *obj, const ObjectProperty *p)
{
    chardev_frontend_detach(property_field(obj, p));
}

const PropertyKind prop_kind_chardev = {
    .type_name = "str", .get = prop_get, .set = prop_set, .release = prop_release,
};
