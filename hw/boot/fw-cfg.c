/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fw_cfg with its port interface: selector 0x510 (16 bits), data 0x511
 * (bytes), DMA address 0x514 (64 bits, big-endian); and its interface in
 * memory. vCPU threads with the
 * machine lock. The guest chooses selectors, addresses and lengths; transfers
 * are cut to the item, go to RAM only, and are bounded.
 */
#include "util/osdep.h"

#include "hw/boot/fw-cfg.h"
#include "migration/state.h"
#include "trace-hw-boot.h"
#include "util/bswap.h"
#include "util/cutils.h"

/* Bits of a DMA command. */
enum {
    DMA_ERROR = 1 << 0, DMA_READ = 1 << 1, DMA_SKIP = 1 << 2, DMA_SELECT = 1 << 3,
    DMA_WRITE = 1 << 4,
};
enum { ID_TRADITIONAL = 1, ID_DMA = 2 };
/* How much of a read past the end of an item is filled with zeros; more is an error. */
#define MAX_ZERO_FILL (16 * MIB)
#define DIRECTORY_ENTRY 64
#define KEY_MASK 0xbfff         /* without the write channel bit */

/* What -fw_cfg gave, before there was a device. */
typedef struct UserItem {
    char *name;
    uint8_t *data;
    uint32_t size;
} UserItem;
static GArray *user_items;

/* ---- items ---- */

static FwCfgItem *find_item(FwCfgState *s, uint16_t key)
{
    key &= KEY_MASK;
    if (key < FW_CFG_FILE_FIRST) {
        return &s->keys[key];
    }
    if (key >= FW_CFG_ARCH_LOCAL) {
        unsigned n = key - FW_CFG_ARCH_LOCAL;
        return n < FW_CFG_ARCH_KEYS ? &s->arch_keys[n] : NULL;
    }
    unsigned n = key - FW_CFG_FILE_FIRST;
    return n < s->files->len ? &((FwCfgFile *)s->files->pdata[n])->item : NULL;
}

static void item_set(FwCfgItem *item, const void *data, uint32_t size)
{
    g_free(item->data);
    item->data = g_memdup2(data, size);
    item->fd = -1;
    item->size = size;
}

void fw_cfg_set_bytes(FwCfgState *s, uint16_t key, const void *data, uint32_t size)
{
    FwCfgItem *item = find_item(s, key);
    g_assert(item);
    item_set(item, data, size);
}

void fw_cfg_set_string(FwCfgState *s, uint16_t key, const char *text)
{
    fw_cfg_set_bytes(s, key, text, strlen(text) + 1);
}

static void set_le(FwCfgState *s, uint16_t key, uint64_t value, unsigned size)
{
    uint8_t b[8];
    store_le64(b, value);
    fw_cfg_set_bytes(s, key, b, size);
}

void fw_cfg_set_u16(FwCfgState *s, uint16_t key, uint16_t value)
{
    set_le(s, key, value, 2);
}

void fw_cfg_set_u32(FwCfgState *s, uint16_t key, uint32_t value)
{
    set_le(s, key, value, 4);
}

void fw_cfg_set_u64(FwCfgState *s, uint16_t key, uint64_t value)
{
    set_le(s, key, value, 8);
}

void fw_cfg_set_fd(FwCfgState *s, uint16_t key, int fd, uint64_t offset, uint32_t size)
{
    FwCfgItem *item = find_item(s, key);
    g_assert(item);
    g_free(item->data);
    *item = (FwCfgItem){ .fd = fd, .fd_offset = offset, .size = size };
}

static FwCfgFile *find_file(const FwCfgState *s, const char *name)
{
    for (guint i = 0; i < s->files->len; i++) {
        FwCfgFile *f = s->files->pdata[i];
        if (!strcmp(f->name, name)) {
            return f;
        }
    }
    return NULL;
}

static FwCfgFile *new_file(FwCfgState *s, const char *name)
{
    FwCfgFile *f = g_new0(FwCfgFile, 1);
    guint at = 0;
    g_strlcpy(f->name, name, sizeof(f->name));
    f->item.fd = -1;
    while (at < s->files->len && strcmp(((FwCfgFile *)s->files->pdata[at])->name, name) < 0) {
        at++;
    }
    g_ptr_array_insert(s->files, at, f);
    return f;
}

