/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The AArch64 machine `virt`: memory map, devices that are always there, CPUs.
 * docs/system/machines/virt-arm.md is its description; types.c has its options
 * and versions. Main thread with the machine lock.
 */
#include "util/osdep.h"

#include "accel/kvm.h"
#include "hw/char/pl011.h"
#include "hw/misc/pl031.h"
#include "hw/virtio/virtio-mmio.h"
#include "machine.h"
#include "system/cpus.h"
#include "system/datadir.h"
#include "system/runstate.h"
#include "system/serial.h"
#include "target/arm/cpu.h"
#ifdef CONFIG_KVM
#include "target/arm/kvm/kvm-arm.h"
#endif

#define MIN_RAM MIB
/* Guest physical addresses of a CPU that nothing runs. */
#define MODEL_ADDRESS_BITS 48

/* ---- memory ---- */

static unsigned address_bits(void)
{
#ifdef CONFIG_KVM
    if (kvm_enabled()) {
        return kvm_arm_ipa_bits();
    }
#endif
    return MODEL_ADDRESS_BITS;
}

/* Leave out what lies beyond the addresses that the guest can have. */
static void fit(ArmVirtRange *r, bool wanted, unsigned bits)
{
    if (!wanted || r->base + r->size > BIT(bits)) {
        *r = (ArmVirtRange){ 0 };
    }
}

static bool plan_memory(ArmVirtMachine *v, Error **errp)
{
    const MachineState *m = &v->machine;
    unsigned bits = v->highmem ? address_bits() : 32;

    if (m->ram_size < MIN_RAM || !IS_ALIGNED(m->ram_size, 4 * KIB)) {
        error_setg(errp, "RAM size %" PRIu64 " is not possible; at least 1 MiB in multiples of"
                   " 4 KiB are", m->ram_size);
        return false;
    }
    arm_virt_layout(m, &v->layout);
    if (ARM_VIRT_RAM + m->ram_size > BIT(bits) ||
        v->layout.device_memory.base + v->layout.device_memory.size > BIT(bits)) {
        error_setg(errp, "RAM does not fit into %u bits of guest physical addresses%s", bits,
                   v->highmem ? "" : " (highmem=off)");
        return false;
    }
    fit(&v->layout.high_redist, v->highmem, bits);
    fit(&v->layout.high_ecam, v->highmem, bits);
    fit(&v->layout.high_mmio, v->highmem, bits);
    v->ecam = v->layout.high_ecam.size ? v->layout.high_ecam
              : (ArmVirtRange){ ARM_VIRT_PCIE_ECAM, ARM_VIRT_PCIE_ECAM_SIZE };
    v->memmap = memmap_new();
    memmap_add(v->memmap, ARM_VIRT_RAM, m->ram_size, MEMMAP_RAM);
    return true;
}

/* ---- devices ---- */

static IrqLine *spi(ArmVirtMachine *v, unsigned n)
{
    return device_gpio_in(&v->gic->dev, NULL, n);
}

static ArmGicConfig gic_config(const ArmVirtMachine *v)
{
    ArmGicConfig c = {
        .version = v->gic_version, .cpus = v->machine.smp.cpus, .spis = ARM_VIRT_SPIS,
        .dist = ARM_VIRT_GIC_DIST,
    };
    unsigned low = ARM_VIRT_GIC_REDIST_SIZE / ARM_GIC_REDIST_STRIDE;

    if (c.version == 2) {
        c.cpu_interface = ARM_VIRT_GIC_CPU;
        return c;
    }
    c.redist[0].base = ARM_VIRT_GIC_REDIST;
    c.redist[0].cpus = MIN(c.cpus, low);
    if (c.cpus > low) {
        c.redist[1].base = v->layout.high_redist.base;
        c.redist[1].cpus = c.cpus - low;
    }
    c.its = v->has_its ? ARM_VIRT_GIC_ITS : 0;
    return c;
}

static bool create_gic(ArmVirtMachine *v, Error **errp)
{
    ArmGicConfig c = gic_config(v);

    v->gic = arm_gic_create(OBJECT(v), &c, errp);
    return v->gic && (c.version != 2 ||
                      arm_gicv2m_create(OBJECT(v), v->gic, ARM_VIRT_GIC_V2M, ARM_VIRT_SPI_V2M,
                                        ARM_VIRT_V2M_SPIS, errp));
}

