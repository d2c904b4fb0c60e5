/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's statistics of the VM and its vCPUs (Linux
 * Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD): a header, descriptors and
 * values in a file. Main thread with the machine lock. The layout is the
 * kernel's; sizes are still checked, as newer ones may add kinds.
 */
#include "util/osdep.h"
#include <sys/ioctl.h>
#include "kvm-int.h"
#include "qapi-types.h"

typedef struct StatsFile {
    int fd;
    struct kvm_stats_header head;
    uint8_t *descs;             /* num_desc of desc_size bytes */
    size_t desc_size;
} StatsFile;

static void stats_close(StatsFile *s)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    g_free(s->descs);
}

/* Of the VM or vCPU that @owner is; false where the kernel has none. */
static bool stats_open(int owner, StatsFile *s)
{
    size_t size;

    *s = (StatsFile){ .fd = ioctl(owner, KVM_GET_STATS_FD, NULL) };
    if (s->fd < 0) {
        return false;
    }
    if (pread(s->fd, &s->head, sizeof(s->head), 0) != sizeof(s->head) || s->head.name_size > 4096 ||
        s->head.num_desc > 65536) {
        stats_close(s);
        return false;
    }
    s->desc_size = sizeof(struct kvm_stats_desc) + s->head.name_size;
    size = s->desc_size * s->head.num_desc;
    s->descs = g_malloc(size + 1);
    if (pread(s->fd, s->descs, size, s->head.desc_offset) != (ssize_t)size) {
        stats_close(s);
        return false;
    }
    return true;
}

static const struct kvm_stats_desc *stats_desc(const StatsFile *s, uint32_t i, char **name)
{
    const struct kvm_stats_desc *d = (const void *)(s->descs + i * s->desc_size);

    *name = g_strndup(d->name, s->head.name_size);
    return d;
}

/* ---- schemas ---- */

static bool describe_type(uint32_t flags, StatsType *type)
{
    switch (flags & KVM_STATS_TYPE_MASK) {
    case KVM_STATS_TYPE_CUMULATIVE:
        *type = STATS_TYPE_CUMULATIVE;
        return true;
    case KVM_STATS_TYPE_INSTANT:
        *type = STATS_TYPE_INSTANT;
        return true;
    case KVM_STATS_TYPE_PEAK:
        *type = STATS_TYPE_PEAK;
        return true;
    case KVM_STATS_TYPE_LINEAR_HIST:
        *type = STATS_TYPE_LINEAR_HISTOGRAM;
        return true;
    case KVM_STATS_TYPE_LOG_HIST:
        *type = STATS_TYPE_LOG2_HISTOGRAM;
        return true;
    default:
        return false;
    }
}

static void describe_unit(uint32_t flags, StatsSchemaValue *v)
{
    v->has_unit = true;
    switch (flags & KVM_STATS_UNIT_MASK) {
    case KVM_STATS_UNIT_BYTES:
        v->unit = STATS_UNIT_BYTES;
        break;
    case KVM_STATS_UNIT_SECONDS:
        v->unit = STATS_UNIT_SECONDS;
        break;
    case KVM_STATS_UNIT_CYCLES:
        v->unit = STATS_UNIT_CYCLES;
        break;
#ifdef KVM_STATS_UNIT_BOOLEAN
    case KVM_STATS_UNIT_BOOLEAN:
        v->unit = STATS_UNIT_BOOLEAN;
        break;
#endif
    default:
        v->has_unit = false;
        break;
    }
}

