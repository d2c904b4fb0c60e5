/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of the whole machine inside of its images: the disks' content and,
 * in one of the images, a migration stream (VM state). See snapshot.h.
 *
 * Main thread with the machine lock; the machine stands still meanwhile.
 */
#include "util/osdep.h"
#include "block/block-backend.h"
#include "io/channel-internal.h"
#include "migration/migration-internal.h"
#include "migration/snapshot.h"
#include "monitor/monitor.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/iov.h"

/* ---- a channel over the VM state of an image ---- */

#define CHUNK MIB
#define UNIT 512                /* what the drivers take */

typedef struct StateChannel {
    IoChannel ch;
    BlockNode *bn;
    bool writing;
    uint8_t *buf;
    size_t fill, at;            /* bytes in @buf, read of them */
    uint64_t pos, size;         /* of what is behind @buf; reading: of all */
} StateChannel;

typedef struct StateIo {
    StateChannel *s;
    size_t bytes;
    int ret;
} StateIo;

static void coroutine_fn state_io_entry(void *opaque)
{
    StateIo *io = opaque;
    StateChannel *s = io->s;
    IoVector v;

    io_vector_init_buf(&v, s->buf, io->bytes);
    io->ret = s->writing ? block_co_vmstate_write(s->bn, &v, s->pos) : block_co_vmstate_read(s->bn, &v, s->pos);
}

/* The next part of the image's VM state from or into the buffer. */
static bool state_io(StateChannel *s, size_t bytes, Error **errp)
{
    StateIo io = { s, ROUND_UP(bytes, UNIT) };

    if (s->writing) {
        memset(s->buf + bytes, 0, io.bytes - bytes);
    }
    block_run_coroutine(s->bn, state_io_entry, &io);
    if (io.ret < 0) {
        error_setg_errno(errp, -io.ret, "Cannot %s the VM state of '%s'", s->writing ? "write" : "read",
                         s->bn->node_name);
        return false;
    }
    s->pos += bytes;
    return true;
}

static ssize_t state_readv(IoChannel *ch, const struct iovec *iov, unsigned cnt, int **fds, size_t *nfds,
                           Error **errp)
{
    StateChannel *s = container_of(ch, StateChannel, ch);
    size_t n;

    if (s->at == s->fill) {
        s->at = 0;
        s->fill = MIN(s->size - s->pos, (uint64_t)CHUNK);
        if (s->fill && !state_io(s, s->fill, errp)) {
            s->fill = 0;
            return IO_CHANNEL_ERR;
        }
    }
    n = MIN(iov[0].iov_len, s->fill - s->at);
    memcpy(iov[0].iov_base, s->buf + s->at, n);
    s->at += n;
    return n;
}

static bool state_flush(StateChannel *s, Error **errp)
{
    bool ok = !s->fill || state_io(s, s->fill, errp);

    s->fill = 0;
    return ok;
}

static ssize_t state_writev(IoChannel *ch, const struct iovec *iov, unsigned cnt, const int *fds, size_t nfds,
                            Error **errp)
{
    StateChannel *s = container_of(ch, StateChannel, ch);
    ssize_t done = 0;

    for (unsigned i = 0; i < cnt; i++) {
        for (size_t at = 0; at < iov[i].iov_len;) {
            size_t n = MIN(iov[i].iov_len - at, CHUNK - s->fill);

            memcpy(s->buf + s->fill, (const char *)iov[i].iov_base + at, n);
            s->fill += n;
            at += n;
            done += n;
            if (s->fill == CHUNK && !state_flush(s, errp)) {
                return IO_CHANNEL_ERR;
            }
        }
    }
    return done;
}

static bool state_set_blocking(IoChannel *ch, bool blocking, Error **errp)
{
    return true;
}

static bool state_close(IoChannel *ch, Error **errp)
{
    StateChannel *s = container_of(ch, StateChannel, ch);

    return !s->writing || state_flush(s, errp);
}

static void state_free(IoChannel *ch)
{
    StateChannel *s = container_of(ch, StateChannel, ch);

    g_free(s->buf);
    g_free(s);
}