static void set_intx(void *opaque, int line, int level)
{
    irq_set(spi(opaque, ARM_VIRT_SPI_INTX + line), level);
}

static bool create_pci(ArmVirtMachine *v, Error **errp)
{
    const PciHostConfig cfg = {
        .ecam_base = v->ecam.base,
        .ecam_size = v->ecam.size,
        .windows = {
            { ARM_VIRT_PCIE_MMIO, ARM_VIRT_PCIE_MMIO_SIZE },
            { v->layout.high_mmio.base, v->layout.high_mmio.size },
        },
        .io_window = { ARM_VIRT_PCIE_PIO, ARM_VIRT_PCIE_PIO_SIZE },
        .set_intx = set_intx,
        .opaque = v,
    };

    v->pci = pci_host_create(OBJECT(v), "pcihost", &cfg, errp);
    return v->pci != NULL;
}

static DeviceState *new_device(ArmVirtMachine *v, const TypeInfo *type, const char *name)
{
    DeviceState *dev = device_new(type);

    object_add_child(OBJECT(v), name, dev, &error_abort);
    return dev;
}

static bool create_uart(ArmVirtMachine *v, Error **errp)
{
    DeviceState *dev = new_device(v, &pl011_type, "uart");
    Chardev *chr = serial_chardev(0);

    if (chr && !object_property_set_string(dev, "chardev", chr->label, errp)) {
        object_unref(dev);
        return false;
    }
    if (!device_realize_and_unref(dev, NULL, errp)) {
        return false;
    }
    memory_region_add(system_memory(), ARM_VIRT_UART, &PL011(dev)->io);
    device_connect_gpio_out(dev, NULL, 0, spi(v, ARM_VIRT_SPI_UART));
    return true;
}

static bool create_rtc(ArmVirtMachine *v, Error **errp)
{
    DeviceState *dev = new_device(v, &pl031_type, "rtc");

    if (!device_realize_and_unref(dev, NULL, errp)) {
        return false;
    }
    memory_region_add(system_memory(), ARM_VIRT_RTC, &PL031(dev)->io);
    device_connect_gpio_out(dev, NULL, 0, spi(v, ARM_VIRT_SPI_RTC));
    return true;
}

/* ---- flash and firmware ---- */

static bool load_firmware(ArmVirtMachine *v, Error **errp)
{
    const char *name = v->machine.firmware;
    g_autofree char *path = datadir_find(name);

    if (pflash_image(v->flash[0])) {
        error_setg(errp, "The contents of the first flash device may be specified with -bios or"
                   " with -drive if=pflash... but you cannot use both options at once");
        return false;
    }
    if (!path) {
        error_setg(errp, "Could not find ROM image '%s'", name);
        return false;
    }
    return pflash_load(v->flash[0], path, errp);
}

static bool create_flash(ArmVirtMachine *v, Error **errp)
{
    static const PflashConfig cfg = {
        .size = ARM_VIRT_FLASH_SIZE, .sector = ARM_VIRT_FLASH_SECTOR,
        .width = ARM_VIRT_FLASH_WIDTH, .chip_width = 2,
    };

    for (unsigned i = 0; i < ARM_VIRT_FLASH_BANKS; i++) {
        g_autofree char *name = g_strdup_printf("virt.flash%u", i);

        v->flash[i] = pflash_create(OBJECT(v), name, &cfg, v->flash_node[i], i, errp);
        if (!v->flash[i]) {
            return false;
        }
        memory_region_add(system_memory(), ARM_VIRT_FLASH_BASE + i * ARM_VIRT_FLASH_SIZE,
                          pflash_region(v->flash[i]));
    }
    if (v->machine.firmware && !load_firmware(v, errp)) {
        return false;
    }
    v->has_firmware = v->machine.firmware || pflash_image(v->flash[0]);
    return true;
}

/* ---- the power button ---- */

