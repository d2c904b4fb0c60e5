/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware of `virt`: the image below 4 GiB, in flash or as a ROM, and the few
 * registers of a PC that stock UEFI firmware needs. Without firmware none of
 * this exists.
 *
 * UEFI firmware takes 00:00.0 for the host bridge of a Q35 and finds power
 * management by two registers of 00:1f.0, which is otherwise not there. What it
 * does for the operating system at run time ends in the ports below: power-off
 * in PM1a_CNT (ACPI 6.4, section 4.8.3.2), reset in the keyboard controller's
 * command port or in 0xCF9.
 *
 * Main thread at start-up; registers in vCPU threads with the machine lock.
 */
#include "util/osdep.h"

#include <sys/stat.h>
#include "hw/acpi/reduced.h"
#include "hw/misc/mc146818.h"
#include "machine.h"
#include "system/datadir.h"
#include "system/runstate.h"
#include "trace-hw-acpi.h"
#include "util/cutils.h"

#define BANKS ARRAY_SIZE(((VirtMachine *)0)->flash)
#define FLASH_MAX (8 * MIB)     /* of all banks */
#define FLASH_SECTOR 4096
#define ROM_MAX (16 * MIB)      /* what is between KVM's pages and 4 GiB */
#define ROM_UNIT (64 * KIB)
#define LOW_ALIAS_MAX (128 * KIB)       /* of the image's end, seen below 1 MiB too */

enum { SLEEP_ENABLE = 1 << 13, SLEEP_TYPE_MASK = 7 << 10 };
enum { KEYBOARD_PULSE_RESET = 0xfe, RESET_CONTROL_RESET = 1 << 2 };

/* ---- registers ---- */

typedef struct FirmwarePorts {
    DeviceState dev;
    MemoryRegion pm1_control, pm_timer, keyboard;
    uint16_t pm1;
} FirmwarePorts;

static uint64_t pm1_read(void *opaque, GuestAddr addr, unsigned size)
{
    return ((FirmwarePorts *)opaque)->pm1;
}

/* Sleep type 0 is S5; the machine has no other. */
static void pm1_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    FirmwarePorts *s = opaque;

    s->pm1 = value & ~SLEEP_ENABLE;
    if (value & SLEEP_ENABLE) {
        trace_acpi_sleep(value);
        if (!(value & SLEEP_TYPE_MASK)) {
            system_shutdown_request(SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
        }
    }
}

static const MemoryRegionOps pm1_ops = {
    .read = pm1_read, .write = pm1_write, .valid_min = 1, .valid_max = 2, .impl_min = 2, .impl_max = 2,
};

static uint64_t keyboard_read(void *opaque, GuestAddr addr, unsigned size)
{
    return UINT8_MAX;           /* as where there is nothing */
}

static void keyboard_write(void *opaque, GuestAddr addr, uint64_t value, unsigned size)
{
    if (value == KEYBOARD_PULSE_RESET) {
        trace_acpi_reset(value);
        system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
    }
}

static const MemoryRegionOps keyboard_ops = {
    .read = keyboard_read, .write = keyboard_write, .valid_min = 1, .valid_max = 1,
};

void virt_firmware_reset_control(void *opaque, uint8_t value)
{
    if (value & RESET_CONTROL_RESET) {
        trace_acpi_reset(value);
        system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
    }
}

static bool ports_realize(DeviceState *dev, Error **errp)
{
    FirmwarePorts *s = (FirmwarePorts *)dev;
    AcpiReducedState *acpi = ACPI_REDUCED(object_child(OBJECT(dev)->parent, "acpi-ports"));

    memory_region_init_io(&s->pm1_control, OBJECT(s), &pm1_ops, s, "acpi-pm1-control", 2);
    memory_region_init_alias(&s->pm_timer, OBJECT(s), "acpi-pm-timer-alias", &acpi->pm_timer, 0, 4);
    memory_region_init_io(&s->keyboard, OBJECT(s), &keyboard_ops, s, "keyboard-command", 1);
    memory_region_add(system_io(), VIRT_PORT_PM1_CONTROL, &s->pm1_control);
    memory_region_add(system_io(), VIRT_PORT_PM1_TIMER, &s->pm_timer);
    memory_region_add(system_io(), VIRT_PORT_KEYBOARD, &s->keyboard);
    return true;
}

static void ports_unrealize(DeviceState *dev)
{
    FirmwarePorts *s = (FirmwarePorts *)dev;

    memory_region_cleanup(&s->keyboard);
    memory_region_cleanup(&s->pm_timer);
    memory_region_cleanup(&s->pm1_control);
}

static void ports_reset(DeviceState *dev)
{
    ((FirmwarePorts *)dev)->pm1 = 0;
}