static StatsSchema *schema_of(int owner, StatsTarget target)
{
    StatsSchema *schema;
    StatsSchemaValueList **end;
    StatsFile s;

    if (!stats_open(owner, &s)) {
        return NULL;
    }
    schema = g_new0(StatsSchema, 1);
    schema->provider = STATS_PROVIDER_KVM;
    schema->target = target;
    end = &schema->stats;
    for (uint32_t i = 0; i < s.head.num_desc; i++) {
        g_autofree char *name = NULL;
        const struct kvm_stats_desc *d = stats_desc(&s, i, &name);
        StatsSchemaValue *v;
        StatsType type;

        if (!describe_type(d->flags, &type)) {
            continue;
        }
        v = g_new0(StatsSchemaValue, 1);
        v->name = g_steal_pointer(&name);
        v->type = type;
        describe_unit(d->flags, v);
        v->exponent = d->exponent;
        if (d->exponent) {
            v->has_base = true;
            v->base = (d->flags & KVM_STATS_BASE_MASK) == KVM_STATS_BASE_POW10 ? 10 : 2;
        }
        if (type == STATS_TYPE_LINEAR_HISTOGRAM) {
            v->has_bucket_size = true;
            v->bucket_size = d->bucket_size;
        }
        *end = g_new0(StatsSchemaValueList, 1);
        (*end)->value = v;
        end = &(*end)->next;
    }
    stats_close(&s);
    return schema;
}

StatsSchemaList *kvm_query_stats_schemas(void)
{
    StatsSchemaList *list = NULL, **end = &list;
    StatsSchema *schemas[] = {
        schema_of(kvm->vm_fd, STATS_TARGET_VM),
        cpu_first() ? schema_of(kvm_vcpu(cpu_first())->fd, STATS_TARGET_VCPU) : NULL,
    };

    for (size_t i = 0; i < ARRAY_SIZE(schemas); i++) {
        if (schemas[i]) {
            *end = g_new0(StatsSchemaList, 1);
            (*end)->value = schemas[i];
            end = &(*end)->next;
        }
    }
    return list;
}

/* ---- values ---- */

static bool is_wanted(const char *name, const StrList *names)
{
    for (const StrList *l = names; l; l = l->next) {
        if (strcmp(l->value, name) == 0 || strcmp(l->value, "*") == 0) {
            return true;
        }
    }
    return !names;
}

static StatsValue *value_of(const struct kvm_stats_desc *d, const uint64_t *data)
{
    StatsValue *v = g_new0(StatsValue, 1);
    bool boolean = false;

#ifdef KVM_STATS_UNIT_BOOLEAN
    boolean = (d->flags & KVM_STATS_UNIT_MASK) == KVM_STATS_UNIT_BOOLEAN;
#endif
    if (boolean) {
        v->type = QAPI_ALT_BOOL;
        v->u.boolean = data[0] != 0;
    } else if (d->size == 1) {
        v->type = QAPI_ALT_NUM;
        v->u.scalar = data[0];
    } else {
        Uint64List **end = &v->u.list;

        v->type = QAPI_ALT_LIST;
        for (uint16_t i = 0; i < d->size; i++) {
            *end = g_new0(Uint64List, 1);
            (*end)->value = data[i];
            end = &(*end)->next;
        }
    }
    return v;
}

StatsResult *kvm_query_stats_of(CpuState *cpu, const StrList *names)
{
    StatsResult *result;
    StatsList **end;
    StatsFile s;

    if (!stats_open(cpu ? kvm_vcpu(cpu)->fd : kvm->vm_fd, &s)) {
        return NULL;
    }
    result = g_new0(StatsResult, 1);
    result->provider = STATS_PROVIDER_KVM;
    result->qom_path = cpu ? object_path(cpu) : NULL;
    end = &result->stats;
    for (uint32_t i = 0; i < s.head.num_desc; i++) {
        g_autofree char *name = NULL;
        const struct kvm_stats_desc *d = stats_desc(&s, i, &name);
        g_autofree uint64_t *data = g_new0(uint64_t, d->size + 1);
        ssize_t size = d->size * (ssize_t)sizeof(uint64_t);
        StatsType type;

        if (!d->size || !describe_type(d->flags, &type) || !is_wanted(name, names) ||
            pread(s.fd, data, size, s.head.data_offset + d->offset) != size) {
            continue;
        }
        *end = g_new0(StatsList, 1);
        (*end)->value = g_new0(Stats, 1);
        (*end)->value->name = g_steal_pointer(&name);
        (*end)->value->value = value_of(d, data);
        end = &(*end)->next;
    }
    stats_close(&s);
    return result;
}
