/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-balloon (virtio 1.2, 5.5): the guest gives pages back to the host when it is
 * asked to, tells how it uses its memory, and reports pages that it does not use.
 *
 * Which queue does what depends on the features that the driver took: after
 * the first two, each optional one follows in order if its feature is there.
 *
 * Thread: main loop; the hint queue's handler may run on an iothread. Trust:
 * page numbers are the guest's. Giving back a page means that it reads as zeroes
 * from then on; only the guest's own RAM is reachable this way.
 */
#include "util/osdep.h"
#include <linux/virtio_ids.h>
#include "backends/iothread.h"
#include "hw/core/machine.h"
#include "hw/mem/virtio-balloon.h"
#include "hw/pci/pci_regs.h"
#include "qapi-commands.h"
#include "qapi-events.h"
#include "trace-hw-mem.h"
#include "util/bswap.h"
#include "util/cutils.h"
#include "util/iov.h"

#define QUEUE_SIZE 128
#define REPORTING_QUEUE_SIZE 32
#define PAGE (UINT64_C(1) << VIRTIO_BALLOON_PFN_SHIFT)
#define CONFIG_SIZE sizeof(struct virtio_balloon_config)
#define NS_PER_SECOND INT64_C(1000000000)
/* Page numbers of one buffer are looked at in pieces. */
#define PFNS_AT_ONCE 256

static VirtioBalloon *the_balloon;

static uint64_t ram_size(void)
{
    return machine_current()->ram_size;
}

/* ---- giving memory back ---- */

/* [addr, addr + len) of guest memory, as far as it is RAM. */
static void give_back(GuestAddr addr, uint64_t len)
{
    while (len) {
        uint64_t n = len;
        void *host = guest_map(&address_space_memory, addr, &n, true);

        if (!host) {
            n = MIN(len, PAGE);
        } else {
            ram_block_discard(host, n);
            guest_unmap(&address_space_memory, host, n, true, 0);
        }
        addr += n;
        len -= n;
    }
}

/* A run of pages that is being collected, so that neighbours cost one call. */
typedef struct PageRun {
    uint64_t first, count;
} PageRun;

static void flush_run(VirtioBalloon *s, PageRun *run, bool inflate)
{
    if (run->count) {
        trace_virtio_balloon_pages(s, inflate, run->count * PAGE);
        if (inflate) {
            give_back(run->first * PAGE, run->count * PAGE);
        }
        run->count = 0;
    }
}

static void add_page(VirtioBalloon *s, PageRun *run, uint64_t pfn, bool inflate)
{
    if (run->count && pfn == run->first + run->count) {
        run->count++;
    } else if (run->count && pfn + 1 == run->first) {
        /* Drivers allocate from above, too. */
        run->first--;
        run->count++;
    } else {
        flush_run(s, run, inflate);
        *run = (PageRun){ pfn, 1 };
    }
}

/* A deflated page needs nothing: the host makes it when it is touched. */
static void pages_serve(VirtioBalloon *s, VirtQueue *vq, bool inflate)
{
    VirtQueueElement *elem;
    unsigned served = 0;

    while ((elem = virtqueue_pop(vq, sizeof(*elem)))) {
        uint32_t pfns[PFNS_AT_ONCE];
        PageRun run = { 0 };
        size_t offset = 0, n;

        while ((n = iov_to_buf(elem->out, elem->out_count, offset, pfns, sizeof(pfns))) >= sizeof(pfns[0])) {
            for (size_t i = 0; i < n / sizeof(pfns[0]); i++) {
                add_page(s, &run, le32toh(pfns[i]), inflate);
            }
            offset += n;
        }
        flush_run(s, &run, inflate);
        virtqueue_push(elem, 0);
        virtqueue_element_free(elem);
        served++;
    }
    if (served) {
        virtqueue_notify(vq);
    }
}