static const StateTable ports_state = {
    .name = "virt-firmware-ports", .version = 1, .minimum_version = 1,
    .fields = (const StateField[]) { STATE_F_UINT16(FirmwarePorts, pm1), STATE_F_END },
};

static const DeviceOps ports_ops = {
    .realize = ports_realize, .unrealize = ports_unrealize, .reset = ports_reset,
    .state = &ports_state,
};

OBJECT_TYPE_STATIC(firmware_ports_type) = {
    .name = "virt-firmware-ports",
    .parent = &device_type,
    .description = "Registers that UEFI firmware needs",
    .instance_size = sizeof(FirmwarePorts),
    .impls = TYPE_IMPLS({ &device_type, &ports_ops }),
};

bool virt_firmware_create_ports(VirtMachine *v, Error **errp)
{
    DeviceState *dev = device_new(&firmware_ports_type);

    object_add_child(OBJECT(v), "firmware-ports", dev, &error_abort);
    return device_realize_and_unref(dev, NULL, errp) && mc146818_create(OBJECT(v), VIRT_PORT_RTC, errp);
}

/* ---- the image ---- */

/* A real-mode far jump from the reset vector stays in this. */
static void map_low_alias(VirtMachine *v, MemoryRegion *image)
{
    uint64_t size = MIN(image->size, LOW_ALIAS_MAX);

    memory_region_init_alias(&v->rom_alias, OBJECT(v), "isa-bios", image, image->size - size, size);
    memory_region_add_overlap(system_memory(), MIB - size, &v->rom_alias, 1);
}

/* Bank 0 ends at 4 GiB, the next one lies below it. */
static bool create_flash(VirtMachine *v, Error **errp)
{
    const PflashConfig cfg = { .sector = FLASH_SECTOR, .width = 1, .chip_width = 1, .max_size = FLASH_MAX };
    uint64_t total = 0;

    for (unsigned i = 0; i < BANKS && (v->flash_node[i] || drive_find_pflash(i)); i++) {
        g_autofree char *name = g_strdup_printf("system.flash%u", i);

        v->flash[i] = pflash_create(OBJECT(v), name, &cfg, v->flash_node[i], i, errp);
        if (!v->flash[i]) {
            return false;
        }
        total += pflash_region(v->flash[i])->size;
        if (total > FLASH_MAX) {
            error_setg(errp, "combined size of system firmware exceeds %" PRIu64 " bytes", FLASH_MAX);
            return false;
        }
        memory_region_add(system_memory(), VIRT_HIGH_RAM_BASE - total, pflash_region(v->flash[i]));
    }
    map_low_alias(v, pflash_region(v->flash[0]));
    return true;
}

static bool create_rom(VirtMachine *v, Error **errp)
{
    g_autofree char *path = datadir_find(v->machine.firmware);
    int fd = path ? open_cloexec(path, O_RDONLY) : -1;
    bool ok = false;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        error_setg(errp, "could not load PC BIOS '%s'", v->machine.firmware);
    } else if (st.st_size <= 0 || st.st_size % ROM_UNIT || (uint64_t)st.st_size > ROM_MAX) {
        error_setg(errp, "could not load PC BIOS '%s'", v->machine.firmware);
        error_append_hint(errp, "Its size must be a multiple of 64 KiB, at most 16 MiB; code without its variables"
                          " goes into flash (-drive if=pflash)\n");
    } else if (memory_region_init_rom(&v->rom, OBJECT(v), "pc.bios", st.st_size, errp)) {
        ok = read_full(fd, v->rom.ram->host, st.st_size);
        if (!ok) {
            error_setg(errp, "could not read PC BIOS '%s'", v->machine.firmware);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    if (ok) {
        memory_region_add(system_memory(), VIRT_HIGH_RAM_BASE - st.st_size, &v->rom);
        map_low_alias(v, &v->rom);
    }
    return ok;
}

bool virt_firmware_load(VirtMachine *v, Error **errp)
{
    for (unsigned i = 1; i < BANKS; i++) {
        if ((v->flash_node[i] || drive_find_pflash(i)) && !v->flash_node[0] && !drive_find_pflash(0)) {
            error_setg(errp, "pflash%u requires pflash0", i);
            return false;
        }
    }
    if (v->flash_node[0] || drive_find_pflash(0)) {
        if (v->machine.firmware) {
            warn_report("firmware '%s' is not used: there is one in flash", v->machine.firmware);
        }
        v->has_firmware = true;
        return create_flash(v, errp);
    }
    v->has_firmware = v->machine.firmware != NULL;
    return !v->has_firmware || create_rom(v, errp);
}

void virt_firmware_cleanup(VirtMachine *v)
{
    memory_region_cleanup(&v->rom_alias);
    memory_region_cleanup(&v->rom);
}
