/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Free-page hints of virtio-balloon (virtio 1.2, 5.5.6.7): during the first pass of
 * a migration the driver tells which pages are free, and they are not sent.
 *
 * Why this loses nothing: a page that the guest takes into use again after
 * hinting is written, and the write is in the dirty log of the accelerator or of
 * the device that made it. Hints clear dirty bits only between two fetches of
 * that log: a round ends before the next fetch, and what the driver adds later
 * carries the old number and is ignored.
 *
 * Thread: the queue's (an iothread or the main loop); turns of the migration
 * come with the machine lock from any thread. Trust: a driver that hints at
 * pages in use loses their content in the copy of itself.
 */
#include "util/osdep.h"
#include "hw/mem/virtio-balloon.h"
#include "migration/migration.h"
#include "trace-hw-mem.h"
#include "util/bswap.h"
#include "util/iov.h"
#include "util/rcu.h"

/* Numbers of rounds start here, apart from stop and done. */
#define FIRST_ID UINT32_C(0x80000000)

static bool is_offered(const VirtioBalloon *s)
{
    return virtio_has_feature(&s->vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT);
}

/* ---- the driver's side ---- */

static void take_command(VirtioBalloon *s, const VirtQueueElement *elem)
{
    uint32_t id;

    if (iov_to_buf(elem->out, elem->out_count, 0, &id, sizeof(id)) != sizeof(id)) {
        virtio_device_broken(&s->vdev, "virtio-balloon: short free-page command");
        return;
    }
    id = le32toh(id);
    if (s->hint == BALLOON_HINT_ASKED && id == s->hint_id) {
        s->hint = BALLOON_HINT_TAKING;
    } else if (s->hint == BALLOON_HINT_TAKING) {
        /* Stop; or nonsense, after which it is better not to believe it. */
        s->hint = BALLOON_HINT_ENDED;
    }
    trace_virtio_balloon_hint(s, id, s->hint == BALLOON_HINT_TAKING ? "begins" : "ends");
}

/* Whole pages only. */
static void skip_range(const struct iovec *iov)
{
    RamBlock *rb;
    uint64_t offset, first, end;

    rcu_read_lock();
    if (guest_ram_block_of(iov->iov_base, &rb, &offset)) {
        first = ROUND_UP(offset, DIRTY_PAGE_SIZE);
        end = ROUND_DOWN(offset + iov->iov_len, DIRTY_PAGE_SIZE);
        if (first < end) {
            ram_block_test_and_clear_dirty(rb, DIRTY_MIGRATION, first, end - first);
        }
    }
    rcu_read_unlock();
}

void balloon_hint_serve(VirtioBalloon *s, VirtQueue *vq)
{
    VirtQueueElement *elem;
    unsigned served = 0;

    while ((elem = virtqueue_pop(vq, sizeof(*elem)))) {
        pthread_mutex_lock(&s->hint_lock);
        if (elem->out_count) {
            take_command(s, elem);
        }
        for (unsigned i = 0; s->hint == BALLOON_HINT_TAKING && i < elem->in_count; i++) {
            skip_range(&elem->in[i]);
        }
        pthread_mutex_unlock(&s->hint_lock);
        virtqueue_push(elem, 0);
        virtqueue_element_free(elem);
        served++;
    }
    if (served) {
        virtqueue_notify(vq);
    }
}

void balloon_hint_reset(VirtioBalloon *s)
{
    pthread_mutex_lock(&s->hint_lock);
    s->hint = BALLOON_HINT_IDLE;
    s->hint_id = VIRTIO_BALLOON_CMD_ID_STOP;
    pthread_mutex_unlock(&s->hint_lock);
}

/* ---- the migration's side ---- */

static void set_id(VirtioBalloon *s, BalloonHint hint, uint32_t id)
{
    bool news;

    pthread_mutex_lock(&s->hint_lock);
    news = s->hint_id != id;
    s->hint = hint;
    s->hint_id = id;
    pthread_mutex_unlock(&s->hint_lock);
    if (news) {
        trace_virtio_balloon_hint(s, id, "told");
        virtio_config_changed(&s->vdev);
    }
}

static void turn(MigrationTurn t, void *opaque)
{
    VirtioBalloon *s = opaque;
    bool poisoned = virtio_has_feature(&s->vdev, VIRTIO_BALLOON_F_PAGE_POISON) && s->poison;

    if (!is_offered(s)) {
        return;
    }
    switch (t) {
    case MIGRATION_TRACKING_BEGINS:
        break;
    case MIGRATION_FETCH_BEGINS:
        if (s->hint == BALLOON_HINT_ASKED || s->hint == BALLOON_HINT_TAKING) {
            set_id(s, BALLOON_HINT_ENDED, VIRTIO_BALLOON_CMD_ID_STOP);
        }
        break;
    case MIGRATION_PASS_BEGINS:
        /* One round is enough: later passes have little to send. Free pages with a pattern must arrive. */
        if (s->hint == BALLOON_HINT_IDLE && s->vdev.vm_running && !poisoned) {
            s->hint_last = s->hint_last < FIRST_ID ? FIRST_ID : s->hint_last + 1;
            set_id(s, BALLOON_HINT_ASKED, s->hint_last);
        }
        break;
    case MIGRATION_TRACKING_ENDS:
        /* The driver may have its pages back. */
        if (s->hint != BALLOON_HINT_IDLE) {
            set_id(s, BALLOON_HINT_IDLE, VIRTIO_BALLOON_CMD_ID_DONE);
        }
        break;
    }
}

void balloon_hint_begin(VirtioBalloon *s)
{
    pthread_mutex_init(&s->hint_lock, NULL);
    if (s->vdev.host_features & BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT)) {
        migration_notify(turn, s);
        s->hint_listening = true;
    }
}

void balloon_hint_end(VirtioBalloon *s)
{
    if (s->hint_listening) {
        migration_unnotify(turn, s);
        s->hint_listening = false;
    }
    pthread_mutex_destroy(&s->hint_lock);
}