static const IoChannelOps state_channel_ops = {
    .name = "vm-state",
    .readv = state_readv,
    .writev = state_writev,
    .set_blocking = state_set_blocking,
    .close = state_close,
    .free = state_free,
};

/* @size: to read; 0: to write. */
static IoChannel *state_channel_new(BlockNode *bn, uint64_t size)
{
    StateChannel *s = g_new0(StateChannel, 1);

    io_channel_init(&s->ch, &state_channel_ops, "VM state");
    s->bn = bn;
    s->writing = !size;
    s->size = size;
    s->buf = g_malloc(CHUNK);
    return &s->ch;
}

/* ---- which images ---- */

static bool can_snapshot(BlockNode *bn)
{
    return !bn->read_only && block_skip_filters(bn)->drv->co_snapshot_create;
}

const char *snapshot_device_name(BlockNode *bn)
{
    for (BlockBackend *blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        if (blk_node(blk) == bn && blk_name(blk)) {
            return blk_name(blk);
        }
    }
    return bn->node_name;
}

static void add_free_node(BlockNode *bn, void *opaque)
{
    if (!bn->read_only && !bn->parents && !g_ptr_array_find(opaque, bn, NULL)) {
        g_ptr_array_add(opaque, bn);
    }
}

GPtrArray *snapshot_default_nodes(void)
{
    GPtrArray *nodes = g_ptr_array_new();

    for (BlockBackend *blk = blk_next(NULL); blk; blk = blk_next(blk)) {
        BlockNode *bn = blk_node(blk);

        if (bn && !bn->read_only && !g_ptr_array_find(nodes, bn, NULL)) {
            g_ptr_array_add(nodes, bn);
        }
    }
    block_node_foreach(add_free_node, nodes);
    return nodes;
}

static GPtrArray *named_nodes(const StrList *names, Error **errp)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();

    if (!names) {
        error_setg(errp, "At least one device is required for snapshot");
        return NULL;
    }
    for (; names; names = names->next) {
        BlockNode *bn = block_node_find(names->value);

        if (!bn) {
            error_setg(errp, "No block device node '%s'", names->value);
            return NULL;
        }
        if (!g_ptr_array_find(nodes, bn, NULL)) {
            g_ptr_array_add(nodes, bn);
        }
    }
    return g_steal_pointer(&nodes);
}

/* Those that take part, all of them able to. */
static GPtrArray *pick_nodes(const SnapshotArgs *a, Error **errp)
{
    g_autoptr(GPtrArray) nodes = a->has_devices ? named_nodes(a->devices, errp) : snapshot_default_nodes();

    for (guint i = 0; nodes && i < nodes->len; i++) {
        BlockNode *bn = nodes->pdata[i];

        if (!can_snapshot(bn)) {
            error_setg(errp, "Device '%s' is writable but does not support snapshots", snapshot_device_name(bn));
            return NULL;
        }
        if (block_images_inactive()) {
            error_setg(errp, "The images belong to another process");
            return NULL;
        }
        if (!block_node_check_unblocked(bn, errp)) {
            return NULL;
        }
    }
    return g_steal_pointer(&nodes);
}

BlockNode *snapshot_state_node(const GPtrArray *nodes, const char *name, Error **errp)
{
    for (guint i = 0; i < nodes->len; i++) {
        BlockNode *bn = nodes->pdata[i];

        if (name ? !strcmp(bn->node_name, name) : can_snapshot(bn)) {
            return bn;
        }
    }
    if (name) {
        error_setg(errp, "vmstate block device '%s' does not exist", name);
    } else {
        error_setg(errp, "no block device can store vmstate for snapshot");
    }
    return NULL;
}

/* In how many of them there is a snapshot of that name; -1: cannot be read. */
static int count_with(const GPtrArray *nodes, const char *tag, Error **errp)
{
    BlockSnapshot found;
    int count = 0;

    for (guint i = 0; i < nodes->len; i++) {
        int ret = block_snapshot_find(nodes->pdata[i], NULL, tag, &found);

        if (ret < 0) {
            error_setg_errno(errp, -ret, "Cannot read the snapshots of '%s'", snapshot_device_name(nodes->pdata[i]));
            return -1;
        }
        count += ret;
    }
    return count;
}