/* The buffers themselves are the free memory, until they are given back. */
static void reporting_serve(VirtioBalloon *s, VirtQueue *vq)
{
    /* Where the driver fills free pages with a pattern, zeroes would look like corruption. */
    bool keep = virtio_has_feature(&s->vdev, VIRTIO_BALLOON_F_PAGE_POISON) && s->poison;
    VirtQueueElement *elem;
    unsigned served = 0;

    while ((elem = virtqueue_pop(vq, sizeof(*elem)))) {
        trace_virtio_balloon_reported(s, elem->in_size);
        for (unsigned i = 0; !keep && i < elem->in_count; i++) {
            ram_block_discard(elem->in[i].iov_base, elem->in[i].iov_len);
        }
        virtqueue_push(elem, 0);
        virtqueue_element_free(elem);
        served++;
    }
    if (served) {
        virtqueue_notify(vq);
    }
}

/* ---- statistics ---- */

static const char *const stat_names[VIRTIO_BALLOON_S_NR] = {
    [VIRTIO_BALLOON_S_SWAP_IN] = "stat-swap-in", [VIRTIO_BALLOON_S_SWAP_OUT] = "stat-swap-out",
    [VIRTIO_BALLOON_S_MAJFLT] = "stat-major-faults", [VIRTIO_BALLOON_S_MINFLT] = "stat-minor-faults",
    [VIRTIO_BALLOON_S_MEMFREE] = "stat-free-memory", [VIRTIO_BALLOON_S_MEMTOT] = "stat-total-memory",
    [VIRTIO_BALLOON_S_AVAIL] = "stat-available-memory", [VIRTIO_BALLOON_S_CACHES] = "stat-disk-caches",
    [VIRTIO_BALLOON_S_HTLB_PGALLOC] = "stat-htlb-pgalloc", [VIRTIO_BALLOON_S_HTLB_PGFAIL] = "stat-htlb-pgfail",
};

static void forget_stats(VirtioBalloon *s)
{
    memset(s->stats, 0xff, sizeof(s->stats));
}

/* Giving the buffer back asks for new ones. */
static void return_stats_buffer(VirtioBalloon *s)
{
    VirtQueue *vq = s->stats_elem->vq;

    virtqueue_push(s->stats_elem, 0);
    virtqueue_element_free(s->stats_elem);
    s->stats_elem = NULL;
    virtqueue_notify(vq);
}

static void arm_poll(VirtioBalloon *s)
{
    if (s->poll_interval) {
        timer_arm_ns(&s->poll_timer, clock_now_ns(CLOCK_TYPE_VIRTUAL) + s->poll_interval * NS_PER_SECOND);
    }
}

static void poll_stats(void *opaque)
{
    VirtioBalloon *s = opaque;

    if (s->stats_elem && virtio_queue_ready(s->stats_elem->vq)) {
        return_stats_buffer(s);
    } else {
        /* Not answered yet. */
        arm_poll(s);
    }
}

static void take_stats(VirtioBalloon *s, const VirtQueueElement *elem)
{
    struct virtio_balloon_stat stat;
    size_t offset = 0;
    unsigned count = 0;

    forget_stats(s);
    while (count < 4 * VIRTIO_BALLOON_S_NR &&
           iov_to_buf(elem->out, elem->out_count, offset, &stat, sizeof(stat)) == sizeof(stat)) {
        unsigned tag = le16toh(stat.tag);

        if (tag < VIRTIO_BALLOON_S_NR) {
            s->stats[tag] = le64toh(stat.val);
        }
        offset += sizeof(stat);
        count++;
    }
    trace_virtio_balloon_stats(s, count);
    s->stats_time = g_get_real_time() / G_USEC_PER_SEC;
}

static void stats_serve(VirtioBalloon *s, VirtQueue *vq)
{
    VirtQueueElement *elem;

    while ((elem = virtqueue_pop(vq, sizeof(*elem)))) {
        if (s->stats_elem) {
            /* One is enough; a driver with more of them gets the older ones back. */
            return_stats_buffer(s);
        }
        s->stats_elem = elem;
        take_stats(s, elem);
        arm_poll(s);
    }
}

static bool get_stats(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    VirtioBalloon *s = (VirtioBalloon *)obj;
    JsonValue *stats = json_object(), *all = json_object();

    for (unsigned i = 0; i < VIRTIO_BALLOON_S_NR; i++) {
        json_object_set_uint(stats, stat_names[i], s->stats[i]);
    }
    json_object_set_take(all, "stats", stats);
    json_object_set_int(all, "last-update", s->stats_time);
    *value = all;
    return true;
}