bool fw_cfg_add_file(FwCfgState *s, const char *name, const void *data, uint32_t size,
                     Error **errp)
{
    if (strlen(name) > FW_CFG_MAX_NAME) {
        error_setg(errp, "fw_cfg file name '%s' is too long (at most %d characters)", name,
                   FW_CFG_MAX_NAME);
        return false;
    }
    if (find_file(s, name)) {
        error_setg(errp, "duplicate fw_cfg file name: %s", name);
        return false;
    }
    item_set(&new_file(s, name)->item, data, size);
    return true;
}

bool fw_cfg_add_writable_file(FwCfgState *s, const char *name, const void *data, uint32_t size, FwCfgWritten *written,
                              void *opaque, Error **errp)
{
    if (!fw_cfg_add_file(s, name, data, size, errp)) {
        return false;
    }
    FwCfgItem *item = &find_file(s, name)->item;
    item->initial = g_memdup2(data, size);
    item->written = written;
    item->opaque = opaque;
    return true;
}

void fw_cfg_replace_file(FwCfgState *s, const char *name, const void *data, uint32_t size)
{
    item_set(&find_file(s, name)->item, data, size);
}

void fw_cfg_set_builder(FwCfgState *s, FwCfgBuild *build, void *opaque)
{
    s->build = build;
    s->build_opaque = opaque;
}

void fw_cfg_add_lazy_file(FwCfgState *s, const char *name)
{
    g_assert(!find_file(s, name));
    new_file(s, name)->lazy = true;
}

/* ---- selecting ---- */

static void build_directory(FwCfgState *s)
{
    uint32_t size = 4 + s->files->len * DIRECTORY_ENTRY;
    g_autofree uint8_t *dir = g_malloc0(size);
    store_be32(dir, s->files->len);
    for (guint i = 0; i < s->files->len; i++) {
        const FwCfgFile *f = s->files->pdata[i];
        uint8_t *e = dir + 4 + i * DIRECTORY_ENTRY;
        store_be32(e, f->item.size);
        store_be16(e + 4, FW_CFG_FILE_FIRST + i);
        memcpy(e + 8, f->name, sizeof(f->name));
    }
    fw_cfg_set_bytes(s, FW_CFG_FILE_DIR, dir, size);
}

/* True when a lazy file has no bytes yet, whose size the directory tells. */
static bool lazy_unbuilt(const FwCfgState *s)
{
    for (guint i = 0; i < s->files->len; i++) {
        const FwCfgFile *f = s->files->pdata[i];
        if (f->lazy && !f->item.data) {
            return true;
        }
    }
    return false;
}

static void select_key(FwCfgState *s, uint16_t key)
{
    trace_fw_cfg_select(key);
    s->selected = key & KEY_MASK;
    s->offset = 0;
    unsigned n = s->selected - FW_CFG_FILE_FIRST;
    if (s->selected == FW_CFG_FILE_DIR) {
        if (s->build && lazy_unbuilt(s)) {
            s->build(s->build_opaque);
        }
        build_directory(s);
    } else if (s->selected >= FW_CFG_FILE_FIRST && n < s->files->len && !s->lazy_current &&
               ((FwCfgFile *)s->files->pdata[n])->lazy) {
        s->build(s->build_opaque);
        s->lazy_current = true;
    }
}

/* ---- reading ---- */

/* @len bytes of the item from @offset on, which it has. */
static bool item_read(const FwCfgItem *item, uint32_t offset, void *buf, uint32_t len)
{
    if (item->fd < 0) {
        memcpy(buf, item->data + offset, len);
        return true;
    }
    uint8_t *p = buf;
    while (len) {
        ssize_t n = pread(item->fd, p, len, item->fd_offset + offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            memset(p, 0, len);
            return false;
        }
        p += n;
        offset += n;
        len -= n;
    }
    return true;
}

/* What is left of the selected item. */
static uint32_t left(FwCfgState *s, const FwCfgItem *item)
{
    return item && s->offset < item->size ? item->size - s->offset : 0;
}