static bool delete_all(const GPtrArray *nodes, const char *tag, Error **errp)
{
    BlockSnapshot found;

    for (guint i = 0; i < nodes->len; i++) {
        if (block_snapshot_find(nodes->pdata[i], NULL, tag, &found) > 0 &&
            !block_snapshot_delete(nodes->pdata[i], found.id, found.name, errp)) {
            error_prepend(errp, "Could not delete snapshot '%s' on '%s': ", tag,
                          snapshot_device_name(nodes->pdata[i]));
            return false;
        }
    }
    return true;
}

bool snapshot_delete(const SnapshotArgs *a, Error **errp)
{
    g_autoptr(GPtrArray) nodes = pick_nodes(a, errp);

    return nodes && delete_all(nodes, a->tag, errp);
}

/* ---- save ---- */

/* The machine as a stream; how long it is, 0: error. */
static uint64_t write_state(BlockNode *bn, RunState state, Error **errp)
{
    g_autoptr(IoChannel) ch = state_channel_new(bn, 0);
    g_autoptr(GPtrArray) sections = NULL;
    GString *description = NULL;
    RecordChannel rc;
    RamSender ram = { 0 };
    uint64_t size;
    bool ok;

    if (!record_channel_init(&rc, ch, NULL, errp)) {
        return 0;
    }
    /* Before RAM, as saving may write to it. */
    sections = migration_save_sections(&description);
    ram_sender_begin(&ram, &rc);
    ok = migration_send_head(&rc, false, errp) && ram_sender_pass(&ram, false, errp) &&
         migration_send_machine(&rc, sections, description, state, errp) && io_channel_close(ch, errp);
    ram_sender_end(&ram);
    size = rc.out;
    record_channel_cleanup(&rc);
    g_string_free(description, true);
    return ok ? size : 0;
}

static bool create_all(const GPtrArray *nodes, const BlockNode *state_node, const BlockSnapshot *snapshot, Error **errp)
{
    for (guint i = 0; i < nodes->len; i++) {
        BlockSnapshot s = *snapshot;

        if (nodes->pdata[i] != state_node) {
            s.vm_state_size = 0;
        }
        if (!block_snapshot_create(nodes->pdata[i], &s, errp)) {
            error_prepend(errp, "Error while creating snapshot on '%s': ", snapshot_device_name(nodes->pdata[i]));
            delete_all(nodes, s.name, NULL);
            return false;
        }
    }
    return true;
}

static void set_name(BlockSnapshot *s, const char *tag)
{
    int64_t now = clock_now_ns(CLOCK_TYPE_HOST);

    s->date_sec = now / NS_PER_SEC;
    s->date_nsec = now % NS_PER_SEC;
    s->vm_clock_nsec = clock_now_ns(CLOCK_TYPE_VIRTUAL);
    s->icount = UINT64_MAX;
    if (tag && *tag) {
        g_strlcpy(s->name, tag, sizeof(s->name));
    } else {
        time_t date = s->date_sec;
        struct tm tm;

        localtime_r(&date, &tm);
        strftime(s->name, sizeof(s->name), "vm-%Y%m%d%H%M%S", &tm);
    }
}

static bool check_idle(Error **errp)
{
    if (!migration_outgoing_idle() || run_state_is(RUN_STATE_INMIGRATE)) {
        error_setg(errp, "There's a migration process in progress");
        return false;
    }
    return migration_check_unblocked(errp);
}

