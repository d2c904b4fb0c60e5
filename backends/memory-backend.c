/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "memory-backend-ram", "-file" and "-memfd": guest memory as users describe
 * it: where it comes from, whether it is shared, which NUMA nodes of the host
 * it is on, whether it is allocated at once (mbind(2), madvise(2),
 * memfd_create(2)).
 *
 * Main thread with the machine lock; pre-faulting uses threads of its own
 * while the main thread waits.
 */
#include "util/osdep.h"
#include <linux/magic.h>
#include <linux/memfd.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include "backends/memory-backend.h"
#include "backends/thread-context.h"
#include "qapi-commands.h"
#include "util/cutils.h"
#include "util/thread.h"

#define MAX_NODES 128

struct MemoryBackend {
    Object obj;
    MemoryRegion region;
    RamBlock *ram;              /* NULL before completion */
    bool claimed;
    uint64_t size;
    bool share, merge, dump, prealloc, reserve, canonical_id;
    uint32_t prealloc_threads;
    Object *prealloc_context;   /* a ThreadContext, or NULL */
    int policy;                 /* HostMemPolicy */
    unsigned long nodes[MAX_NODES / (8 * sizeof(unsigned long))];
};

typedef struct MemoryBackendOps {
    /* Fill in what is special: fd, fd_offset, page_size, align, readonly. */
    bool (*open)(MemoryBackend *s, RamOptions *opts, Error **errp);
} MemoryBackendOps;

/* ---- host-nodes ---- */

static bool node_is_set(const MemoryBackend *s, unsigned node)
{
    unsigned bits = 8 * sizeof(unsigned long);

    return s->nodes[node / bits] & (1ul << (node % bits));
}

static bool get_host_nodes(Object *obj, const ObjectProperty *p, JsonValue **value, Error **errp)
{
    *value = json_array();
    for (unsigned node = 0; node < MAX_NODES; node++) {
        if (node_is_set(MEMORY_BACKEND(obj), node)) {
            json_array_add_take(*value, json_int(node));
        }
    }
    return true;
}

static bool set_host_nodes(Object *obj, const ObjectProperty *p, const JsonValue *value,
                           Error **errp)
{
    MemoryBackend *s = MEMORY_BACKEND(obj);
    unsigned bits = 8 * sizeof(unsigned long);

    if (json_kind(value) != JSON_ARRAY) {
        error_setg(errp, "Invalid parameter type for 'host-nodes', expected: array");
        return false;
    }
    memset(s->nodes, 0, sizeof(s->nodes));
    for (size_t i = 0; i < json_array_len(value); i++) {
        uint64_t node;

        if (!json_get_uint(json_array_at(value, i), &node) || node >= MAX_NODES) {
            error_setg(errp, "Parameter 'host-nodes' expects node numbers below %d", MAX_NODES);
            return false;
        }
        s->nodes[node / bits] |= 1ul << (node % bits);
    }
    return true;
}

static bool set_size(Object *obj, const ObjectProperty *p, const JsonValue *value, Error **errp)
{
    uint64_t *field = property_field(obj, p);

    if (!prop_kind_size.set(obj, p, value, errp)) {
        return false;
    }
    if (*field == 0) {
        error_setg(errp, "property '%s' of %s doesn't take value '0'", p->name, obj->type->name);
        return false;
    }
    return true;
}

static const ObjectProperty backend_properties[] = {
    { .name = "size", .kind = &prop_kind_size, .offset = offsetof(MemoryBackend, size),
      .type_name = "int", .set = set_size, .flags = PROP_NO_DEFAULT, .description = "bytes" },
    PROP_BOOL("share", MemoryBackend, share, false, "changes reach the file or other processes"),
    PROP_BOOL("merge", MemoryBackend, merge, true, "the host may merge equal pages"),
    PROP_BOOL("dump", MemoryBackend, dump, true, "part of a core dump"),
    PROP_BOOL("prealloc", MemoryBackend, prealloc, false, "touch all pages at once"),
    { .name = "prealloc-threads", .kind = &prop_kind_uint32, .type_name = "int", .def.u = 1,
      .offset = offsetof(MemoryBackend, prealloc_threads), .description = "threads that do so" },
    { .name = "prealloc-context", .kind = &prop_kind_link, .arg = &thread_context_type,
      .offset = offsetof(MemoryBackend, prealloc_context), .description = "what they run on" },
    PROP_BOOL("reserve", MemoryBackend, reserve, true, "reserve swap space"),
    PROP_CUSTOM("host-nodes", "int", get_host_nodes, set_host_nodes, PROP_NO_DEFAULT,
                "NUMA nodes of the host that the policy is about"),
    PROP_ENUM("policy", MemoryBackend, policy, &qapi_enum_HostMemPolicy, HOST_MEM_POLICY_DEFAULT,
              "where pages are allocated"),
    PROP_BOOL("x-use-canonical-path-for-ramblock-id", MemoryBackend, canonical_id, false,
              "name the memory after the object's path in migration streams"),
    PROP_END
};