static bool get_interval(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_int(((VirtioBalloon *)obj)->poll_interval);
    return true;
}

static bool set_interval(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    VirtioBalloon *s = (VirtioBalloon *)obj;
    int64_t seconds = 0;
    bool ok = json_is_keyval(value) ? parse_int64(json_get_string(value), 0, &seconds) == 0
                                    : json_get_int(value, &seconds);

    if (!ok) {
        error_setg(errp, "Invalid parameter type for '%s', expected: integer", p->name);
        return false;
    }
    if (seconds < 0) {
        error_setg(errp, "timer value must be greater than zero");
        return false;
    }
    if (seconds > UINT32_MAX) {
        error_setg(errp, "timer value is too big");
        return false;
    }
    s->poll_interval = seconds;
    timer_disarm(&s->poll_timer);
    if (s->vdev.started) {
        /* The first answer comes at once. */
        poll_stats(s);
    }
    return true;
}

/* ---- queues and configuration ---- */

static void handler(VirtioDevice *vdev, VirtQueue *vq)
{
    static const struct {
        unsigned feature;
        void (*serve)(VirtioBalloon *s, VirtQueue *vq);
    } optional[] = {
        { VIRTIO_BALLOON_F_STATS_VQ, stats_serve },
        { VIRTIO_BALLOON_F_FREE_PAGE_HINT, balloon_hint_serve },
        { VIRTIO_BALLOON_F_REPORTING, reporting_serve },
    };
    VirtioBalloon *s = (VirtioBalloon *)vdev;
    unsigned index = virtio_queue_index(vq), next = 2;

    if (index < 2) {
        pages_serve(s, vq, index == 0);
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(optional); i++) {
        if (virtio_has_feature(vdev, optional[i].feature) && next++ == index) {
            optional[i].serve(s, vq);
            return;
        }
    }
}

static void balloon_get_config(VirtioDevice *vdev, uint8_t *config)
{
    VirtioBalloon *s = (VirtioBalloon *)vdev;

    store_le32(config + offsetof(struct virtio_balloon_config, num_pages), s->num_pages);
    store_le32(config + offsetof(struct virtio_balloon_config, actual), s->actual);
    store_le32(config + offsetof(struct virtio_balloon_config, free_page_hint_cmd_id), atomic_load(&s->hint_id));
    store_le32(config + offsetof(struct virtio_balloon_config, poison_val), s->poison);
}

/* What the guest has left. */
static uint64_t current_size(const VirtioBalloon *s)
{
    uint64_t gone = s->actual * PAGE;

    return gone < ram_size() ? ram_size() - gone : 0;
}

static void balloon_set_config(VirtioDevice *vdev, const uint8_t *config, uint32_t addr, unsigned len)
{
    VirtioBalloon *s = (VirtioBalloon *)vdev;
    uint32_t actual = load_le32(config + offsetof(struct virtio_balloon_config, actual));

    if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON)) {
        s->poison = load_le32(config + offsetof(struct virtio_balloon_config, poison_val));
    }
    if (actual != s->actual) {
        s->actual = actual;
        qapi_event_send_BALLOON_CHANGE(current_size(s));
    }
}

static uint64_t balloon_get_features(VirtioDevice *vdev, uint64_t features)
{
    return features | BIT(VIRTIO_BALLOON_F_STATS_VQ);
}

/* ---- life ---- */

static void balloon_start(VirtioDevice *vdev)
{
    VirtioBalloon *s = (VirtioBalloon *)vdev;

    if (s->config_news) {
        s->config_news = false;
        virtio_config_changed(vdev);
    }
    arm_poll(s);
}

static void balloon_stop(VirtioDevice *vdev)
{
    timer_disarm(&((VirtioBalloon *)vdev)->poll_timer);
}

static void drop_stats_buffer(VirtioBalloon *s)
{
    if (s->stats_elem) {
        virtqueue_detach(s->stats_elem);
        virtqueue_element_free(s->stats_elem);
        s->stats_elem = NULL;
    }
}

