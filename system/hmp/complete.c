/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Candidates for words of human monitor lines. Main thread with the machine lock. */
#include "util/osdep.h"
#include "hmp-text.h"
#include "hw/core/device.h"
#include "net/net.h"
#include "qapi-commands.h"
#include "trace/control.h"

static int add_child(Object *child, void *opaque)
{
    hmp_completion_add(opaque, child->name);
    return 0;
}

void hmp_complete_device(HmpCompletion *c)
{
    object_foreach_child(object_container(object_machine(), "peripheral"), add_child, c);
}

void hmp_complete_object(HmpCompletion *c)
{
    object_foreach_child(object_objects_root(), add_child, c);
}

void hmp_complete_chardev(HmpCompletion *c)
{
    object_foreach_child(object_chardevs_root(), add_child, c);
}

static void add_netdev(NetClient *nc, void *opaque)
{
    if (!nc->is_nic && nc->queue_index == 0) {
        hmp_completion_add(opaque, nc->name);
    }
}

void hmp_complete_netdev(HmpCompletion *c)
{
    net_clients_foreach(add_netdev, c);
}

static void add_nic(NetClient *nc, void *opaque)
{
    if (nc->queue_index == 0) {
        hmp_completion_add(opaque, nc->name);
    }
}

void hmp_complete_nic(HmpCompletion *c)
{
    net_clients_foreach(add_nic, c);
}

void hmp_complete_block(HmpCompletion *c)
{
    BlockInfoList *list = qmp_query_block(NULL);

    for (BlockInfoList *l = list; l; l = l->next) {
        hmp_completion_add(c, *l->value->device ? l->value->device
                                                : l->value->inserted ? l->value->inserted->node_name : NULL);
    }
    qapi_free_BlockInfoList(list);
}

static void add_event(const char *name, bool on, void *opaque)
{
    hmp_completion_add(opaque, name);
}

void hmp_complete_trace_event(HmpCompletion *c)
{
    trace_for_each("*", add_event, c);
}

static void add_device_type(const TypeInfo *type, void *opaque)
{
    const DeviceOps *ops = type_ops(type, &device_type);

    if (ops->user_creatable) {
        hmp_completion_add(opaque, type->name);
    }
}

void hmp_complete_device_type(HmpCompletion *c)
{
    type_foreach(&device_type, false, add_device_type, c);
}

static void add_type(const TypeInfo *type, void *opaque)
{
    hmp_completion_add(opaque, type->name);
}

void hmp_complete_object_type(HmpCompletion *c)
{
    type_foreach(&user_creatable_type, false, add_type, c);
}

void hmp_complete_watchdog_action(HmpCompletion *c)
{
    for (int i = 0; i < WATCHDOG_ACTION__MAX; i++) {
        hmp_completion_add(c, WatchdogAction_str(i));
    }
}