static uint8_t read_byte(FwCfgState *s)
{
    const FwCfgItem *item = find_item(s, s->selected);
    uint8_t value = 0;
    if (left(s, item)) {
        item_read(item, s->offset, &value, 1);
        s->offset++;
    }
    return value;
}

/* ---- DMA ---- */

static bool dma_copy(const FwCfgItem *item, uint32_t offset, uint64_t addr, uint32_t len)
{
    while (len) {
        uint64_t n = len;
        void *host = guest_map(&address_space_memory, addr, &n, true);
        if (!host) {
            return false;
        }
        bool ok = item_read(item, offset, host, n);
        guest_unmap(&address_space_memory, host, n, true, n);
        if (!ok) {
            return false;
        }
        offset += n;
        addr += n;
        len -= n;
    }
    return true;
}

static bool dma_zero(uint64_t addr, uint32_t len)
{
    while (len) {
        uint64_t n = len;
        void *host = guest_map(&address_space_memory, addr, &n, true);
        if (!host) {
            return false;
        }
        memset(host, 0, n);
        guest_unmap(&address_space_memory, host, n, true, n);
        addr += n;
        len -= n;
    }
    return true;
}

static bool dma_read(FwCfgState *s, uint64_t addr, uint32_t len)
{
    const FwCfgItem *item = find_item(s, s->selected);
    uint32_t n = MIN(len, left(s, item));
    if (addr + len < addr || len - n > MAX_ZERO_FILL || !dma_copy(item, s->offset, addr, n)) {
        return false;
    }
    s->offset += n;
    return dma_zero(addr + n, len - n);
}

/* Only into a file that takes it, and only as much as it has. */
static bool dma_write(FwCfgState *s, uint64_t addr, uint32_t len)
{
    FwCfgItem *item = find_item(s, s->selected);
    if (!item || !item->written || len > left(s, item)) {
        return false;
    }
    g_autofree uint8_t *data = g_malloc(len);
    if (!guest_ram_read(&address_space_memory, addr, data, len)) {
        return false;
    }
    if (len) {
        memcpy(item->data + s->offset, data, len);
    }
    s->offset += len;
    item->written(item->opaque, item->data);
    return true;
}

/* The command lies in guest memory: u32 control, u32 length, u64 address, all big-endian. */
static void dma_run(FwCfgState *s)
{
    uint64_t at = s->dma_address;
    uint8_t command[16];
    s->dma_address = 0;
    if (!guest_ram_read(&address_space_memory, at, command, sizeof(command))) {
        trace_fw_cfg_dma_bad_command(at);
        return;
    }
    uint32_t control = load_be32(command);
    uint32_t len = load_be32(command + 4);
    uint64_t addr = load_be64(command + 8);
    bool ok = true;
    if (control & DMA_SELECT) {
        select_key(s, control >> 16);
    }
    if (control & DMA_READ) {
        ok = dma_read(s, addr, len);
    } else if (control & DMA_WRITE) {
        ok = dma_write(s, addr, len);
    } else if (control & DMA_SKIP) {
        s->offset += MIN(len, left(s, find_item(s, s->selected)));
    }
    trace_fw_cfg_dma(control, addr, len, ok);
    uint8_t status[4];
    store_be32(status, ok ? 0 : DMA_ERROR);
    guest_ram_write(&address_space_memory, at, status, sizeof(status));
}

/* ---- ports ---- */

static uint64_t ports_read(void *opaque, GuestAddr addr, unsigned size)
{
    return addr == 1 ? read_byte(opaque) : 0;
}

static void ports_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    if (addr == 0 && size == 2) {
        select_key(opaque, value);
    }
}

static const MemoryRegionOps ports_ops = {
    .read = ports_read, .write = ports_write, .valid_min = 1, .valid_max = 2,
};

/* ---- in memory ---- */

/* Bytes in their order, as many as the access is wide. */
static uint64_t data_read(void *opaque, GuestAddr addr, unsigned size)
{
    uint8_t b[8] = { 0 };
    for (unsigned i = 0; i < size; i++) {
        b[i] = read_byte(opaque);
    }
    return load_le(b, size);
}