/* ---- allocation ---- */

static bool bind_memory(MemoryBackend *s, Error **errp)
{
    static const int modes[] = {
        [HOST_MEM_POLICY_DEFAULT] = MPOL_DEFAULT,
        [HOST_MEM_POLICY_PREFERRED] = MPOL_PREFERRED,
        [HOST_MEM_POLICY_BIND] = MPOL_BIND,
        [HOST_MEM_POLICY_INTERLEAVE] = MPOL_INTERLEAVE,
    };
    unsigned top = 0;

    for (unsigned node = 0; node < MAX_NODES; node++) {
        top = node_is_set(s, node) ? node + 1 : top;
    }
    if (s->policy == HOST_MEM_POLICY_DEFAULT) {
        if (top) {
            error_setg(errp, "host-nodes must be empty for policy default, or you should "
                       "explicitly specify a policy other than default");
            return false;
        }
        return true;
    }
    if (!top) {
        error_setg(errp, "host-nodes must be set for policy %s", HostMemPolicy_str(s->policy));
        return false;
    }
    /* The kernel wants one more bit than there are. */
    if (syscall(SYS_mbind, s->ram->host, s->ram->size, modes[s->policy], s->nodes, top + 1,
                MPOL_MF_STRICT | MPOL_MF_MOVE) < 0) {
        error_setg_errno(errp, errno, "cannot bind memory to host NUMA nodes");
        return false;
    }
    return true;
}

typedef struct FaultSlice {
    pthread_t thread;
    uint8_t *start;
    size_t len;
    size_t page_size;
    int err;
} FaultSlice;

/*
 * Without MADV_POPULATE_WRITE (Linux before 5.14): write each page back to
 * itself, which is only safe before the guest runs.
 */
static void *fault_slice(void *opaque)
{
    FaultSlice *f = opaque;

    if (f->len == 0 || madvise(f->start, f->len, MADV_POPULATE_WRITE) == 0) {
        return NULL;
    }
    if (errno != EINVAL) {
        f->err = errno;
        return NULL;
    }
    for (size_t i = 0; i < f->len; i += f->page_size) {
        volatile uint8_t *p = f->start + i;

        *p = *p;
    }
    return NULL;
}

/* On the thread whose affinity the others inherit. Gives an errno value, or 0. */
static int touch_pages(MemoryBackend *s)
{
    unsigned n = CLAMP(s->prealloc_threads, 1, 64);
    size_t pages = s->ram->size / s->ram->page_size;
    size_t each = DIV_ROUND_UP(pages, n) * s->ram->page_size;
    g_autofree FaultSlice *slices = g_new0(FaultSlice, n);
    unsigned started = 0;
    int err = 0;

    for (unsigned i = 0; i < n; i++) {
        size_t start = MIN((uint64_t)i * each, s->ram->size);

        slices[i] = (FaultSlice){ .start = s->ram->host + start,
                                  .len = MIN(each, s->ram->size - start),
                                  .page_size = s->ram->page_size };
    }
    while (started + 1 < n &&
           thread_create(&slices[started].thread, "touch_pages", fault_slice, &slices[started],
                         NULL)) {
        started++;
    }
    for (unsigned i = started; i < n; i++) {
        fault_slice(&slices[i]);
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(slices[i].thread, NULL);
    }
    for (unsigned i = 0; i < n; i++) {
        err = err ? err : slices[i].err;
    }
    return err;
}

