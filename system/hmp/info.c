/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "info" subcommands of the machine, CPUs and memory: texts of QMP queries. Main
 * thread with the machine lock.
 */
#include "util/osdep.h"
#include "hw/core/numa.h"
#include "hmp-text.h"
#include "qapi-commands.h"
#include "system/startup.h"
#include "system/target.h"

static bool info_status(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(StatusInfo) info = qmp_query_status(errp);

    hmp_printf(hmp, "VM status: %s", info->running ? "running" : "paused");
    if (!info->running && info->status != RUN_STATE_PAUSED) {
        hmp_printf(hmp, " (%s)", RunState_str(info->status));
    }
    hmp_puts(hmp, "\n");
    return true;
}

static bool info_version(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(VersionInfo) info = qmp_query_version(errp);

    hmp_printf(hmp, "%" PRId64 ".%" PRId64 ".%" PRId64 "%s\n", info->qemu->major, info->qemu->minor,
               info->qemu->micro, info->package);
    return true;
}

static bool info_name(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(NameInfo) info = qmp_query_name(errp);

    if (info->name) {
        hmp_printf(hmp, "%s\n", info->name);
    }
    return true;
}

static bool info_uuid(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(UuidInfo) info = qmp_query_uuid(errp);

    hmp_printf(hmp, "%s\n", info->UUID);
    return true;
}

static bool info_vm_generation_id(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(GuidInfo) info = qmp_query_vm_generation_id(errp);

    if (info) {
        hmp_printf(hmp, "%s\n", info->guid);
    }
    return info != NULL;
}

static bool info_kvm(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(KvmInfo) info = qmp_query_kvm(errp);

    hmp_printf(hmp, "kvm support: %s\n", !info->present ? "not compiled" : info->enabled ? "enabled" : "disabled");
    return true;
}

static bool info_cpus(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    CpuInfoFastList *list = qmp_query_cpus_fast(errp);

    for (CpuInfoFastList *l = list; l; l = l->next) {
        hmp_printf(hmp, "%c CPU #%" PRId64 ": thread_id=%" PRId64 "\n",
                   l->value->cpu_index == hmp_cpu_index(hmp) ? '*' : ' ', l->value->cpu_index,
                   l->value->thread_id);
    }
    qapi_free_CpuInfoFastList(list);
    return true;
}

static bool info_iothreads(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    IOThreadInfoList *list = qmp_query_iothreads(errp);

    for (IOThreadInfoList *l = list; l; l = l->next) {
        const IOThreadInfo *t = l->value;

        hmp_printf(hmp, "%s:\n  thread_id=%" PRId64 "\n  poll-max-ns=%" PRId64 "\n  poll-grow=%" PRId64
                   "\n  poll-shrink=%" PRId64 "\n  aio-max-batch=%" PRId64 "\n", t->id, t->thread_id,
                   t->poll_max_ns, t->poll_grow, t->poll_shrink, t->aio_max_batch);
    }
    qapi_free_IOThreadInfoList(list);
    return true;
}

/* "0-2,5" */
static void print_nodes(Hmp *hmp, const Uint16List *nodes)
{
    for (const Uint16List *l = nodes; l; l = l->next) {
        hmp_printf(hmp, "%s%u", l == nodes ? "" : ",", l->value);
    }
}

static const char *truth(bool b)
{
    return b ? "true" : "false";
}

static bool info_memdev(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    MemdevList *list = qmp_query_memdev(errp);

    for (MemdevList *l = list; l; l = l->next) {
        const Memdev *m = l->value;

        hmp_printf(hmp, "memory backend: %s\n  size:  %" PRIu64 "\n  merge: %s\n  dump: %s\n  prealloc: %s\n"
                   "  share: %s\n", m->id, m->size, truth(m->merge), truth(m->dump), truth(m->prealloc),
                   truth(m->share));
        if (m->has_reserve) {
            hmp_printf(hmp, "  reserve: %s\n", truth(m->reserve));
        }
        hmp_printf(hmp, "  policy: %s\n  host nodes: ", HostMemPolicy_str(m->policy));
        print_nodes(hmp, m->host_nodes);
        hmp_puts(hmp, "\n");
    }
    hmp_puts(hmp, "\n");
    qapi_free_MemdevList(list);
    return true;
}

