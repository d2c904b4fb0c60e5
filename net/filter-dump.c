/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "filter-dump": frames into a file in pcap format, as network analyzers read
 * it. A full disk costs the file its end, not the guest its network.
 *
 * Thread: main thread with the machine lock.
 */
#include "util/osdep.h"

#include "net/filter.h"
#include "util/cutils.h"
#include "util/iov.h"

#define PCAP_MAGIC 0xa1b2c3d4
#define LINKTYPE_ETHERNET 1

typedef struct PcapHeader {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, accuracy, snap_length, link_type;
} PcapHeader;

typedef struct PcapRecord {
    uint32_t seconds, microseconds, captured, length;
} PcapRecord;

typedef struct FilterDump {
    NetFilter parent;
    char *file;
    uint32_t max_length;
    int fd;                     /* -1: closed, or writing failed */
} FilterDump;

static NetFilterVerdict dump_receive(NetFilter *f, NetClient *sender, const struct iovec *iov, unsigned cnt)
{
    FilterDump *s = (FilterDump *)f;
    gint64 now = g_get_real_time();
    size_t skip = f->netdev->vnet_hdr_len, all = iov_size(iov, cnt), len = all - MIN(all, skip);
    size_t kept = MIN(len, s->max_length);
    g_autofree uint8_t *record = NULL;
    PcapRecord head = { now / G_USEC_PER_SEC, now % G_USEC_PER_SEC, kept, len };

    if (s->fd < 0) {
        return NET_FILTER_PASS;
    }
    record = g_malloc(sizeof(head) + kept);
    memcpy(record, &head, sizeof(head));
    iov_to_buf(iov, cnt, skip, record + sizeof(head), kept);
    if (!write_full(s->fd, record, sizeof(head) + kept)) {
        warn_report("network dump write error (%s), dump ended", g_strerror(errno));
        close(s->fd);
        s->fd = -1;
    }
    return NET_FILTER_PASS;
}

static bool dump_setup(NetFilter *f, Error **errp)
{
    FilterDump *s = (FilterDump *)f;
    const PcapHeader head = { PCAP_MAGIC, 2, 4, 0, 0, s->max_length, LINKTYPE_ETHERNET };

    if (!s->file) {
        error_setg(errp, "dump filter needs 'file' property set!");
        return false;
    }
    s->fd = open_cloexec(s->file, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (s->fd < 0) {
        error_setg_errno(errp, errno, "net dump: can't open %s", s->file);
        return false;
    }
    if (!write_full(s->fd, &head, sizeof(head))) {
        error_setg_errno(errp, errno, "net dump write error");
        close(s->fd);
        s->fd = -1;
        return false;
    }
    return true;
}

static void dump_cleanup(NetFilter *f)
{
    FilterDump *s = (FilterDump *)f;

    if (s->fd >= 0) {
        close(s->fd);
        s->fd = -1;
    }
}

static bool set_max_length(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    if (!prop_kind_uint32.set(obj, p, value, errp)) {
        return false;
    }
    if (((FilterDump *)obj)->max_length == 0) {
        error_setg(errp, "Property '%s.maxlen' doesn't take value '0'", obj->type->name);
        return false;
    }
    return true;
}

static const ObjectProperty dump_properties[] = {
    { .name = "file", .kind = &prop_kind_string, .offset = offsetof(FilterDump, file), .type_name = "string",
      .description = "the file" },
    { .name = "maxlen", .kind = &prop_kind_uint32, .offset = offsetof(FilterDump, max_length), .type_name = "uint32",
      .set = set_max_length, .def.u = 65536, .description = "bytes kept of a frame" },
    PROP_END
};

static const NetFilterOps dump_ops = {
    .setup = dump_setup, .cleanup = dump_cleanup, .receive = dump_receive,
};

OBJECT_TYPE_STATIC(filter_dump_type) = {
    .name = "filter-dump", .parent = &net_filter_type,
    .description = "frames into a pcap file",
    .instance_size = sizeof(FilterDump),
    .properties = dump_properties,
    .impls = TYPE_IMPLS({ &net_filter_type, &dump_ops }),
};
