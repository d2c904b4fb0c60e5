/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X (PCI Local Bus 3.0, 6.8.2): the vector table and pending bits in a BAR,
 * and the delivery of vectors.
 *
 * A vector is live while MSI-X is enabled, neither the function nor the vector
 * is masked, and the function is a bus master. A notification of a live vector
 * is a message; of another one, a pending bit, sent when it becomes live.
 *
 * A notifier that is attached to a vector goes into the accelerator (route and
 * irqfd) while the vector is live. Otherwise it belongs to nobody: a
 * signal stays in it, shows as pending bit, and is injected when the vector is
 * live again. Without irqfd, or with no route left, a handler on the main loop
 * serves it. Routes are made when a vector with a notifier becomes live for the
 * first time.
 *
 * Thread: table and configuration change under the machine lock; msix_notify()
 * runs on any thread. The mutex covers what both touch, and is never held while
 * a message is sent (under qtest a message may end in a device's registers).
 * Trust: the table is the guest's; any message may be sent, as by real hardware.
 */
#include "util/osdep.h"

#include <poll.h>
#include <pthread.h>

#include "internal.h"
#include "trace-hw-pci.h"

#define ENTRY_CONTROL (PCI_MSIX_ENTRY_VECTOR_CTRL / 4)

typedef struct MsixBinding {
    struct MsixBinding *next;
    PciDevice *pci;
    unsigned vector;
    EventNotifier *notifier;
    bool in_accel;              /* attached to the vector's route */
    bool handled;               /* served by a handler of ours, to the end */
} MsixBinding;

typedef struct MsixVector {
    uint32_t entry[4];          /* address, high address, data, control */
    bool pending;
    int gsi;                    /* of the route, -1: none */
    MsiMessage routed;          /* what the route says */
    MsixBinding *bindings;
} MsixVector;

typedef struct PciMsix {
    pthread_mutex_t mutex;      /* entry, pending, live */
    bool live;                  /* enabled, not masked as a whole, bus master */
    unsigned count;
    MsixVector *vectors;
    MemoryRegion table, pba;
    MemoryRegion *exclusive;    /* BAR of our own, or NULL */
} PciMsix;

static uint16_t control(const PciDevice *pci)
{
    return pci_get_word(pci->config + pci->cap_msix + PCI_MSIX_FLAGS);
}

bool msix_enabled(const PciDevice *pci)
{
    return pci->cap_msix && (READ_ONCE(pci->config[pci->cap_msix + PCI_MSIX_FLAGS + 1]) &
                             (PCI_MSIX_FLAGS_ENABLE >> 8));
}

unsigned msix_vectors(const PciDevice *pci)
{
    return pci->msix ? pci->msix->count : 0;
}

static MsiMessage message_of(const MsixVector *v)
{
    return (MsiMessage){
        .address = ((uint64_t)v->entry[1] << 32 | v->entry[0]) & ~UINT64_C(3),
        .data = v->entry[2],
    };
}

static bool vector_live(const PciMsix *msix, const MsixVector *v)
{
    return msix->live && !(v->entry[ENTRY_CONTROL] & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* ---- notifiers ---- */

static void binding_event(void *opaque)
{
    MsixBinding *b = opaque;

    if (event_notifier_test_and_clear(b->notifier)) {
        msix_notify(b->pci, b->vector);
    }
}

static void binding_handle_ourselves(MsixBinding *b)
{
    b->handled = true;
    event_loop_set_notifier(event_loop_main(), b->notifier, binding_event, b);
}

/* The vector's route says its present message. False when there is no route to be had. */
static bool update_route(PciDevice *pci, MsixVector *v)
{
    MsiMessage msg = message_of(v);

    if (v->gsi < 0) {
        v->gsi = accel_msi_route_add(msg, pci_requester_id(pci), NULL);
    } else if (msg.address != v->routed.address || msg.data != v->routed.data) {
        accel_msi_route_update(v->gsi, msg, pci_requester_id(pci));
    }
    v->routed = msg;
    return v->gsi >= 0;
}

/* Bring the notifiers of a vector where its state wants them. */
static void place_bindings(PciDevice *pci, MsixVector *v, bool live)
{
    for (MsixBinding *b = v->bindings; b; b = b->next) {
        if (b->handled) {
            continue;
        }
        if (!live) {
            if (b->in_accel) {
                accel_irqfd_detach(v->gsi, b->notifier);
                b->in_accel = false;
            }
        } else if (!update_route(pci, v)) {
            binding_handle_ourselves(b);
        } else if (!b->in_accel) {
            b->in_accel = accel_irqfd_attach(v->gsi, b->notifier, NULL, NULL);
            if (!b->in_accel) {
                binding_handle_ourselves(b);
            }
        }
    }
}

bool msix_attach_notifier(PciDevice *pci, unsigned n, EventNotifier *notifier, Error **errp)
{
    PciMsix *msix = pci->msix;
    MsixVector *v;
    MsixBinding *b;

    if (!msix || n >= msix->count) {
        error_setg(errp, "MSI-X vector %u does not exist", n);
        return false;
    }
    v = &msix->vectors[n];
    b = g_new0(MsixBinding, 1);
    b->pci = pci;
    b->vector = n;
    b->notifier = notifier;
    b->next = v->bindings;
    v->bindings = b;
    if (accel_has_irqfd()) {
        place_bindings(pci, v, vector_live(msix, v));
    } else {
        binding_handle_ourselves(b);
    }
    return true;
}

void msix_detach_notifier(PciDevice *pci, unsigned n, EventNotifier *notifier)
{
    MsixVector *v;

    if (!pci->msix || n >= pci->msix->count) {
        return;
    }
    v = &pci->msix->vectors[n];
    for (MsixBinding **p = &v->bindings; *p; p = &(*p)->next) {
        MsixBinding *b = *p;

        if (b->notifier != notifier) {
            continue;
        }
        *p = b->next;
        if (b->in_accel) {
            accel_irqfd_detach(v->gsi, notifier);
        }
        if (b->handled) {
            event_loop_set_notifier(event_loop_main(), notifier, NULL, NULL);
        }
        g_free(b);
        break;
    }
    if (!v->bindings && v->gsi >= 0) {
        accel_msi_route_del(v->gsi);
        v->gsi = -1;
    }
}

/* A signal waits in one of the vector's notifiers. */
static bool bindings_pending(const MsixVector *v)
{
    for (MsixBinding *b = v->bindings; b; b = b->next) {
        struct pollfd pfd = { .fd = b->notifier->fd, .events = POLLIN };

        if (!b->in_accel && poll(&pfd, 1, 0) > 0) {
            return true;
        }
    }
    return false;
}

/* ---- delivery ---- */

void msix_notify(PciDevice *pci, unsigned n)
{
    PciMsix *msix = pci->msix;
    MsiMessage msg = { 0 };
    bool live = false;

    if (!msix || n >= msix->count || !msix_enabled(pci)) {
        return;
    }
    pthread_mutex_lock(&msix->mutex);
    live = vector_live(msix, &msix->vectors[n]);
    if (live) {
        msg = message_of(&msix->vectors[n]);
    } else {
        msix->vectors[n].pending = true;
    }
    pthread_mutex_unlock(&msix->mutex);

    trace_pci_msix_notify(pci->dev.obj.type->name, n, live);
    if (live) {
        accel_send_msi(msg, pci_requester_id(pci));
    }
}

/* Vector @n may have become live, or not, or has a new message. */
static void vector_changed(PciDevice *pci, unsigned n)
{
    PciMsix *msix = pci->msix;
    MsixVector *v = &msix->vectors[n];
    bool live = vector_live(msix, v);
    bool send;

    place_bindings(pci, v, live);
    pthread_mutex_lock(&msix->mutex);
    send = live && v->pending;
    if (send) {
        v->pending = false;
    }
    pthread_mutex_unlock(&msix->mutex);
    if (send) {
        accel_send_msi(message_of(v), pci_requester_id(pci));
    }
}

/* The accelerator takes the new routes in one go. */
static void all_vectors_changed(PciDevice *pci)
{
    accel_irq_begin();
    for (unsigned n = 0; n < pci->msix->count; n++) {
        vector_changed(pci, n);
    }
    accel_irq_commit();
}

void msix_update(PciDevice *pci)
{
    PciMsix *msix = pci->msix;
    bool live;

    if (!msix) {
        return;
    }
    live = pci->bus_master && msix_enabled(pci) && !(control(pci) & PCI_MSIX_FLAGS_MASKALL);
    if (live == msix->live) {
        return;
    }
    pthread_mutex_lock(&msix->mutex);
    msix->live = live;
    pthread_mutex_unlock(&msix->mutex);
    all_vectors_changed(pci);
}

/* ---- the table and the pending bits ---- */

static uint64_t table_read(void *opaque, GuestAddr addr, unsigned size)
{
    PciMsix *msix = PCI_DEVICE(opaque)->msix;

    return msix->vectors[addr / PCI_MSIX_ENTRY_SIZE].entry[addr % PCI_MSIX_ENTRY_SIZE / 4];
}

static void table_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    PciDevice *pci = PCI_DEVICE(opaque);
    PciMsix *msix = pci->msix;
    unsigned n = addr / PCI_MSIX_ENTRY_SIZE, word = addr % PCI_MSIX_ENTRY_SIZE / 4;

    if (word == ENTRY_CONTROL) {
        value &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
    }
    pthread_mutex_lock(&msix->mutex);
    msix->vectors[n].entry[word] = value;
    pthread_mutex_unlock(&msix->mutex);
    vector_changed(pci, n);
}

static uint64_t pba_read(void *opaque, GuestAddr addr, unsigned size)
{
    PciMsix *msix = PCI_DEVICE(opaque)->msix;
    uint32_t value = 0;

    for (unsigned i = 0, n = addr * 8; i < 32 && n < msix->count; i++, n++) {
        if (atomic_load(&msix->vectors[n].pending) || bindings_pending(&msix->vectors[n])) {
            value |= BIT(i);
        }
    }
    return value;
}

static void pba_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    /* Read-only. */
}

static const MemoryRegionOps table_ops = {
    .read = table_read, .write = table_write,
    .valid_min = 4, .valid_max = 8, .impl_min = 4, .impl_max = 4,
};

static const MemoryRegionOps pba_ops = {
    .read = pba_read, .write = pba_write,
    .valid_min = 4, .valid_max = 8, .impl_min = 4, .impl_max = 4,
};

/* ---- life ---- */

/*
 * The regions live in PciMsix, which stays until the device is freed: a vCPU
 * may be inside a handler while the device is unrealized.
 */

static uint32_t table_bytes(unsigned n)
{
    return n * PCI_MSIX_ENTRY_SIZE;
}

static uint32_t pba_bytes(unsigned n)
{
    return DIV_ROUND_UP(n, 64) * 8;
}

static void mask_all(PciMsix *msix)
{
    for (unsigned n = 0; n < msix->count; n++) {
        MsixVector *v = &msix->vectors[n];

        memset(v->entry, 0, sizeof(v->entry));
        v->entry[ENTRY_CONTROL] = PCI_MSIX_ENTRY_CTRL_MASKBIT;
        v->pending = false;
    }
}

static bool add_capability(PciDevice *pci, unsigned n, uint8_t bar, uint32_t table_offset,
                           uint32_t pba_offset, Error **errp)
{
    pci->cap_msix = pci_add_capability(pci, PCI_CAP_ID_MSIX, 0, PCI_CAP_MSIX_SIZEOF, errp);
    if (!pci->cap_msix) {
        return false;
    }
    pci_set_word(pci->config + pci->cap_msix + PCI_MSIX_FLAGS, n - 1);
    pci_set_long(pci->config + pci->cap_msix + PCI_MSIX_TABLE, table_offset | bar);
    pci_set_long(pci->config + pci->cap_msix + PCI_MSIX_PBA, pba_offset | bar);
    pci_set_word(pci->wmask + pci->cap_msix + PCI_MSIX_FLAGS,
                 PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    memset(pci->cmask + pci->cap_msix + PCI_MSIX_FLAGS, 0xff, PCI_CAP_MSIX_SIZEOF - 2);
    return true;
}

bool msix_init(PciDevice *pci, unsigned n, MemoryRegion *region, uint8_t bar,
               uint32_t table_offset, uint32_t pba_offset, Error **errp)
{
    PciMsix *msix;

    if (n == 0 || n > PCI_MSIX_FLAGS_QSIZE + 1) {
        error_setg(errp, "%u MSI-X vectors are not possible: 1 to %u are", n,
                   PCI_MSIX_FLAGS_QSIZE + 1);
        return false;
    }
    assert(!pci->msix && IS_ALIGNED(table_offset, 8) && IS_ALIGNED(pba_offset, 8));
    assert(table_offset + table_bytes(n) <= region->size);
    assert(pba_offset + pba_bytes(n) <= region->size);
    if (!add_capability(pci, n, bar, table_offset, pba_offset, errp)) {
        return false;
    }
    msix = pci->msix = g_new0(PciMsix, 1);
    msix->count = n;
    msix->vectors = g_new0(MsixVector, n);
    for (unsigned i = 0; i < n; i++) {
        msix->vectors[i].gsi = -1;
    }
    pthread_mutex_init(&msix->mutex, NULL);
    mask_all(msix);
    memory_region_init_io(&msix->table, OBJECT(pci), &table_ops, pci, "msix-table", table_bytes(n));
    memory_region_init_io(&msix->pba, OBJECT(pci), &pba_ops, pci, "msix-pba", pba_bytes(n));
    memory_region_add(region, table_offset, &msix->table);
    memory_region_add(region, pba_offset, &msix->pba);
    return true;
}

/* Table in the lower half of a BAR of our own, pending bits in the upper one. */
bool msix_init_exclusive(PciDevice *pci, unsigned n, uint8_t bar, Error **errp)
{
    uint32_t half = MAX(2048, 1u << (32 - __builtin_clz(MAX(table_bytes(MIN(n, 2048)), 2) - 1)));
    MemoryRegion *region = g_new0(MemoryRegion, 1);

    memory_region_init_container(region, OBJECT(pci), "msix", 2 * half);
    if (!msix_init(pci, n, region, bar, 0, half, errp)) {
        memory_region_cleanup(region);
        g_free(region);
        return false;
    }
    pci->msix->exclusive = region;
    pci_register_bar(pci, bar, PCI_BASE_ADDRESS_SPACE_MEMORY, region);
    return true;
}

void msix_cleanup(PciDevice *pci)
{
    PciMsix *msix = pci->msix;

    if (!msix) {
        return;
    }
    pthread_mutex_lock(&msix->mutex);
    msix->live = false;
    pthread_mutex_unlock(&msix->mutex);
    for (unsigned n = 0; n < msix->count; n++) {
        while (msix->vectors[n].bindings) {
            msix_detach_notifier(pci, n, msix->vectors[n].bindings->notifier);
        }
    }
    memory_region_cleanup(&msix->table);
    memory_region_cleanup(&msix->pba);
    if (msix->exclusive) {
        memory_region_cleanup(msix->exclusive);
    }
}

void msix_free(PciDevice *pci)
{
    if (pci->msix) {
        pthread_mutex_destroy(&pci->msix->mutex);
        g_free(pci->msix->exclusive);
        g_free(pci->msix->vectors);
        g_free(pci->msix);
    }
}

/* All vectors masked and not pending. */
void msix_reset(PciDevice *pci)
{
    PciMsix *msix = pci->msix;

    if (!msix) {
        return;
    }
    pthread_mutex_lock(&msix->mutex);
    msix->live = false;
    mask_all(msix);
    pthread_mutex_unlock(&msix->mutex);
    all_vectors_changed(pci);
}

/* ---- state: the number of vectors, then each entry and its pending bit ---- */

void msix_save(StateStream *s, const void *field, const void *opaque)
{
    const PciMsix *msix = ((const PciDevice *)opaque)->msix;

    state_put_u32(s, msix ? msix->count : 0);
    for (unsigned n = 0; msix && n < msix->count; n++) {
        const MsixVector *v = &msix->vectors[n];

        for (unsigned i = 0; i < ARRAY_SIZE(v->entry); i++) {
            state_put_u32(s, v->entry[i]);
        }
        state_put_u8(s, v->pending || bindings_pending(v));
    }
}

bool msix_load(StateStream *s, void *field, void *opaque)
{
    PciDevice *pci = opaque;
    PciMsix *msix = pci->msix;
    unsigned count = msix ? msix->count : 0;
    uint32_t incoming = state_get_u32(s);

    if (incoming != count) {
        state_fail(s, "%u MSI-X vectors instead of %u", incoming, count);
        return false;
    }
    if (!count) {
        return true;
    }
    msix_reset(pci);
    for (unsigned n = 0; n < count; n++) {
        MsixVector *v = &msix->vectors[n];

        for (unsigned i = 0; i < ARRAY_SIZE(v->entry); i++) {
            v->entry[i] = state_get_u32(s);
        }
        v->entry[ENTRY_CONTROL] &= PCI_MSIX_ENTRY_CTRL_MASKBIT;
        v->pending = state_get_u8(s) != 0;
    }
    return state_ok(s);
}