static bool info_memory_size_summary(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(MemoryInfo) info = qmp_query_memory_size_summary(errp);

    hmp_printf(hmp, "base memory: %" PRIu64 "\n", info->base_memory);
    if (info->has_plugged_memory) {
        hmp_printf(hmp, "plugged memory: %" PRIu64 "\n", info->plugged_memory);
    }
    return true;
}

static bool info_numa(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);

    machine_numa_print(machine_current(), text);
    hmp_puts(hmp, text->str);
    return true;
}

static bool info_hotpluggable_cpus(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    Error *err = NULL;
    HotpluggableCPUList *list = qmp_query_hotpluggable_cpus(&err);

    if (err) {
        error_propagate(errp, err);
        return false;
    }
    hmp_puts(hmp, "Hotpluggable CPUs:\n");
    for (HotpluggableCPUList *l = list; l; l = l->next) {
        const HotpluggableCPU *cpu = l->value;
        const CpuInstanceProperties *p = cpu->props;
        const struct {
            const char *name;
            bool has;
            int64_t value;
        } ids[] = {
            { "node-id", p->has_node_id, p->node_id }, { "socket-id", p->has_socket_id, p->socket_id },
            { "die-id", p->has_die_id, p->die_id }, { "cluster-id", p->has_cluster_id, p->cluster_id },
            { "core-id", p->has_core_id, p->core_id }, { "thread-id", p->has_thread_id, p->thread_id },
        };

        hmp_printf(hmp, "  type: \"%s\"\n  vcpus_count: \"%" PRId64 "\"\n", cpu->type, cpu->vcpus_count);
        if (cpu->qom_path) {
            hmp_printf(hmp, "  qom_path: \"%s\"\n", cpu->qom_path);
        }
        hmp_puts(hmp, "  CPUInstance Properties:\n");
        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
            if (ids[i].has) {
                hmp_printf(hmp, "    %s: \"%" PRId64 "\"\n", ids[i].name, ids[i].value);
            }
        }
    }
    qapi_free_HotpluggableCPUList(list);
    return true;
}

/* ---- PCI ---- */

static void print_region(Hmp *hmp, const PciMemoryRegion *r)
{
    uint64_t addr = (uint64_t)r->address, last = addr + (uint64_t)r->size - 1;

    hmp_printf(hmp, "      BAR%" PRId64 ": ", r->bar);
    if (strcmp(r->type, "io") == 0) {
        hmp_printf(hmp, "I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "].\n", addr, last);
    } else {
        hmp_printf(hmp, "%d bit%s memory at 0x%08" PRIx64 " [0x%08" PRIx64 "].\n", r->mem_type_64 ? 64 : 32,
                   r->prefetch ? " prefetchable" : "", addr, last);
    }
}

static void print_pci_device(Hmp *hmp, const PciDeviceInfo *d)
{
    hmp_printf(hmp, "  Bus %2" PRId64 ", device %3" PRId64 ", function %" PRId64 ":\n    ", d->bus, d->slot,
               d->function);
    if (d->class_info->desc) {
        hmp_puts(hmp, d->class_info->desc);
    } else {
        hmp_printf(hmp, "Class %04" PRId64, d->class_info->class);
    }
    hmp_printf(hmp, ": PCI device %04" PRIx64 ":%04" PRIx64 "\n", d->id->vendor, d->id->device);
    if (d->id->has_subsystem_vendor && d->id->has_subsystem) {
        hmp_printf(hmp, "      PCI subsystem %04" PRIx64 ":%04" PRIx64 "\n", d->id->subsystem_vendor,
                   d->id->subsystem);
    }
    if (d->has_irq) {
        hmp_printf(hmp, "      IRQ %" PRId64 ", pin %c\n", d->irq, (char)('A' + d->irq_pin - 1));
    }
    if (d->pci_bridge) {
        const PciBusInfo *b = d->pci_bridge->bus;

        hmp_printf(hmp, "      BUS %" PRId64 ".\n      secondary bus %" PRId64 ".\n      subordinate bus %" PRId64
                   ".\n      IO range [0x%04" PRIx64 ", 0x%04" PRIx64 "]\n      memory range [0x%08" PRIx64
                   ", 0x%08" PRIx64 "]\n      prefetchable memory range [0x%08" PRIx64 ", 0x%08" PRIx64 "]\n",
                   b->number, b->secondary, b->subordinate, b->io_range->base, b->io_range->limit,
                   b->memory_range->base, b->memory_range->limit, b->prefetchable_range->base,
                   b->prefetchable_range->limit);
    }
    for (PciMemoryRegionList *l = d->regions; l; l = l->next) {
        print_region(hmp, l->value);
    }
    hmp_printf(hmp, "      id \"%s\"\n", d->qdev_id);
    for (PciDeviceInfoList *l = d->pci_bridge ? d->pci_bridge->devices : NULL; l; l = l->next) {
        print_pci_device(hmp, l->value);
    }
}