typedef struct Preallocation {
    MemoryBackend *backend;
    int err;
} Preallocation;

static void touch_on_context(void *opaque)
{
    Preallocation *p = opaque;

    p->err = touch_pages(p->backend);
}

static bool preallocate(MemoryBackend *s, Error **errp)
{
    Preallocation p = { .backend = s };

    if (s->prealloc_context) {
        thread_context_run(object_cast(s->prealloc_context, &thread_context_type), touch_on_context, &p);
    } else {
        p.err = touch_pages(s);
    }
    if (p.err) {
        error_setg_errno(errp, p.err, "preallocating memory failed");
        return false;
    }
    return true;
}

static bool backend_complete(Object *obj, Error **errp)
{
    MemoryBackend *s = MEMORY_BACKEND(obj);
    const MemoryBackendOps *ops = object_ops(obj, &memory_backend_type);
    g_autofree char *path = s->canonical_id ? object_path(obj) : NULL;
    RamOptions opts = {
        .id = path ? path : obj->name,
        .size = s->size,
        .shared = s->share,
        .fd = -1,
        .noreserve = !s->reserve,
        .dump = s->dump,
        .merge = s->merge,
    };

    if (s->size == 0) {
        error_setg(errp, "can't create backend with size 0");
        return false;
    }
    if (!s->prealloc_threads) {
        error_setg(errp, "Parameter 'prealloc-threads' expects a number above 0");
        return false;
    }
    if (ops && ops->open && !ops->open(s, &opts, errp)) {
        return false;
    }
    s->ram = ram_block_new(&opts, errp);
    if (!s->ram) {
        if (opts.fd >= 0) {
            close(opts.fd);
        }
        return false;
    }
    memory_region_init_ram_block(&s->region, NULL, obj->name, s->ram);
    return bind_memory(s, errp) && (!s->prealloc || preallocate(s, errp));
}

static bool backend_can_be_deleted(Object *obj)
{
    return !MEMORY_BACKEND(obj)->claimed && obj->refs == 1;
}

static void backend_finalize(Object *obj)
{
    MemoryBackend *s = MEMORY_BACKEND(obj);

    if (s->ram) {
        memory_region_cleanup(&s->region);
    }
}

static const UserCreatableOps backend_creatable_ops = {
    .complete = backend_complete,
    .can_be_deleted = backend_can_be_deleted,
};

OBJECT_TYPE(memory_backend_type) = {
    .name = "memory-backend",
    .parent = &object_type,
    .instance_size = sizeof(MemoryBackend),
    .abstract = true,
    .properties = backend_properties,
    .instance_finalize = backend_finalize,
    .impls = TYPE_IMPLS({ &user_creatable_type, &backend_creatable_ops }),
};

OBJECT_TYPE_STATIC(memory_backend_ram_type) = {
    .name = "memory-backend-ram",
    .parent = &memory_backend_type,
    .description = "anonymous memory",
};

/* ---- memory-backend-file ---- */

typedef struct MemoryBackendFile {
    MemoryBackend parent;
    char *path;
    uint64_t align;
    bool discard_data, pmem, readonly;
} MemoryBackendFile;

static const ObjectProperty file_properties[] = {
    { .name = "mem-path", .kind = &prop_kind_string, .offset = offsetof(MemoryBackendFile, path),
      .type_name = "string", .description = "the file, or a folder for a temporary one" },
    { .name = "align", .kind = &prop_kind_size, .offset = offsetof(MemoryBackendFile, align),
      .type_name = "int", .description = "alignment of the mapping" },
    PROP_BOOL("discard-data", MemoryBackendFile, discard_data, false,
              "the content may be thrown away at the end"),
    PROP_BOOL("pmem", MemoryBackendFile, pmem, false, "persistent memory (not supported)"),
    PROP_BOOL("readonly", MemoryBackendFile, readonly, false, "open and map read-only"),
    PROP_END
};

/* A file without a name in folder @dir. */
static int open_temporary(const char *dir)
{
    g_autofree char *name = g_build_filename(dir, "nemu-memory-XXXXXX", NULL);
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    /* hugetlbfs before Linux 5.19 has no O_TMPFILE. */
    if (fd < 0) {
        fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0) {
            unlink(name);
        }
    }
    return fd;
}

