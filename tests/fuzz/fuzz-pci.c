/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A hostile guest against PCI: configuration writes of any width anywhere
 * through both mechanisms, BARs and bridge windows wherever they may land, the
 * MSI-X table, slot power, while management adds and removes devices and devices
 * raise interrupts. Nothing may crash; after a system reset everything is
 * as at the start, and no route, irqfd or asserted wire is left.
 *
 * Run as a test it uses a fixed set of generated inputs, and any files named on
 * the command line.
 */
#include "util/osdep.h"

#include "pci-fixture.h"

#define NOTIFIERS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

static struct {
    EventNotifier notifier;
    PciDevice *pci;             /* attached to it, or NULL */
    unsigned vector;
} notifiers[NOTIFIERS];

static unsigned take(Input *in)
{
    if (!in->left) {
        return 0;
    }
    in->left--;
    return *in->data++;
}

static uint32_t take32(Input *in)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        v = v << 8 | take(in);
    }
    return v;
}

/* Values that mean something to address and control registers, or anything. */
static uint32_t take_value(Input *in)
{
    static const uint32_t values[] = {
        0, UINT32_MAX, WINDOW, WINDOW + 0x100000, 0x90109010, 0xfff00000, 0x00050301, 0x7,
        0x547, 0x7c0, 0x1c0, 0x2c0, 0x6c0, 0x80000000, 0xc0000000, ECAM, 0x10000, 0x40,
    };
    unsigned n = take(in);

    return n < 0x80 ? values[n % ARRAY_SIZE(values)] : take32(in);
}

static PciDevice *find(const char *id)
{
    DeviceState *dev = device_find(id, NULL);

    return dev ? PCI_DEVICE(dev) : NULL;
}

static PciDevice *take_device(Input *in)
{
    static const char *const ids[] = { "t1", "t2", "outer", "inner" };
    unsigned n = take(in) % 5;

    return n < ARRAY_SIZE(ids) ? find(ids[n]) : fixture_host->function0;
}

/* Registers that do something are chosen more often. */
static unsigned take_reg(Input *in, const PciDevice *pci)
{
    unsigned n = take(in);

    switch (n % 8) {
    case 0:
        return take32(in) % PCI_CONFIG_SIZE;
    case 1:
        return PCI_COMMAND;
    case 2:
        return PCI_BASE_ADDRESS_0 + 4 * (n / 8 % 6);
    case 3:
        return pci->cap_exp + PCI_EXP_SLTCTL + n / 8 % 4;
    case 4:
        return pci->cap_msix + n / 8 % 4;
    case 5:
        return pci->cap_exp + PCI_EXP_DEVCTL + n / 8 % 2;
    case 6:
        return PCI_IO_BASE + n / 8;
    default:
        return take(in);
    }
}

static void configure(Input *in)
{
    PciDevice *pci = take_device(in);
    unsigned reg, size = 1u << (take(in) % 4);

    if (!pci) {
        return;
    }
    reg = take_reg(in, pci);
    if (take(in) % 4) {
        pci_config_write(pci, reg, take_value(in), size);
    } else {
        bus_store(&address_space_io, 0xcf8, BIT(31) | (take32(in) & 0xffffff), 4);
        bus_store(&address_space_io, 0xcfc + take(in) % 4, take_value(in), size);
    }
    cfg_write(pci, reg, take_value(in), size);
    cfg_read(pci, reg, size);
}

/* Where BARs may be; the RAM too. */
static void touch_memory(Input *in)
{
    static const uint64_t bases[] = { 0, 0x10000, WINDOW, WINDOW + 0x100000, WINDOW64, ECAM };
    uint64_t addr = bases[take(in) % ARRAY_SIZE(bases)] + (take32(in) & 0x1fff);
    unsigned size = 1u << (take(in) % 4);

    bus_store(&address_space_memory, addr, take_value(in), size);
    bus_load(&address_space_memory, addr, size);
    bus_load(&address_space_io, addr & 0xffff, size);
}

/* The MSI-X table of a device, where its BAR is now. */
static void touch_msix(Input *in)
{
    PciDevice *pci = find(take(in) % 2 ? "t1" : "t2");
    uint64_t bar = pci ? pci->bars[1].address : PCI_BAR_UNMAPPED;
    unsigned offset = take(in) % (16 * VECTORS + 16);

    if (bar != PCI_BAR_UNMAPPED) {
        bus_store(&address_space_memory, bar + offset, take_value(in), 4u << (take(in) % 2));
        bus_load(&address_space_memory, bar + MSIX_PBA + take(in) % 16, 4);
    }
}

