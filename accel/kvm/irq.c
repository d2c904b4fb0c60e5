/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GSI routing, irqfds and interrupt injection through KVM.
 *
 * The table is ours; the kernel gets all of it whenever it changed, so changes
 * are collected (accel_irq_begin/commit). Routes and irqfds: machine lock;
 * messages and levels: any thread. Message contents are the guest's and go to
 * the kernel as they are.
 */
#include "util/osdep.h"
#include "kvm-int.h"
#include "trace-accel-kvm.h"

#define PINS_MAX 256

typedef struct MsiRoute {
    bool used;
    MsiMessage msg;
    uint16_t requester_id;
} MsiRoute;

static struct kvm_irq_routing_entry pins[PINS_MAX];
static unsigned pin_count;
static MsiRoute *routes;        /* GSI pin_count and up */
static unsigned route_count, route_limit;
static bool routes_changed;

static void commit_routes(void)
{
    unsigned n = pin_count;
    g_autofree struct kvm_irq_routing *table =
        g_malloc0(sizeof(*table) + (pin_count + route_count) * sizeof(table->entries[0]));
    int ret;

    memcpy(table->entries, pins, pin_count * sizeof(pins[0]));
    for (unsigned i = 0; i < route_count; i++) {
        if (!routes[i].used) {
            continue;
        }
        table->entries[n++] = (struct kvm_irq_routing_entry){
            .gsi = pin_count + i, .type = KVM_IRQ_ROUTING_MSI,
            .u.msi = {
                .address_lo = routes[i].msg.address, .address_hi = routes[i].msg.address >> 32,
                .data = routes[i].msg.data,
            },
        };
        kvm_arch_msi_entry(&table->entries[n - 1], routes[i].msg, routes[i].requester_id);
    }
    table->nr = n;
    ret = kvm_vm_ioctl(KVM_SET_GSI_ROUTING, table);
    trace_kvm_routes(n, ret);
    if (ret < 0) {
        error_report("KVM does not take the interrupt routes: %s", strerror(-ret));
    }
    routes_changed = false;
}

void kvm_irq_init(void)
{
    /* The kernel's own table does until the first message route. */
    pin_count = kvm_arch_irq_pins(pins, PINS_MAX);
}

int kvm_msi_route_add(MsiMessage msg, uint16_t requester_id, Error **errp)
{
    unsigned i;

    for (i = 0; i < route_count && routes[i].used; i++) {
    }
    if (i == route_count) {
        if (!route_limit) {
            int limit = kvm_check_extension(KVM_CAP_IRQ_ROUTING);
            route_limit = limit > (int)pin_count ? limit - pin_count : 0;
        }
        if (route_count == route_limit) {
            error_setg(errp, "KVM has no interrupt route left (it has %u)", route_limit);
            return -1;
        }
        routes = g_renew(MsiRoute, routes, ++route_count);
    }
    routes[i] = (MsiRoute){ .used = true, .msg = msg, .requester_id = requester_id };
    routes_changed = true;
    return pin_count + i;
}

static MsiRoute *route_of(int gsi)
{
    assert(gsi >= (int)pin_count && gsi - pin_count < route_count && routes[gsi - pin_count].used);
    return &routes[gsi - pin_count];
}

void kvm_msi_route_update(int gsi, MsiMessage msg, uint16_t requester_id)
{
    MsiRoute *r = route_of(gsi);

    if (r->msg.address != msg.address || r->msg.data != msg.data || r->requester_id != requester_id) {
        r->msg = msg;
        r->requester_id = requester_id;
        routes_changed = true;
    }
}

void kvm_msi_route_del(int gsi)
{
    /* Nothing raises it any more; the kernel's copy may stay until the next change. */
    route_of(gsi)->used = false;
}

void kvm_msi_commit(void)
{
    if (routes_changed) {
        commit_routes();
    }
}

bool kvm_irqfd_attach(int gsi, EventNotifier *n, EventNotifier *resample, Error **errp)
{
    struct kvm_irqfd fd = {
        .fd = n->fd, .gsi = gsi,
        .flags = resample ? KVM_IRQFD_FLAG_RESAMPLE : 0, .resamplefd = resample ? resample->fd : 0,
    };
    int ret = kvm_vm_ioctl(KVM_IRQFD, &fd);

    trace_kvm_irqfd(gsi, n->fd, resample != NULL, ret);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "KVM does not take an event descriptor for interrupt %d", gsi);
        return false;
    }
    return true;
}

void kvm_irqfd_detach(int gsi, EventNotifier *n)
{
    struct kvm_irqfd fd = { .fd = n->fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN };
    int ret = kvm_vm_ioctl(KVM_IRQFD, &fd);

    trace_kvm_irqfd(gsi, n->fd, false, ret);
}

void kvm_send_msi(MsiMessage msg, uint16_t requester_id)
{
    struct kvm_msi m = {
        .address_lo = msg.address, .address_hi = msg.address >> 32, .data = msg.data,
    };
    int ret = 0;

    if (!kvm_arch_send_msi(&m, msg, requester_id)) {
        ret = kvm_vm_ioctl(KVM_SIGNAL_MSI, &m);
    }
    trace_kvm_send_msi(msg.address, msg.data, ret);
}

void kvm_set_gsi(int gsi, int level)
{
    struct kvm_irq_level l = { .irq = kvm_arch_irq_line(gsi), .level = level };
    int ret = kvm_vm_ioctl(KVM_IRQ_LINE, &l);

    trace_kvm_set_gsi(gsi, level, ret);
}