static void data_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
}

static const MemoryRegionOps data_ops = {
    .read = data_read, .write = data_write, .valid_min = 1, .valid_max = 8,
};

static uint64_t selector_read(void *opaque, GuestAddr addr, unsigned size)
{
    return 0;
}

static void selector_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    select_key(opaque, __builtin_bswap16(value));
}

static const MemoryRegionOps selector_ops = {
    .read = selector_read, .write = selector_write, .valid_min = 2, .valid_max = 2,
};

/* ---- DMA address ---- */

static uint64_t dma_port_read(void *opaque, GuestAddr addr, unsigned size)
{
    /* Big-endian: the first byte of the signature is at the lowest address. */
    return load_le((const uint8_t *)"QEMU CFG" + addr, size);
}

static void dma_port_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    FwCfgState *s = opaque;
    if (size == 8) {
        s->dma_address = __builtin_bswap64(value);
        dma_run(s);
    } else if (addr == 0) {
        s->dma_address = (uint64_t)__builtin_bswap32(value) << 32;
    } else if (addr == 4) {
        s->dma_address |= __builtin_bswap32(value);
        dma_run(s);
    }
}

static const MemoryRegionOps dma_ops = {
    .read = dma_port_read, .write = dma_port_write, .valid_min = 4, .valid_max = 8,
};

/* ---- the user's items ---- */

bool fw_cfg_user_item_add(const char *name, const char *string, const char *file, Error **errp)
{
    UserItem item = { 0 };
    if (!name || !*name) {
        error_setg(errp, "fw_cfg: the parameter 'name' is missing");
        return false;
    }
    if (strlen(name) > FW_CFG_MAX_NAME) {
        error_setg(errp, "fw_cfg: name '%s' is too long (at most %d characters)", name,
                   FW_CFG_MAX_NAME);
        return false;
    }
    if (!string == !file) {
        error_setg(errp, "fw_cfg: item '%s' needs exactly one of 'string' and 'file'", name);
        return false;
    }
    if (strncmp(name, "opt/", 4) != 0) {
        warn_report("externally provided fw_cfg item names should be prefixed with \"opt/\"");
    }
    if (string) {
        item.size = strlen(string);     /* without its NUL */
        item.data = g_memdup2(string, item.size);
    } else {
        g_autoptr(GError) gerr = NULL;
        gsize len;
        if (!g_file_get_contents(file, (char **)&item.data, &len, &gerr)) {
            error_setg(errp, "can't load fw_cfg item '%s': %s", name, gerr->message);
            return false;
        }
        if (len > UINT32_MAX) {
            error_setg(errp, "fw_cfg item '%s': file '%s' is larger than 4 GiB", name, file);
            g_free(item.data);
            return false;
        }
        item.size = len;
    }
    item.name = g_strdup(name);
    if (!user_items) {
        user_items = g_array_new(false, false, sizeof(UserItem));
    }
    g_array_append_val(user_items, item);
    return true;
}

static bool add_user_items(FwCfgState *s, Error **errp)
{
    for (guint i = 0; user_items && i < user_items->len; i++) {
        const UserItem *item = &g_array_index(user_items, UserItem, i);
        if (!fw_cfg_add_file(s, item->name, item->data, item->size, errp)) {
            return false;
        }
        g_free(item->name);
        g_free(item->data);
    }
    g_clear_pointer(&user_items, g_array_unref);
    return true;
}

/* ---- the device ---- */

static void free_file(void *p)
{
    FwCfgFile *f = p;
    g_free(f->item.data);
    g_free(f->item.initial);
    g_free(f);
}

static void fw_cfg_init(Object *obj)
{
    FwCfgState *s = (FwCfgState *)obj;
    s->files = g_ptr_array_new_with_free_func(free_file);
    for (unsigned i = 0; i < ARRAY_SIZE(s->keys); i++) {
        s->keys[i].fd = -1;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(s->arch_keys); i++) {
        s->arch_keys[i].fd = -1;
    }
}

