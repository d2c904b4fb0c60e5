/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fw_cfg: the numbered and named items that firmware and guest tools read
 * (docs/system/devices/fw_cfg.md).
 *
 * Items are added before the guest runs. Files appear in the directory sorted
 * by name.
 *
 * Thread: machine lock.
 */
#ifndef HW_BOOT_FW_CFG_H
#define HW_BOOT_FW_CFG_H

#include "hw/core/device.h"
#include "system/memory.h"

/* Numbered items. */
typedef enum FwCfgKey {
    FW_CFG_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_UUID = 0x02, FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04, FW_CFG_NB_CPUS = 0x05, FW_CFG_MACHINE_ID = 0x06,
    FW_CFG_KERNEL_ADDR = 0x07, FW_CFG_KERNEL_SIZE = 0x08, FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b, FW_CFG_BOOT_DEVICE = 0x0c, FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e, FW_CFG_MAX_CPUS = 0x0f, FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11, FW_CFG_INITRD_DATA = 0x12, FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14, FW_CFG_CMDLINE_DATA = 0x15, FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17, FW_CFG_SETUP_DATA = 0x18, FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_ARCH_LOCAL = 0x8000, FW_CFG_E820_TABLE = 0x8003,
} FwCfgKey;

#define FW_CFG_MAX_NAME 55
#define FW_CFG_ARCH_KEYS 8

/* The guest has written into a file, whose bytes these are now. */
typedef void FwCfgWritten(void *opaque, const uint8_t *data);

/* Where an item's bytes are: @data, or a part of a host file, read when the guest reads. */
typedef struct FwCfgItem {
    uint8_t *data;
    int fd;                     /* -1: @data; not owned */
    uint64_t fd_offset;
    uint32_t size;
    FwCfgWritten *written;      /* NULL: the guest cannot write */
    uint8_t *initial;           /* what it is at a reset then */
    void *opaque;
} FwCfgItem;

typedef struct FwCfgFile {
    char name[FW_CFG_MAX_NAME + 1];
    FwCfgItem item;
    bool lazy;
} FwCfgFile;

/* Gives every lazy file its bytes by fw_cfg_replace_file(). */
typedef void FwCfgBuild(void *opaque);

typedef struct FwCfgState {
    DeviceState dev;
    MemoryRegion ports, data, dma_ports;        /* @data only in memory; among the ports it is in @ports */
    uint64_t base;
    bool in_memory;
    FwCfgItem keys[FW_CFG_FILE_FIRST], arch_keys[FW_CFG_ARCH_KEYS];
    GPtrArray *files;           /* FwCfgFile, sorted by name */
    FwCfgBuild *build;
    void *build_opaque;
    bool lazy_current;          /* lazy files were built since the last reset */
    uint16_t selected;
    uint32_t offset;            /* in the selected item */
    uint64_t dma_address;
} FwCfgState;

extern const TypeInfo fw_cfg_type;      /* "fw_cfg" */
#define FW_CFG(p) ((FwCfgState *)object_cast(p, &fw_cfg_type))

/* The device with its ports at @base, as @parent/fw_cfg, with the user's items. Borrowed. */
FwCfgState *fw_cfg_create(Object *parent, uint16_t base, Error **errp);
/* The same in memory (Arm): data at @base, selector at 8, DMA address at 16; numbers are big-endian. */
FwCfgState *fw_cfg_create_in_memory(Object *parent, uint64_t base, Error **errp);
#define FW_CFG_MEMORY_SIZE 0x18

/* Data is copied; a key that has bytes already gets new ones. */
void fw_cfg_set_bytes(FwCfgState *s, uint16_t key, const void *data, uint32_t size);
void fw_cfg_set_string(FwCfgState *s, uint16_t key, const char *text);
void fw_cfg_set_u16(FwCfgState *s, uint16_t key, uint16_t value);
void fw_cfg_set_u32(FwCfgState *s, uint16_t key, uint32_t value);
void fw_cfg_set_u64(FwCfgState *s, uint16_t key, uint64_t value);
/* [offset, offset + size) of a host file that stays open. */
void fw_cfg_set_fd(FwCfgState *s, uint16_t key, int fd, uint64_t offset, uint32_t size);
/* False when the name is taken or too long. */
bool fw_cfg_add_file(FwCfgState *s, const char *name, const void *data, uint32_t size,
                     Error **errp);
/* The same for a file that the guest may write to by DMA; at a reset it has these bytes again. */
bool fw_cfg_add_writable_file(FwCfgState *s, const char *name, const void *data, uint32_t size, FwCfgWritten *written,
                              void *opaque, Error **errp);
/* Other bytes for a file that is there. The directory tells the new size when it is read next. */
void fw_cfg_replace_file(FwCfgState *s, const char *name, const void *data, uint32_t size);
/*
 * Files whose content is made when the guest first asks for it after a reset
 * (firmware has placed devices by then). Their sizes in the directory are those
 * of a first build, so later ones must not be larger.
 */
void fw_cfg_set_builder(FwCfgState *s, FwCfgBuild *build, void *opaque);
void fw_cfg_add_lazy_file(FwCfgState *s, const char *name);

/* ---- -fw_cfg name=NAME,string=TEXT|file=PATH ---- */

/* Remember an item for the device to come; exactly one of @string and @file. */
bool fw_cfg_user_item_add(const char *name, const char *string, const char *file, Error **errp);

#endif