static bool info_pci(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    PciInfoList *list = qmp_query_pci(errp);

    for (PciInfoList *l = list; l; l = l->next) {
        for (PciDeviceInfoList *d = l->value->devices; d; d = d->next) {
            print_pci_device(hmp, d->value);
        }
    }
    qapi_free_PciInfoList(list);
    return true;
}

/* ---- what this program never has ---- */

static bool info_mice(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    hmp_puts(hmp, "No mouse devices connected\n");
    return true;
}

static bool info_vnc(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    hmp_puts(hmp, "None\n");
    return true;
}

static bool info_usb(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    error_setg(errp, "USB support not enabled");
    return false;
}

static bool info_replay(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    hmp_puts(hmp, "Record/replay is not active\n");
    return true;
}

/* ---- trace events, device types ---- */

static bool info_trace_events(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    const char *name = hmp_string(args, "name");
    const QmpTraceEventGetStateArgs a = { .name = (char *)(name ? name : "*") };
    Error *err = NULL;
    TraceEventInfoList *list = qmp_trace_event_get_state(&a, &err);

    if (err) {
        hmp_printf(hmp, "%s\n", error_message(err));
        error_free(err);
        return true;
    }
    for (TraceEventInfoList *l = list; l; l = l->next) {
        hmp_printf(hmp, "%s : state %d\n", l->value->name, l->value->state == TRACE_EVENT_STATE_ENABLED);
    }
    qapi_free_TraceEventInfoList(list);
    return true;
}

static bool info_qdm(Hmp *hmp, const HmpArgs *args, Error **errp)
{
    g_autoptr(GString) text = g_string_new(NULL);

    help_list_devices(text, true);
    hmp_puts(hmp, text->str);
    return true;
}

HMP_INFO(machine_infos) = {
    { "status", "", "show the current VM status (running|paused)", NULL, info_status },
    { "version", "", "show the version of QEMU", NULL, info_version },
    { "name", "", "show the current VM name", NULL, info_name },
    { "uuid", "", "show the current VM UUID", NULL, info_uuid },
    { "vm-generation-id", "", "Show Virtual Machine Generation ID", NULL, info_vm_generation_id },
    { "kvm", "", "show KVM information", NULL, info_kvm },
    { "cpus", "", "show infos for each CPU", NULL, info_cpus },
    { "iothreads", "", "show iothreads", NULL, info_iothreads },
    { "memdev", "", "show memory backends", NULL, info_memdev },
    { "memory_size_summary", "", "show the amount of initially allocated and present hotpluggable (if enabled) "
      "memory in bytes.", NULL, info_memory_size_summary },
    { "hotpluggable-cpus", "", "Show information about hotpluggable CPUs", NULL, info_hotpluggable_cpus },
    { "numa", "", "show NUMA information", NULL, info_numa },
    { "pci", "", "show PCI info", NULL, info_pci },
    { "mice", "", "show which guest mouse is receiving events", NULL, info_mice },
    { "vnc", "", "show the vnc server status", NULL, info_vnc },
    { "usb", "", "show guest USB devices", NULL, info_usb },
    { "replay", "", "show record/replay information", NULL, info_replay },
    { "trace-events", "[name]", "show available trace-events & their state (name: event name pattern)",
      HMP_ARGS({ "name", HMP_STRING, .optional = true, .complete = hmp_complete_trace_event }), info_trace_events },
    { "qdm", "", "show qdev device model list", NULL, info_qdm },
    HMP_END
};
