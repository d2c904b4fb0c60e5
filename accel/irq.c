/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts of devices to the accelerator's interrupt controller.
 * accel_send_msi() and accel_set_gsi() on any thread, routes and irqfds with
 * the machine lock. Message addresses and data are the guest's.
 */
#include "util/osdep.h"
#include "accel/accel.h"
#include "system/machine-lock.h"

static unsigned batch_depth;

void accel_send_msi(MsiMessage msg, uint16_t requester_id)
{
    const AccelOps *ops = accel_ops();

    if (ops && ops->send_msi) {
        ops->send_msi(msg, requester_id);
    } else {
        guest_access_write(&address_space_memory, msg.address, 4, msg.data);
    }
}

void accel_irq_begin(void)
{
    assert(machine_lock_held());
    batch_depth++;
}

static void commit_unless_batched(const AccelOps *ops)
{
    if (!batch_depth && ops && ops->msi_commit) {
        ops->msi_commit();
    }
}

void accel_irq_commit(void)
{
    assert(batch_depth);
    batch_depth--;
    commit_unless_batched(accel_ops());
}

bool accel_has_irqfd(void)
{
    const AccelOps *ops = accel_ops();

    return ops && ops->irqfd_attach;
}

int accel_msi_route_add(MsiMessage msg, uint16_t requester_id, Error **errp)
{
    const AccelOps *ops = accel_ops();

    if (!ops || !ops->msi_route_add) {
        error_setg(errp, "this accelerator has no interrupt routes");
        return -1;
    }
    return ops->msi_route_add(msg, requester_id, errp);
}

void accel_msi_route_update(int gsi, MsiMessage msg, uint16_t requester_id)
{
    const AccelOps *ops = accel_ops();

    ops->msi_route_update(gsi, msg, requester_id);
    commit_unless_batched(ops);
}

void accel_msi_route_del(int gsi)
{
    accel_ops()->msi_route_del(gsi);
}

bool accel_irqfd_attach(int gsi, EventNotifier *n, EventNotifier *resample, Error **errp)
{
    const AccelOps *ops = accel_ops();

    if (!accel_has_irqfd()) {
        error_setg(errp, "this accelerator takes no interrupts from event descriptors");
        return false;
    }
    if (!ops->irqfd_attach(gsi, n, resample, errp)) {
        return false;
    }
    commit_unless_batched(ops);
    return true;
}

void accel_irqfd_detach(int gsi, EventNotifier *n)
{
    accel_ops()->irqfd_detach(gsi, n);
}

void accel_set_gsi(int gsi, int level)
{
    const AccelOps *ops = accel_ops();

    if (ops && ops->set_gsi) {
        ops->set_gsi(gsi, level);
    }
}