static void press_button(void *opaque)
{
    ArmVirtMachine *v = opaque;

    if (v->ged) {
        ged_raise(v->ged, GED_EVENT_POWER_BUTTON);
    } else if (v->key) {
        gpio_key_press(v->key);
    }
}

static bool create_ged(ArmVirtMachine *v, Error **errp)
{
    DeviceState *dev = new_device(v, &ged_type, "ged");

    if (!device_realize_and_unref(dev, NULL, errp)) {
        return false;
    }
    v->ged = GED(dev);
    memory_region_add(system_memory(), ARM_VIRT_GED, &v->ged->io);
    device_connect_gpio_out(dev, NULL, 0, spi(v, ARM_VIRT_SPI_GED));
    return true;
}

static bool create_gpio(ArmVirtMachine *v, Error **errp)
{
    enum { POWER_PIN = 3 };
    DeviceState *gpio = new_device(v, &pl061_type, "gpio");
    DeviceState *key = new_device(v, &gpio_key_type, "gpio-key");

    if (!device_realize_and_unref(gpio, NULL, errp)) {
        object_unref(key);
        return false;
    }
    if (!device_realize_and_unref(key, NULL, errp)) {
        return false;
    }
    v->key = GPIO_KEY(key);
    memory_region_add(system_memory(), ARM_VIRT_GPIO, &PL061(gpio)->io);
    device_connect_gpio_out(gpio, "irq", 0, spi(v, ARM_VIRT_SPI_GPIO));
    device_connect_gpio_out(key, NULL, 0, device_gpio_in(gpio, NULL, POWER_PIN));
    return true;
}

static bool create_button(ArmVirtMachine *v, Error **errp)
{
    bool by_acpi = v->has_firmware && v->acpi != ON_OFF_AUTO_OFF;

    if (!(by_acpi ? create_ged(v, errp) : create_gpio(v, errp))) {
        return false;
    }
    powerdown_notify(press_button, v);
    return true;
}

static bool create_virtio(ArmVirtMachine *v, Error **errp)
{
    for (unsigned i = 0; i < ARM_VIRT_VIRTIO_COUNT; i++) {
        VirtioMmio *t = virtio_mmio_create(OBJECT(v), i, errp);

        if (!t) {
            return false;
        }
        memory_region_add(system_memory(), ARM_VIRT_VIRTIO + i * ARM_VIRT_VIRTIO_STRIDE, &t->io);
        device_connect_gpio_out(&t->dev, NULL, 0, spi(v, ARM_VIRT_SPI_VIRTIO + i));
    }
    return true;
}

/* ---- the machine ---- */

bool arm_virt_init(MachineState *m, Error **errp)
{
    ArmVirtMachine *v = ARM_VIRT_MACHINE(m);
    bool ok;

    if (!plan_memory(v, errp) || !arm_virt_check_options(v, errp)) {
        return false;
    }
    memory_transaction_begin();
    memory_region_add(system_memory(), ARM_VIRT_RAM, m->ram);
    ok = create_flash(v, errp) && create_gic(v, errp) && create_uart(v, errp) && create_rtc(v, errp) &&
         create_virtio(v, errp) && create_pci(v, errp);
    if (ok) {
        v->fw_cfg = fw_cfg_create_in_memory(OBJECT(v), ARM_VIRT_FW_CFG, errp);
        ok = v->fw_cfg && create_button(v, errp) && arm_virt_hotplug_create(v, errp);
    }
    memory_transaction_commit();
    return ok && machine_create_cpus(m, errp) && arm_gic_finish(v->gic, errp);
}

bool arm_virt_ready(MachineState *m, Error **errp)
{
    return arm_virt_boot_prepare(ARM_VIRT_MACHINE(m), errp);
}

void arm_virt_reset(MachineState *m)
{
    reset_all();
    cpus_reset_all();
    arm_virt_boot_reset(ARM_VIRT_MACHINE(m));
}

void arm_virt_finalize(Object *obj)
{
    ArmVirtMachine *v = ARM_VIRT_MACHINE(obj);

    if (v->ged || v->key) {
        powerdown_unnotify(press_button, v);
    }
    boot_plan_free(v->boot);
    g_free(v->tree);
    memmap_free(v->memmap);
}