static int open_path(const MemoryBackendFile *f)
{
    struct stat st;

    if (stat(f->path, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (f->readonly) {
            errno = EISDIR;
            return -1;
        }
        return open_temporary(f->path);
    }
    return open_cloexec(f->path, f->readonly ? O_RDONLY : O_RDWR | O_CREAT, 0600);
}

/* An empty file grows to @size; one that has data must have enough. */
static bool fit_file(const MemoryBackendFile *f, int fd, uint64_t size, Error **errp)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "can't examine backing store %s", f->path);
        return false;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size >= size) {
        return true;
    }
    if (st.st_size > 0 || f->readonly) {
        error_setg(errp, "backing store size 0x%" PRIx64 " does not match 'size' option 0x%"
                   PRIx64, (uint64_t)st.st_size, size);
        return false;
    }
    if (ftruncate(fd, size) < 0) {
        error_setg_errno(errp, errno, "can't enlarge backing store %s", f->path);
        return false;
    }
    return true;
}

static size_t file_page_size(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC ? (size_t)fs.f_bsize : 0;
}

static bool file_open(MemoryBackend *s, RamOptions *opts, Error **errp)
{
    MemoryBackendFile *f = (MemoryBackendFile *)s;
    int fd;

    if (!f->path) {
        error_setg(errp, "Parameter 'mem-path' is missing");
        return false;
    }
    if (f->pmem) {
        error_setg(errp, "pmem=on is not supported");
        return false;
    }
    if (f->align && !IS_POWER_OF_2(f->align)) {
        error_setg(errp, "Parameter 'align' expects a power of two");
        return false;
    }
    fd = open_path(f);
    if (fd < 0) {
        error_setg_errno(errp, errno, "can't open backing store %s for guest RAM", f->path);
        return false;
    }
    if (!fit_file(f, fd, s->size, errp)) {
        close(fd);
        return false;
    }
    opts->fd = fd;
    opts->align = f->align;
    opts->readonly = f->readonly;
    opts->page_size = file_page_size(fd);
    return true;
}

/* Throwing the data away saves the host from writing it to disk. */
static void file_finalize(Object *obj)
{
    MemoryBackendFile *f = (MemoryBackendFile *)obj;
    RamBlock *ram = f->parent.ram;

    if (f->discard_data && ram && !f->readonly) {
        madvise(ram->host, ram->size, MADV_REMOVE);
    }
}

static const MemoryBackendOps file_ops = { .open = file_open };

OBJECT_TYPE_STATIC(memory_backend_file_type) = {
    .name = "memory-backend-file",
    .parent = &memory_backend_type,
    .instance_size = sizeof(MemoryBackendFile),
    .description = "memory in a file",
    .properties = file_properties,
    .instance_finalize = file_finalize,
    .impls = TYPE_IMPLS({ &memory_backend_type, &file_ops }),
};

/* ---- memory-backend-memfd ---- */

typedef struct MemoryBackendMemfd {
    MemoryBackend parent;
    bool hugetlb, seal;
    uint64_t hugetlb_size;
} MemoryBackendMemfd;

static const ObjectProperty memfd_properties[] = {
    PROP_BOOL("share", MemoryBackend, share, true, "other processes can map it"),
    PROP_BOOL("hugetlb", MemoryBackendMemfd, hugetlb, false, "huge pages of the host"),
    { .name = "hugetlbsize", .kind = &prop_kind_size, .type_name = "int",
      .offset = offsetof(MemoryBackendMemfd, hugetlb_size),
      .description = "their size; 0: the default" },
    PROP_BOOL("seal", MemoryBackendMemfd, seal, true, "the size cannot change"),
    PROP_END
};

