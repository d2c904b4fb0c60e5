/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-gic-capabilities: asked before there is a machine, so KVM is probed with
 * a VM of its own. Main thread.
 */
#include "util/osdep.h"
#include "qapi-commands.h"
#ifdef CONFIG_KVM
#include "kvm/kvm-arm.h"
#else
/* Another architecture's host. */
static unsigned kvm_arm_gic_versions(void)
{
    return 0;
}
#endif

GICCapabilityList *qmp_query_gic_capabilities(Error **errp)
{
    unsigned kernel = kvm_arm_gic_versions();
    GICCapabilityList *list = NULL, **tail = &list;

    for (int version = 2; version <= 3; version++) {
        GICCapability *c = g_new0(GICCapability, 1);

        c->version = version;
        c->kernel = kernel >> version & 1;
        *tail = g_new0(GICCapabilityList, 1);
        (*tail)->value = c;
        tail = &(*tail)->next;
    }
    return list;
}