/* What management asked for stays; what the driver had given back, it has again. */
static void balloon_reset(VirtioDevice *vdev)
{
    VirtioBalloon *s = (VirtioBalloon *)vdev;

    drop_stats_buffer(s);
    balloon_hint_reset(s);
    s->poison = 0;
    s->config_news = false;
    forget_stats(s);
}

static void balloon_queue_reset(VirtioDevice *vdev, uint16_t index)
{
    VirtioBalloon *s = (VirtioBalloon *)vdev;

    if (s->stats_elem && virtio_queue_index(s->stats_elem->vq) == index) {
        drop_stats_buffer(s);
    }
}

static bool balloon_realize(VirtioDevice *vdev, Error **errp)
{
    VirtioBalloon *s = (VirtioBalloon *)vdev;
    bool hints = vdev->host_features & BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT);

    if (the_balloon) {
        error_setg(errp, "Only one balloon device is supported");
        return false;
    }
    if (hints && !s->iothread) {
        error_setg(errp, "'free-page-hint' requires 'iothread' to be set");
        return false;
    }
    for (unsigned i = 0; i < 3; i++) {
        virtio_queue_add(vdev, QUEUE_SIZE, handler);
    }
    if (hints) {
        virtio_queue_set_loop(virtio_queue_add(vdev, QUEUE_SIZE, handler), iothread_loop((IoThread *)s->iothread));
    }
    if (vdev->host_features & BIT(VIRTIO_BALLOON_F_REPORTING)) {
        virtio_queue_add(vdev, REPORTING_QUEUE_SIZE, handler);
    }
    timer_init(&s->poll_timer, event_loop_main(), CLOCK_TYPE_VIRTUAL, poll_stats, s);
    forget_stats(s);
    balloon_hint_begin(s);
    the_balloon = s;
    return true;
}

static void balloon_unrealize(VirtioDevice *vdev)
{
    VirtioBalloon *s = (VirtioBalloon *)vdev;

    timer_disarm(&s->poll_timer);
    balloon_hint_end(s);
    the_balloon = NULL;
}

/* ---- state ---- */

static void save_stats_elem(StateStream *stream, const void *field, const void *opaque)
{
    const VirtioBalloon *s = opaque;

    state_put_u8(stream, s->stats_elem != NULL);
    if (s->stats_elem) {
        state_put_u16(stream, virtio_queue_index(s->stats_elem->vq));
        virtqueue_element_save(stream, s->stats_elem);
    }
}

static bool load_stats_elem(StateStream *stream, void *field, void *opaque)
{
    VirtioBalloon *s = opaque;

    drop_stats_buffer(s);
    if (state_get_u8(stream)) {
        VirtQueue *vq = virtio_queue(&s->vdev, state_get_u16(stream));

        s->stats_elem = vq ? virtqueue_element_load(stream, vq, sizeof(*s->stats_elem)) : NULL;
        return s->stats_elem != NULL;
    }
    return state_ok(stream);
}

static bool balloon_post_load(void *opaque, int version)
{
    VirtioBalloon *s = opaque;

    /* A round of hints that was going on belongs to the migration that brought us here. */
    if (s->hint_id > VIRTIO_BALLOON_CMD_ID_DONE || s->hint != BALLOON_HINT_IDLE) {
        s->hint_id = VIRTIO_BALLOON_CMD_ID_DONE;
        s->hint = BALLOON_HINT_IDLE;
        s->config_news = true;
    }
    return true;
}

static void save_hint(StateStream *stream, const void *field, const void *opaque)
{
    const VirtioBalloon *s = opaque;

    state_put_u8(stream, s->hint != BALLOON_HINT_IDLE);
}

static bool load_hint(StateStream *stream, void *field, void *opaque)
{
    VirtioBalloon *s = opaque;

    s->hint = state_get_u8(stream) ? BALLOON_HINT_ENDED : BALLOON_HINT_IDLE;
    return state_ok(stream);
}