static bool memfd_open(MemoryBackend *s, RamOptions *opts, Error **errp)
{
    MemoryBackendMemfd *m = (MemoryBackendMemfd *)s;
    unsigned flags = MFD_CLOEXEC | (m->seal ? MFD_ALLOW_SEALING : 0);
    int fd;

    if (m->hugetlb_size && (!m->hugetlb || !IS_POWER_OF_2(m->hugetlb_size))) {
        error_setg(errp, m->hugetlb ? "Parameter 'hugetlbsize' expects a power of two"
                                    : "hugetlbsize= needs hugetlb=on");
        return false;
    }
    if (m->hugetlb) {
        flags |= MFD_HUGETLB;
        if (m->hugetlb_size) {
            flags |= (unsigned)__builtin_ctzll(m->hugetlb_size) << MFD_HUGE_SHIFT;
        }
    }
    fd = memfd_create("memory-backend-memfd", flags);
    if (fd < 0) {
        error_setg_errno(errp, errno, "failed to create memfd");
        return false;
    }
    if (ftruncate(fd, s->size) < 0) {
        error_setg_errno(errp, errno, "failed to resize memfd to %" PRIu64, s->size);
        close(fd);
        return false;
    }
    if (m->seal && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        error_setg_errno(errp, errno, "failed to seal memfd");
        close(fd);
        return false;
    }
    opts->fd = fd;
    opts->page_size = m->hugetlb ? file_page_size(fd) : 0;
    return true;
}

static const MemoryBackendOps memfd_ops = { .open = memfd_open };

OBJECT_TYPE_STATIC(memory_backend_memfd_type) = {
    .name = "memory-backend-memfd",
    .parent = &memory_backend_type,
    .instance_size = sizeof(MemoryBackendMemfd),
    .description = "memory that other processes can map",
    .properties = memfd_properties,
    .impls = TYPE_IMPLS({ &memory_backend_type, &memfd_ops }),
};

/* ---- users ---- */

MemoryRegion *memory_backend_region(MemoryBackend *s)
{
    return &s->region;
}

uint64_t memory_backend_size(MemoryBackend *s)
{
    return s->size;
}

bool memory_backend_claim(MemoryBackend *s, Error **errp)
{
    if (s->claimed) {
        error_setg(errp, "memory backend '%s' is used already", s->obj.name);
        return false;
    }
    s->claimed = true;
    return true;
}

void memory_backend_release(MemoryBackend *s)
{
    s->claimed = false;
}

MemoryBackend *memory_backend_new_default(const char *id, uint64_t size,
                                          const DefaultMemoryOptions *o, Error **errp)
{
    g_autoptr(JsonValue) options = json_object();
    Object *obj;

    json_object_set_string(options, "qom-type", o->path ? "memory-backend-file"
                                                        : memory_backend_ram_type.name);
    json_object_set_string(options, "id", id);
    json_object_set_uint(options, "size", size);
    json_object_set_bool(options, "merge", o->merge);
    json_object_set_bool(options, "dump", o->dump);
    json_object_set_bool(options, "prealloc", o->prealloc);
    if (o->path) {
        json_object_set_string(options, "mem-path", o->path);
    }
    obj = user_creatable_add(options, errp);
    return obj ? MEMORY_BACKEND(obj) : NULL;
}

/* ---- query-memdev ---- */

static int list_backend(Object *obj, void *opaque)
{
    MemdevList ***end = opaque;
    MemoryBackend *s = object_cast_or_null(obj, &memory_backend_type);
    Memdev *info;
    Uint16List **node_end;

    if (!s) {
        return 0;
    }
    info = g_new0(Memdev, 1);
    info->id = g_strdup(obj->name);
    info->size = s->size;
    info->merge = s->merge;
    info->dump = s->dump;
    info->prealloc = s->prealloc;
    info->share = s->share;
    info->has_reserve = true;
    info->reserve = s->reserve;
    info->policy = s->policy;
    node_end = &info->host_nodes;
    for (unsigned node = 0; node < MAX_NODES; node++) {
        if (node_is_set(s, node)) {
            *node_end = g_new0(Uint16List, 1);
            (*node_end)->value = node;
            node_end = &(*node_end)->next;
        }
    }
    **end = g_new0(MemdevList, 1);
    (**end)->value = info;
    *end = &(**end)->next;
    return 0;
}

MemdevList *qmp_query_memdev(Error **errp)
{
    MemdevList *list = NULL, **end = &list;

    object_foreach_child(object_objects_root(), list_backend, &end);
    return list;
}
