/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What virtio-balloon.c and balloon-hint.c share. */
#ifndef HW_MEM_VIRTIO_BALLOON_H
#define HW_MEM_VIRTIO_BALLOON_H

#include <linux/virtio_balloon.h>
#include "hw/virtio/virtio.h"

/* Free-page hints: which pages need not be sent by the migration that is going on. */
typedef enum BalloonHint {
    BALLOON_HINT_IDLE,          /* no hints are wanted */
    BALLOON_HINT_ASKED,         /* the driver was told the command id, and has not begun */
    BALLOON_HINT_TAKING,        /* it answered with that id: what follows is free */
    BALLOON_HINT_ENDED,         /* it said that there are no more, or we ended it: ignored */
} BalloonHint;

typedef struct VirtioBalloon {
    VirtioDevice vdev;
    Object *iothread;           /* serves the hints */
    uint32_t num_pages, actual; /* 4 KiB pages: wanted, and in the balloon as the driver says */
    uint32_t poison;
    /* Statistics: the driver's last ones; the buffer in which it waits to be asked again. */
    uint64_t stats[VIRTIO_BALLOON_S_NR];
    int64_t stats_time;         /* seconds, wall clock; 0: none yet */
    uint32_t poll_interval;     /* seconds; 0: off */
    VirtQueueElement *stats_elem;
    Timer poll_timer;
    /* Hints; under @hint_lock, as they arrive on another thread than the migration's turns. */
    pthread_mutex_t hint_lock;
    BalloonHint hint;
    uint32_t hint_id;           /* as the configuration shows it: stop, done, or the running number */
    uint32_t hint_last;         /* the last number */
    bool hint_listening;
    bool config_news;           /* the driver does not know yet what a migration changed */
} VirtioBalloon;

extern const TypeInfo virtio_balloon_type;

/* The hint queue's handler; any thread. */
void balloon_hint_serve(VirtioBalloon *s, VirtQueue *vq);
void balloon_hint_reset(VirtioBalloon *s);
/* While realized, when the feature is offered. */
void balloon_hint_begin(VirtioBalloon *s);
void balloon_hint_end(VirtioBalloon *s);

#endif