static void fw_cfg_finalize(Object *obj)
{
    FwCfgState *s = (FwCfgState *)obj;
    for (unsigned i = 0; i < ARRAY_SIZE(s->keys); i++) {
        g_free(s->keys[i].data);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(s->arch_keys); i++) {
        g_free(s->arch_keys[i].data);
    }
    g_ptr_array_unref(s->files);
}

static bool fw_cfg_realize(DeviceState *dev, Error **errp)
{
    FwCfgState *s = FW_CFG(dev);
    if (!add_user_items(s, errp)) {
        return false;
    }
    fw_cfg_set_bytes(s, FW_CFG_SIGNATURE, "QEMU", 4);
    fw_cfg_set_u32(s, FW_CFG_ID, ID_TRADITIONAL | ID_DMA);
    memory_region_init_io(&s->dma_ports, OBJECT(s), &dma_ops, s, "fw_cfg-dma", 8);
    if (s->in_memory) {
        memory_region_init_io(&s->data, OBJECT(s), &data_ops, s, "fw_cfg-data", 8);
        memory_region_init_io(&s->ports, OBJECT(s), &selector_ops, s, "fw_cfg-selector", 2);
        memory_region_add(system_memory(), s->base, &s->data);
        memory_region_add(system_memory(), s->base + 8, &s->ports);
        memory_region_add(system_memory(), s->base + 16, &s->dma_ports);
    } else {
        memory_region_init_io(&s->ports, OBJECT(s), &ports_ops, s, "fw_cfg", 2);
        memory_region_add(system_io(), s->base, &s->ports);
        memory_region_add(system_io(), s->base + 4, &s->dma_ports);
    }
    return true;
}

static void fw_cfg_unrealize(DeviceState *dev)
{
    FwCfgState *s = FW_CFG(dev);
    memory_region_cleanup(&s->dma_ports);
    memory_region_cleanup(&s->data);
    memory_region_cleanup(&s->ports);
}

static void fw_cfg_reset(DeviceState *dev)
{
    FwCfgState *s = FW_CFG(dev);
    for (guint i = 0; i < s->files->len; i++) {
        FwCfgItem *item = &((FwCfgFile *)s->files->pdata[i])->item;
        if (item->initial) {
            memcpy(item->data, item->initial, item->size);
        }
    }
    s->lazy_current = false;
    s->selected = FW_CFG_SIGNATURE;
    s->offset = 0;
    s->dma_address = 0;
}

/* Any selector and offset are safe: they are checked at each use. */
static const StateField fw_cfg_fields[] = {
    STATE_F_UINT16(FwCfgState, selected),
    STATE_F_UINT32(FwCfgState, offset),
    STATE_F_UINT64(FwCfgState, dma_address),
    STATE_F_END
};

static const StateTable fw_cfg_state = {
    .name = "fw_cfg", .version = 1, .minimum_version = 1, .fields = fw_cfg_fields,
};

static const DeviceOps fw_cfg_ops = {
    .realize = fw_cfg_realize,
    .unrealize = fw_cfg_unrealize,
    .reset = fw_cfg_reset,
    .state = &fw_cfg_state,
};

OBJECT_TYPE(fw_cfg_type) = {
    .name = "fw_cfg",
    .parent = &device_type,
    .description = "Firmware configuration items",
    .instance_size = sizeof(FwCfgState),
    .instance_init = fw_cfg_init,
    .instance_finalize = fw_cfg_finalize,
    .impls = TYPE_IMPLS({ &device_type, &fw_cfg_ops }),
};

static FwCfgState *create(Object *parent, uint64_t base, bool in_memory, Error **errp)
{
    DeviceState *dev = device_new(&fw_cfg_type);
    FW_CFG(dev)->base = base;
    FW_CFG(dev)->in_memory = in_memory;
    object_add_child(parent, "fw_cfg", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp) ? FW_CFG(dev) : NULL;
}

FwCfgState *fw_cfg_create(Object *parent, uint16_t base, Error **errp)
{
    return create(parent, base, false, errp);
}

FwCfgState *fw_cfg_create_in_memory(Object *parent, uint64_t base, Error **errp)
{
    return create(parent, base, true, errp);
}