static bool save(const SnapshotArgs *a, bool overwrite, Error **errp)
{
    g_autoptr(GPtrArray) nodes = check_idle(errp) ? pick_nodes(a, errp) : NULL;
    RunState before = run_state();
    BlockSnapshot snapshot = { 0 };
    BlockNode *bn;
    int there;
    bool ok;

    there = nodes && a->tag ? count_with(nodes, a->tag, errp) : 0;
    if (!nodes || there < 0) {
        return false;
    }
    if (there && !overwrite) {
        error_setg(errp, "Snapshot '%s' already exists in one or more devices", a->tag);
        return false;
    }
    bn = snapshot_state_node(nodes, a->state_node, errp);
    if (!bn || (there && !delete_all(nodes, a->tag, errp))) {
        return false;
    }
    if (before == RUN_STATE_RUNNING) {
        vm_stop(RUN_STATE_SAVE_VM);
    }
    set_name(&snapshot, a->tag);
    snapshot.vm_state_size = write_state(bn, before, errp);
    ok = snapshot.vm_state_size && create_all(nodes, bn, &snapshot, errp);
    if (before == RUN_STATE_RUNNING) {
        vm_start();
    }
    return ok;
}

/* ---- load ---- */

static bool read_state(BlockNode *bn, uint64_t size, Error **errp)
{
    g_autoptr(IoChannel) ch = state_channel_new(bn, size);
    StreamReader reader;
    bool ok;

    if (!stream_reader_init(&reader, ch, NULL, errp)) {
        return false;
    }
    ok = stream_reader_run(&reader, errp) && migration_load_machine(reader.sections, errp);
    stream_reader_cleanup(&reader);
    return ok;
}

static bool go_to_all(const GPtrArray *nodes, const char *tag, Error **errp)
{
    BlockSnapshot found;

    for (guint i = 0; i < nodes->len; i++) {
        /* By id, as the name may be another snapshot's id. */
        if (block_snapshot_find(nodes->pdata[i], NULL, tag, &found) <= 0 ||
            !block_snapshot_goto(nodes->pdata[i], found.id, errp)) {
            error_prepend(errp, "Could not load snapshot '%s' on '%s': ", tag,
                          snapshot_device_name(nodes->pdata[i]));
            return false;
        }
    }
    return true;
}

/* Everything that can be checked before anything changes; the node with the state, NULL with @errp. */
static BlockNode *check_load(const SnapshotArgs *a, const GPtrArray *nodes, BlockSnapshot *found, Error **errp)
{
    int there = count_with(nodes, a->tag, errp);
    BlockNode *bn;

    if (there < 0) {
        return NULL;
    }
    if (there < (int)nodes->len) {
        error_setg(errp, "Snapshot '%s' does not exist in one or more devices", a->tag);
        return NULL;
    }
    bn = snapshot_state_node(nodes, a->state_node, errp);
    if (!bn || block_snapshot_find(bn, NULL, a->tag, found) <= 0) {
        return NULL;
    }
    if (!found->vm_state_size) {
        error_setg(errp, "This is a disk-only snapshot. Revert to it  offline using qemu-img");
        return NULL;
    }
    return bn;
}

static bool load(const SnapshotArgs *a, Error **errp)
{
    g_autoptr(GPtrArray) nodes = check_idle(errp) ? pick_nodes(a, errp) : NULL;
    bool running = run_state_running(), ok;
    BlockSnapshot found;
    BlockNode *bn = nodes ? check_load(a, nodes, &found, errp) : NULL;

    if (!bn) {
        return false;
    }
    if (running) {
        vm_stop(RUN_STATE_RESTORE_VM);
    }
    block_drain_all_begin();
    ok = go_to_all(nodes, a->tag, errp);
    block_drain_all_end();
    if (ok) {
        system_reset(SHUTDOWN_CAUSE_NONE);
        ok = read_state(bn, found.vm_state_size, errp);
        if (!ok) {
            error_prepend(errp, "Error while loading VM state: ");
        }
    }
    /* After a failure the machine is in no state to run: it stays stopped. */
    if (ok && running) {
        vm_start();
    }
    return ok;
}

/* ---- no command comes between, though the work polls the main loop ---- */

bool snapshot_save(const SnapshotArgs *a, bool overwrite, Error **errp)
{
    bool ok;

    monitor_hold_dispatch(true);
    ok = save(a, overwrite, errp);
    monitor_hold_dispatch(false);
    return ok;
}

bool snapshot_load(const SnapshotArgs *a, Error **errp)
{
    bool ok;

    monitor_hold_dispatch(true);
    ok = load(a, errp);
    monitor_hold_dispatch(false);
    return ok;
}