static const StateField balloon_fields[] = {
    STATE_F_UINT32(VirtioBalloon, num_pages),
    STATE_F_UINT32(VirtioBalloon, actual),
    STATE_F_UINT32(VirtioBalloon, poison),
    STATE_F_UINT32(VirtioBalloon, hint_id),
    STATE_F_UINT32(VirtioBalloon, hint_last),
    STATE_F_CUSTOM(VirtioBalloon, hint, save_hint, load_hint),
    STATE_F_CUSTOM(VirtioBalloon, stats_elem, save_stats_elem, load_stats_elem),
    STATE_F_END
};

static const StateTable balloon_state = {
    .name = "virtio-balloon", .version = 1, .minimum_version = 1, .fields = balloon_fields,
    .post_load = balloon_post_load,
};

/* ---- the type ---- */

static const ObjectProperty balloon_properties[] = {
    PROP_BIT64("deflate-on-oom", VirtioBalloon, vdev.host_features, VIRTIO_BALLOON_F_DEFLATE_ON_OOM, false,
               "the guest may take pages back when it runs out of memory"),
    PROP_BIT64("free-page-hint", VirtioBalloon, vdev.host_features, VIRTIO_BALLOON_F_FREE_PAGE_HINT, false,
               "migration asks the guest for free pages and does not send them; needs iothread"),
    PROP_BIT64("page-poison", VirtioBalloon, vdev.host_features, VIRTIO_BALLOON_F_PAGE_POISON, true,
               "the guest tells what it fills free pages with"),
    PROP_BIT64("free-page-reporting", VirtioBalloon, vdev.host_features, VIRTIO_BALLOON_F_REPORTING, false,
               "the guest reports free pages, and the host takes them back"),
    PROP_LINK("iothread", VirtioBalloon, iothread, &iothread_type, "thread that serves free-page hints"),
    PROP_CUSTOM("guest-stats", "guest statistics", get_stats, NULL, PROP_READ_ONLY,
                "what the guest said about its memory"),
    PROP_CUSTOM("guest-stats-polling-interval", "int", get_interval, set_interval, PROP_RUNTIME,
                "seconds between questions for statistics; 0: none"),
    PROP_END
};

static const VirtioDeviceOps balloon_ops = {
    .name = "virtio-balloon",
    .device_id = VIRTIO_ID_BALLOON,
    .pci_class = PCI_CLASS_OTHERS,
    .config_size = CONFIG_SIZE,
    .rare_kicks = true,
    .realize = balloon_realize,
    .unrealize = balloon_unrealize,
    .reset = balloon_reset,
    .get_features = balloon_get_features,
    .get_config = balloon_get_config,
    .set_config = balloon_set_config,
    .start = balloon_start,
    .stop = balloon_stop,
    .queue_reset = balloon_queue_reset,
    .state = &balloon_state,
};

OBJECT_TYPE(virtio_balloon_type) = {
    .name = "virtio-balloon-device",
    .parent = &virtio_device_type,
    .instance_size = sizeof(VirtioBalloon),
    .description = "virtio memory balloon",
    .properties = balloon_properties,
    .impls = TYPE_IMPLS({ &virtio_device_type, &balloon_ops }),
};

/* ---- commands ---- */

static VirtioBalloon *find_balloon(Error **errp)
{
    if (!the_balloon) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_ACTIVE, "No balloon device has been activated");
    }
    return the_balloon;
}

bool qmp_balloon(const QmpBalloonArgs *args, Error **errp)
{
    VirtioBalloon *s = find_balloon(errp);

    if (!s) {
        return false;
    }
    if (args->value <= 0) {
        error_setg(errp, "Parameter 'target' expects a size");
        return false;
    }
    s->num_pages = (ram_size() - MIN((uint64_t)args->value, ram_size())) / PAGE;
    trace_virtio_balloon_target(s, s->num_pages);
    virtio_config_changed(&s->vdev);
    return true;
}

BalloonInfo *qmp_query_balloon(Error **errp)
{
    VirtioBalloon *s = find_balloon(errp);
    BalloonInfo *info;

    if (!s) {
        return NULL;
    }
    info = g_new0(BalloonInfo, 1);
    info->actual = current_size(s);
    return info;
}