/* What a good driver does, so that there is something to disturb. */
static void set_up(Input *in)
{
    unsigned n = take(in);
    PciDevice *pci = find(n & 1 ? "t1" : "t2");

    if (!pci) {
        return;
    }
    pci_config_write(pci, PCI_BASE_ADDRESS_1, WINDOW + 0x100000, 4);
    pci_config_write(pci, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    pci_config_write(pci, pci->cap_msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
    for (unsigned v = 0; v < VECTORS; v++) {
        bus_store(&address_space_memory, WINDOW + 0x100000 + 16 * v + 8, take(in), 8);
    }
    if (n & 2) {
        pci = find("inner");
        pci_config_write(pci, pci->cap_exp + PCI_EXP_SLTCTL, n & 4 ? 0x1c0 : 0x6c0, 2);
    }
}

static void detach(unsigned n)
{
    if (notifiers[n].pci && (notifiers[n].pci == find("t1") || notifiers[n].pci == find("t2"))) {
        msix_detach_notifier(notifiers[n].pci, notifiers[n].vector, &notifiers[n].notifier);
    }
    notifiers[n].pci = NULL;
}

static void interrupts(Input *in)
{
    PciDevice *pci = find(take(in) % 2 ? "t1" : "t2");
    unsigned n = take(in) % NOTIFIERS, vector = take(in) % (VECTORS + 1);

    switch (take(in) % 5) {
    case 0:
        if (!notifiers[n].pci && pci &&
            msix_attach_notifier(pci, vector, &notifiers[n].notifier, NULL)) {
            notifiers[n].pci = pci;
            notifiers[n].vector = vector;
        }
        break;
    case 1:
        detach(n);
        break;
    case 2:
        event_notifier_set(&notifiers[n].notifier);
        event_loop_poll(event_loop_main(), false);
        break;
    case 3:
        if (pci) {
            msix_notify(pci, vector);
        }
        break;
    case 4:
        if (pci) {
            pci_set_intx(pci, take(in) % 2);
        }
        break;
    }
}

static void manage(Input *in)
{
    switch (take(in) % 4) {
    case 0:
        fixture_add("test-pci,id=t2,bus=inner", NULL);
        break;
    case 1:
        device_del("t2", NULL);
        break;
    case 2:
        reset_all();
        break;
    case 3:
        clock_virtual_warp(clock_now_ns(CLOCK_TYPE_VIRTUAL) + INT64_C(3000000000));
        break;
    }
}

/* A device's own state with a few bytes changed. */
static void load_state(Input *in)
{
    StateStream *w, *r;
    PciDevice *pci = take_device(in);
    g_autofree uint8_t *data = NULL;
    size_t len;

    if (!pci) {
        return;
    }
    w = state_writer_new();
    state_save(&pci_device_state, w, pci);
    data = state_take_bytes(w, &len);
    for (unsigned i = take(in) % 8; i; i--) {
        data[take32(in) % len] = take(in);
    }
    r = state_reader_new(data, len);
    state_load(&pci_device_state, r, pci);
    state_stream_free(r);
}

static void check_rest_state(void)
{
    for (unsigned n = 0; n < NOTIFIERS; n++) {
        detach(n);
        event_notifier_test_and_clear(&notifiers[n].notifier);
    }
    reset_all();
    g_assert_cmpuint(fake_accel.routes + fake_accel.attached, ==, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(fixture_wires); i++) {
        g_assert_cmpint(fixture_wires[i], ==, 0);
    }
    g_assert_cmphex(cfg_read(find("t1"), PCI_VENDOR_ID, 4), ==, 0x56781234);
    g_assert_cmphex(cfg_read(find("t1"), PCI_COMMAND, 2), ==, 0);
    g_assert_cmphex(cfg_read(find("outer"), PCI_PRIMARY_BUS, 4), ==, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input in = { data, size };

    fake_accel.have_irqfd = take(&in) % 2;
    while (in.left) {
        switch (take(&in) % 16) {
        case 0:
            manage(&in);
            break;
        case 1:
        case 2:
        case 3:
            interrupts(&in);
            break;
        case 4:
        case 5:
            touch_msix(&in);
            break;
        case 6:
        case 7:
            touch_memory(&in);
            break;
        case 8:
            if (take(&in) % 16 == 0) {
                load_state(&in);
            }
            break;
        case 9:
            set_up(&in);
            break;
        default:
            configure(&in);
            break;
        }
    }
    check_rest_state();
    return 0;
}

static void run_generated(uint64_t seed)
{
    uint8_t buf[4096];
    uint64_t state = seed * 2 + 1;

    for (size_t i = 0; i < sizeof(buf); i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        buf[i] = state >> 56;
    }
    LLVMFuzzerTestOneInput(buf, sizeof(buf));
}

static bool run_file(const char *path)
{
    g_autofree char *data = NULL;
    gsize len;

    if (!g_file_get_contents(path, &data, &len, NULL)) {
        fprintf(stderr, "fuzz-pci: cannot read '%s'\n", path);
        return false;
    }
    LLVMFuzzerTestOneInput((uint8_t *)data, len);
    return true;
}

int main(int argc, char **argv)
{
    clock_virtual_set_manual();
    fixture_init();
    fixture_add("pcie-root-port,addr=4.0,id=outer,chassis=1", &error_abort);
    fixture_add("pcie-root-port,bus=outer,id=inner,chassis=2", &error_abort);
    fixture_add("test-pci,addr=3.0,id=t1", &error_abort);
    for (unsigned n = 0; n < NOTIFIERS; n++) {
        event_notifier_init(&notifiers[n].notifier, false, &error_abort);
    }
    reset_all();
    device_set_machine_ready();

    for (int i = 1; i < argc; i++) {
        if (!run_file(argv[i])) {
            return 1;
        }
    }
    for (uint64_t seed = 0; argc == 1 && seed < 200; seed++) {
        run_generated(seed);
    }
    return 0;
}
