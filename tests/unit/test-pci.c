/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI configuration space, BARs, MSI-X, bridges and the hot-plug slot, against
 * the real device core and the real memory tree.
 */
#include "util/osdep.h"

#include "pci-fixture.h"

static TestDevice *add_test(const char *options)
{
    return (TestDevice *)fixture_add(options, &error_abort);
}

static void drop(void *dev)
{
    object_unparent(dev);
}

static void expect_error(const char *options, const char *text)
{
    Error *err = NULL;

    g_assert_null(fixture_add(options, &err));
    g_assert_cmpstr(error_message(err), ==, text);
    error_free(err);
}

static bool decoded(uint64_t addr)
{
    return (bus_load(&address_space_memory, addr, 4) & 0xff000000) == 0x5a000000;
}

/* ---- configuration space ---- */

static void test_header(void)
{
    TestDevice *t = add_test("test-pci,addr=3.0");
    PciDevice *p = &t->pci;

    g_assert_cmphex(cfg_read(p, PCI_VENDOR_ID, 4), ==, 0x56781234);
    g_assert_cmphex(cfg_read(p, PCI_CLASS_DEVICE, 2), ==, 0x0200);
    g_assert_cmphex(cfg_read(p, PCI_SUBSYSTEM_VENDOR_ID, 4), ==, 0x11001af4);
    cfg_write(p, PCI_VENDOR_ID, 0, 4);
    g_assert_cmphex(cfg_read(p, PCI_VENDOR_ID, 4), ==, 0x56781234);
    cfg_write(p, PCI_COMMAND, 0xffff, 2);
    g_assert_cmphex(cfg_read(p, PCI_COMMAND, 2), ==, 0x0547);
    cfg_write(p, PCI_COMMAND, 0, 1);
    g_assert_cmphex(cfg_read(p, PCI_COMMAND, 2), ==, 0x0500);

    /* An absent function, and one behind a bus number that nobody has. */
    g_assert_cmphex(bus_load(&address_space_memory, ECAM + (4 << 15), 4), ==, 0xffffffff);
    g_assert_cmphex(bus_load(&address_space_memory, ECAM + (7 << 20), 2), ==, 0xffff);
    /* The host bridge has no extended space. */
    g_assert_cmphex(bus_load(&address_space_memory, ECAM, 4), ==, 0x00081b36);
    g_assert_cmphex(bus_load(&address_space_memory, ECAM + 0x100, 4), ==, 0xffffffff);

    /* The ports show the same, at any width. */
    for (unsigned reg = 0; reg < 256; reg++) {
        unsigned size = reg % 4 == 0 ? 4 : reg % 2 == 0 ? 2 : 1;

        bus_store(&address_space_io, 0xcf8, 0x80000000 | p->devfn << 8 | (reg & 0xfc), 4);
        g_assert_cmphex(bus_load(&address_space_io, 0xcfc + reg % 4, size), ==,
                        cfg_read(p, reg, size));
    }
    bus_store(&address_space_io, 0xcf8, 0, 1);      /* not a whole double word: ignored */
    g_assert_cmphex(bus_load(&address_space_io, 0xcf8, 4), ==, 0x80000000 | p->devfn << 8 | 0xfc);
    drop(t);
}

/* Any write of any width anywhere leaves what is fixed alone, and reset brings back the rest. */
static void test_sweep(void)
{
    TestDevice *t = add_test("test-pci,addr=3.0");
    DeviceState *port = fixture_add("pcie-root-port,addr=4.0,id=rp", &error_abort);
    PciDevice *devices[] = { &t->pci, PCI_DEVICE(port), fixture_host->function0 };

    for (unsigned d = 0; d < ARRAY_SIZE(devices); d++) {
        PciDevice *p = devices[d];
        g_autofree uint8_t *before = NULL;

        device_reset_tree(&p->dev);
        before = g_memdup2(p->config, PCI_CONFIG_SIZE);
        for (unsigned round = 0; round < 4; round++) {
            for (unsigned reg = 0; reg < PCI_CONFIG_SIZE; reg++) {
                static const unsigned sizes[] = { 1, 2, 4, 8 };
                uint32_t value = round == 0 ? UINT32_MAX : g_test_rand_int();

                pci_config_write(p, reg, value, sizes[(reg + round) % 3]);
                cfg_write(p, reg, value, sizes[g_test_rand_int_range(0, 4)]);
                cfg_read(p, reg, sizes[g_test_rand_int_range(0, 4)]);
            }
        }
        g_assert_cmpmem(p->config, 4, before, 4);
        device_reset_tree(&p->dev);
        g_assert_cmpmem(p->config, PCI_CONFIG_SIZE, before, PCI_CONFIG_SIZE);
    }
    drop(port);
    drop(t);
}

static void test_bar_sizing(void)
{
    TestDevice *t = add_test("test-pci,addr=3.0");
    PciDevice *p = &t->pci;
    static const uint32_t masks[] = {
        0xfffff000, 0xfffff000, 0xffffc00c, 0xffffffff, 0xffffffe1, 0
    };

    for (unsigned n = 0; n < ARRAY_SIZE(masks); n++) {
        cfg_write(p, PCI_BASE_ADDRESS_0 + 4 * n, UINT32_MAX, 4);
        g_assert_cmphex(cfg_read(p, PCI_BASE_ADDRESS_0 + 4 * n, 4), ==, masks[n]);
    }
    drop(t);
}

static void test_bar_mapping(void)
{
    TestDevice *t = add_test("test-pci,addr=3.0");
    PciDevice *p = &t->pci;

    cfg_write(p, PCI_BASE_ADDRESS_0, WINDOW, 4);
    g_assert_false(decoded(WINDOW));
    cfg_write(p, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
    g_assert_true(decoded(WINDOW));
    g_assert_cmphex(bus_load(&address_space_memory, WINDOW + 0x10, 4), ==, 0x5a000010);
    bus_store(&address_space_memory, WINDOW, 77, 4);
    g_assert_cmpuint(t->written, ==, 77);

    /* Elsewhere, one byte of the register at a time. */
    cfg_write(p, PCI_BASE_ADDRESS_0 + 2, 0x10, 1);
    g_assert_false(decoded(WINDOW));
    g_assert_true(decoded(WINDOW + 0x100000));
    cfg_write(p, PCI_COMMAND, 0, 2);
    g_assert_false(decoded(WINDOW + 0x100000));

    /* 64-bit, ports, and places that are none. */
    cfg_write(p, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
    cfg_write(p, PCI_BASE_ADDRESS_2, (uint32_t)WINDOW64, 4);
    cfg_write(p, PCI_BASE_ADDRESS_3, WINDOW64 >> 32, 4);
    g_assert_true(decoded(WINDOW64 + 0x3ffc));
    cfg_write(p, PCI_BASE_ADDRESS_2, 0xffffc000, 4);
    cfg_write(p, PCI_BASE_ADDRESS_3, 0xffffffff, 4);
    g_assert_cmphex(p->bars[2].address, ==, PCI_BAR_UNMAPPED);
    cfg_write(p, PCI_BASE_ADDRESS_4, 0xc000, 4);
    g_assert_cmphex(bus_load(&address_space_io, 0xc004, 4), ==, 0x5a000004);
    cfg_write(p, PCI_BASE_ADDRESS_4, 0xffffffe0, 4);
    g_assert_cmphex(p->bars[4].address, ==, PCI_BAR_UNMAPPED);
    cfg_write(p, PCI_BASE_ADDRESS_0, 0, 4);
    g_assert_cmphex(p->bars[0].address, ==, PCI_BAR_UNMAPPED);

    /* On top of RAM and of the configuration window: those win. */
    bus_store(&address_space_memory, 0x10000, 0x11223344, 4);
    cfg_write(p, PCI_BASE_ADDRESS_0, 0x10000, 4);
    g_assert_cmphex(bus_load(&address_space_memory, 0x10000, 4), ==, 0x11223344);
    cfg_write(p, PCI_BASE_ADDRESS_0, ECAM, 4);
    g_assert_cmphex(bus_load(&address_space_memory, ECAM, 4), ==, 0x00081b36);

    /* Unrealize with everything mapped. */
    cfg_write(p, PCI_BASE_ADDRESS_0, WINDOW, 4);
    drop(t);
    g_assert_false(decoded(WINDOW));
}

/* ---- addresses ---- */

static void test_addresses(void)
{
    TestDevice *a = add_test("test-pci,addr=0x5.0x0,id=a");
    TestDevice *b, *c;
    g_autoptr(JsonValue) v = json_object();

    g_assert_cmpint(a->pci.devfn, ==, PCI_DEVFN(5, 0));
    expect_error("test-pci,addr=5,id=b",
                 "PCI: slot 5 function 0 not available for test-pci, in use by test-pci,id=a");
    expect_error("test-pci,addr=5.1,id=b",
                 "PCI: single function device can't be populated in function 5.1");
    expect_error("test-pci,addr=1e",
                 "PCI: slot 30 function 0 not available for test-pci, reserved");
    static const char *const bad[] = { "32", "3.8", "x", "3.", "3.1.1", "-1", "0x20", "3 ", "" };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autofree char *options = g_strdup_printf("test-pci,addr=%s", bad[i]);
        g_autofree char *text = g_strdup_printf("Property 'test-pci.addr' doesn't take value '%s'",
                                                bad[i]);

        expect_error(options, text);
    }
    b = add_test("test-pci,addr=1f.1");
    expect_error("test-pci,addr=1f",
                 "PCI: 1f.0 indicates single function, but 1f.1 is already populated.");
    c = add_test("test-pci,addr=1f.0,multifunction=on");
    g_assert_cmphex(cfg_read(&c->pci, PCI_HEADER_TYPE, 1), ==, 0x80);
    drop(c);
    drop(b);

    json_object_set_string(v, "driver", "test-pci");
    json_object_set_int(v, "addr", 9);
    b = (TestDevice *)device_add(v, &error_abort);
    g_assert_cmpint(b->pci.devfn, ==, PCI_DEVFN(1, 1));
    c = add_test("test-pci");
    g_assert_cmpint(c->pci.devfn, ==, PCI_DEVFN(2, 0));
    drop(c);
    drop(b);
    drop(a);
}

/* ---- MSI-X ---- */

static void vector_set(TestDevice *t, unsigned n, uint64_t addr, uint32_t data, bool masked)
{
    uint64_t entry = WINDOW + 0x10000 + n * 16;

    bus_store(&address_space_memory, entry, addr, 8);
    bus_store(&address_space_memory, entry + 8, data, 4);
    bus_store(&address_space_memory, entry + 12, masked, 4);
}

static uint32_t pending(TestDevice *t)
{
    return bus_load(&address_space_memory, WINDOW + 0x10000 + MSIX_PBA, 4);
}

static TestDevice *msix_device(void)
{
    TestDevice *t = add_test("test-pci,addr=3.0");

    cfg_write(&t->pci, PCI_BASE_ADDRESS_1, WINDOW + 0x10000, 4);
    cfg_write(&t->pci, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    memset(&fake_accel, 0, sizeof(fake_accel));
    return t;
}

static void msix_control(TestDevice *t, uint16_t bits)
{
    cfg_write(&t->pci, t->pci.cap_msix + PCI_MSIX_FLAGS, bits, 2);
}

static void test_msix_state(void)
{
    TestDevice *t = msix_device();
    PciDevice *p = &t->pci;

    g_assert_cmphex(cfg_read(p, p->cap_msix + PCI_MSIX_FLAGS, 2), ==, VECTORS - 1);
    g_assert_cmphex(bus_load(&address_space_memory, WINDOW + 0x10000 + 12, 4), ==, 1);
    g_assert_cmphex(bus_load(&address_space_memory, WINDOW + 0x10000 + 12, 1), ==, 0xff);
    vector_set(t, 1, 0x1234500000fee000, 0x41, false);
    msix_notify(p, 1);                          /* not enabled: lost */
    g_assert_cmpuint(fake_accel.sent + pending(t), ==, 0);
    msix_control(t, PCI_MSIX_FLAGS_ENABLE);
    msix_notify(p, 1);
    g_assert_cmpuint(fake_accel.sent, ==, 1);
    g_assert_cmphex(fake_accel.last.address, ==, 0x1234500000fee000);
    g_assert_cmphex(fake_accel.last.data, ==, 0x41);

    msix_notify(p, 2);                          /* masked: pends */
    g_assert_cmphex(pending(t), ==, 4);
    vector_set(t, 2, 0xfee01000, 0x42, false);
    g_assert_cmpuint(fake_accel.sent, ==, 2);
    g_assert_cmphex(fake_accel.last.data, ==, 0x42);
    g_assert_cmphex(pending(t), ==, 0);

    msix_control(t, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    msix_notify(p, 1);
    msix_notify(p, 1);
    g_assert_cmphex(pending(t), ==, 2);
    msix_control(t, PCI_MSIX_FLAGS_ENABLE);
    g_assert_cmpuint(fake_accel.sent, ==, 3);

    cfg_write(p, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);   /* may not write to memory now */
    msix_notify(p, 1);
    g_assert_cmpuint(fake_accel.sent, ==, 3);
    cfg_write(p, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    g_assert_cmpuint(fake_accel.sent, ==, 4);

    msix_notify(p, VECTORS);                    /* there is none: nothing happens */
    msix_notify(p, UINT32_MAX);
    bus_store(&address_space_memory, WINDOW + 0x10000 + MSIX_PBA, UINT32_MAX, 4);
    g_assert_cmphex(pending(t), ==, 0);
    device_reset_tree(&p->dev);
    g_assert_false(msix_enabled(p));
    g_assert_cmpuint(t->resets, ==, 1);
    drop(t);
}

static void test_msix_irqfd(void)
{
    TestDevice *t;
    EventNotifier n[2];

    t = msix_device();
    fake_accel.have_irqfd = true;
    event_notifier_init(&n[0], false, &error_abort);
    event_notifier_init(&n[1], false, &error_abort);
    msix_control(t, PCI_MSIX_FLAGS_ENABLE);
    g_assert_true(msix_attach_notifier(&t->pci, 1, &n[0], &error_abort));
    g_assert_true(msix_attach_notifier(&t->pci, 1, &n[1], &error_abort));
    g_assert_false(msix_attach_notifier(&t->pci, VECTORS, &n[1], NULL));
    g_assert_cmpuint(fake_accel.routes, ==, 0);      /* nothing before it is needed */

    vector_set(t, 1, 0xfee00000, 0x51, false);
    g_assert_cmpuint(fake_accel.routes, ==, 1);
    g_assert_cmpuint(fake_accel.attached, ==, 2);
    g_assert_cmphex(fake_accel.routed[0].data, ==, 0x51);
    vector_set(t, 1, 0xfee00000, 0x52, true);
    g_assert_cmpuint(fake_accel.attached, ==, 0);
    event_notifier_set(&n[1]);
    g_assert_cmphex(pending(t), ==, 2);
    vector_set(t, 1, 0xfee00000, 0x52, false);
    g_assert_cmpuint(fake_accel.attached, ==, 2);
    g_assert_cmphex(fake_accel.routed[0].data, ==, 0x52);

    msix_control(t, 0);
    g_assert_cmpuint(fake_accel.attached, ==, 0);
    msix_control(t, PCI_MSIX_FLAGS_ENABLE);
    msix_detach_notifier(&t->pci, 1, &n[0]);
    g_assert_cmpuint(fake_accel.attached, ==, 1);
    drop(t);                                    /* with one still attached */
    g_assert_cmpuint(fake_accel.routes + fake_accel.attached, ==, 0);
    event_notifier_cleanup(&n[0]);
    event_notifier_cleanup(&n[1]);
    fake_accel.have_irqfd = false;
}

static void test_msix_handler(void)
{
    TestDevice *t = msix_device();
    EventNotifier n;

    event_notifier_init(&n, false, &error_abort);
    vector_set(t, 3, 0xfee00000, 0x61, false);
    msix_control(t, PCI_MSIX_FLAGS_ENABLE);
    g_assert_true(msix_attach_notifier(&t->pci, 3, &n, &error_abort));
    event_notifier_set(&n);
    while (event_loop_poll(event_loop_main(), false)) {
    }
    g_assert_cmpuint(fake_accel.sent, ==, 1);
    g_assert_cmphex(fake_accel.last.data, ==, 0x61);
    msix_detach_notifier(&t->pci, 3, &n);
    event_notifier_set(&n);
    while (event_loop_poll(event_loop_main(), false)) {
    }
    g_assert_cmpuint(fake_accel.sent, ==, 1);
    event_notifier_cleanup(&n);
    drop(t);
}

/* ---- wires ---- */

static void test_intx(void)
{
    TestDevice *a = add_test("test-pci,addr=3.0"), *b = add_test("test-pci,addr=7.0");
    DeviceState *port = fixture_add("pcie-root-port,addr=5.0,id=rp", &error_abort);
    TestDevice *c = add_test("test-pci,bus=rp");

    pci_set_intx(&a->pci, 1);
    pci_set_intx(&b->pci, 1);
    g_assert_cmpint(fixture_wires[3], ==, 1);
    g_assert_cmphex(cfg_read(&a->pci, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, !=, 0);
    pci_set_intx(&a->pci, 0);
    g_assert_cmpint(fixture_wires[3], ==, 1);
    cfg_write(&b->pci, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
    g_assert_cmpint(fixture_wires[3], ==, 0);
    cfg_write(&b->pci, PCI_COMMAND, 0, 2);
    g_assert_cmpint(fixture_wires[3], ==, 1);
    drop(b);
    g_assert_cmpint(fixture_wires[3], ==, 0);

    device_reset_tree(port);
    pci_set_intx(&c->pci, 1);                   /* A of slot 0, turned by the port's slot */
    g_assert_cmpint(fixture_wires[1], ==, 1);
    device_reset_tree(port);
    g_assert_cmpint(fixture_wires[1], ==, 0);
    drop(port);
    drop(a);
}

/* ---- bridges ---- */

static void test_bridge(void)
{
    DeviceState *port = fixture_add("pcie-root-port,addr=4.0,id=rp", &error_abort);
    PciDevice *rp = PCI_DEVICE(port);
    TestDevice *t = add_test("test-pci,bus=rp,id=t");

    expect_error("pcie-root-port,id=rp2", "Can't add chassis slot, error -16");
    expect_error("test-pci,bus=rp,addr=1", "PCI: slot 1 is not valid for test-pci, parent device "
                 "only allows plugging into slot 0.");
    expect_error("test-pci,bus=rp",
                 "PCI: no slot/function available for test-pci, all in use or reserved");
    device_reset_tree(port);
    g_assert_null(pci_find_device(&fixture_host->bus, 1, 0));
    cfg_write(rp, PCI_PRIMARY_BUS, 0x050300, 4);
    g_assert_true(pci_find_device(&fixture_host->bus, 3, 0) == &t->pci);
    g_assert_null(pci_find_device(&fixture_host->bus, 4, 0));
    g_assert_cmphex(cfg_read(&t->pci, PCI_VENDOR_ID, 4), ==, 0x56781234);
    g_assert_cmphex(pci_requester_id(&t->pci), ==, 0x300);

    cfg_write(&t->pci, PCI_BASE_ADDRESS_0, WINDOW + 0x100000, 4);
    cfg_write(&t->pci, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    g_assert_false(decoded(WINDOW + 0x100000));
    cfg_write(rp, PCI_MEMORY_BASE, 0x90109010, 4);
    g_assert_false(decoded(WINDOW + 0x100000));
    cfg_write(rp, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    g_assert_true(decoded(WINDOW + 0x100000));
    cfg_write(rp, PCI_MEMORY_BASE, 0x90209020, 4);
    g_assert_false(decoded(WINDOW + 0x100000));
    cfg_write(&t->pci, PCI_BASE_ADDRESS_2, (uint32_t)WINDOW64, 4);
    cfg_write(&t->pci, PCI_BASE_ADDRESS_3, WINDOW64 >> 32, 4);
    cfg_write(rp, PCI_PREF_BASE_UPPER32, WINDOW64 >> 32, 4);
    cfg_write(rp, PCI_PREF_LIMIT_UPPER32, WINDOW64 >> 32, 4);
    g_assert_true(decoded(WINDOW64));
    /* The widest window there is. */
    cfg_write(rp, PCI_PREF_MEMORY_BASE, 0xfff00000, 4);
    cfg_write(rp, PCI_PREF_BASE_UPPER32, 0, 4);
    cfg_write(rp, PCI_PREF_LIMIT_UPPER32, UINT32_MAX, 4);
    g_assert_true(decoded(WINDOW64));
    g_assert_true(decoded(WINDOW + 0x100000));

    cfg_write(rp, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET, 2);
    g_assert_cmphex(cfg_read(&t->pci, PCI_COMMAND, 2), ==, 0);
    drop(port);                                 /* takes the device behind it along */
}

/* ---- hot-plug ---- */

#define STATUS(rp) cfg_read(rp, (rp)->cap_exp + PCI_EXP_SLTSTA, 2)

static void slot_write(PciDevice *rp, uint16_t control)
{
    cfg_write(rp, rp->cap_exp + PCI_EXP_SLTCTL, control, 2);
    cfg_write(rp, rp->cap_exp + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_CC, 2);
}

/* The machine counts as complete from here on: runs last. */
static void test_hotplug(void)
{
    DeviceState *port = fixture_add("pcie-root-port,addr=4.0,id=rp", &error_abort);
    DeviceState *fixed = fixture_add("pcie-root-port,addr=5.0,id=fixed,chassis=1,hotplug=off",
                                     &error_abort);
    PciDevice *rp = PCI_DEVICE(port);
    Error *err = NULL;

    device_set_machine_ready();
    device_reset_tree(port);
    cfg_write(rp, PCI_PRIMARY_BUS, 0x050300, 4);
    expect_error("test-pci,bus=fixed", "Hot-plug failed: unsupported by the port device 'fixed'");
    g_assert_cmphex(cfg_read(rp, rp->cap_exp + PCI_EXP_SLTCTL, 2), ==, 0x7c0);
    cfg_write(rp, PCI_COMMAND, 0, 2);
    slot_write(rp, 0x7c0 | PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE);

    fixture_add("test-pci,bus=rp,id=a,addr=0.0", &error_abort);
    g_assert_cmphex(STATUS(rp), ==, PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_ABP);
    g_assert_cmpint(fixture_wires[0], ==, 1);
    g_assert_null(pci_find_device(&fixture_host->bus, 3, 0));
    cfg_write(rp, rp->cap_exp + PCI_EXP_SLTSTA, 0xffff, 2);
    g_assert_cmpint(fixture_wires[0], ==, 0);
    g_assert_cmphex(STATUS(rp), ==, PCI_EXP_SLTSTA_PDS);

    slot_write(rp, 0x2c0);                      /* power on, blinking */
    g_assert_nonnull(pci_find_device(&fixture_host->bus, 3, 0));
    g_assert_false(device_del("a", &err));
    g_assert_cmpstr(error_message(err), ==,
                    "Hot-unplug failed: guest is busy (power indicator blinking)");
    g_clear_pointer(&err, error_free);
    slot_write(rp, 0x1c0);
    g_assert_true(device_del("a", &error_abort));
    g_assert_cmphex(STATUS(rp), ==, PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_ABP);
    g_assert_false(device_del("a", NULL));
    slot_write(rp, 0x2c0);
    slot_write(rp, 0x6c0);                      /* power off, blinking */
    g_assert_null(pci_find_device(&fixture_host->bus, 3, 0));
    g_assert_nonnull(device_find("a", NULL));
    slot_write(rp, 0x7c0);                      /* indicator off: it goes */
    g_assert_null(device_find("a", NULL));
    g_assert_cmphex(STATUS(rp) & PCI_EXP_SLTSTA_PDS, ==, 0);

    /* Without power nobody is asked. */
    fixture_add("test-pci,bus=rp,id=b,addr=0.1", &error_abort);
    fixture_add("test-pci,bus=rp,id=c,addr=0.0,multifunction=on", &error_abort);
    expect_error("test-pci,bus=rp,id=d,addr=0.2",
                 "PCI: slot 0 function 0 already occupied by test-pci, new func test-pci "
                 "cannot be exposed to guest.");
    g_assert_true(device_del("c", &error_abort));
    g_assert_null(device_find("b", NULL));
    g_assert_null(device_find("c", NULL));
    drop(port);
    drop(fixed);
}

/* ---- state ---- */

static bool load_bytes(const StateTable *table, const void *data, size_t len, void *opaque)
{
    StateStream *s = state_reader_new(data, len);
    bool ok = state_load(table, s, opaque);

    state_stream_free(s);
    return ok;
}

static void test_state(void)
{
    StateStream *w = state_writer_new();
    TestDevice *t = msix_device();
    g_autofree uint8_t *data = NULL;
    size_t len;

    cfg_write(&t->pci, PCI_BASE_ADDRESS_0, WINDOW, 4);
    msix_control(t, PCI_MSIX_FLAGS_ENABLE);
    vector_set(t, 1, 0xfee00000, 0x71, false);
    msix_notify(&t->pci, 2);
    state_save(&pci_device_state, w, &t->pci);
    data = state_take_bytes(w, &len);
    drop(t);

    t = add_test("test-pci,addr=3.0");
    memset(&fake_accel, 0, sizeof(fake_accel));
    g_assert_true(load_bytes(&pci_device_state, data, len, &t->pci));
    g_assert_true(decoded(WINDOW));
    g_assert_cmphex(pending(t), ==, 4);
    msix_notify(&t->pci, 1);
    g_assert_cmphex(fake_accel.last.data, ==, 0x71);

    /* Another device's state is refused, and so is a short one; this one still fits. */
    for (unsigned i = 0; i < 4; i++) {
        data[10 + i] ^= 1;      /* ids come after version, length of the field, size */
        g_assert_false(load_bytes(&pci_device_state, data, len, &t->pci));
        data[10 + i] ^= 1;
    }
    g_assert_false(load_bytes(&pci_device_state, data, len - 1, &t->pci));
    g_assert_true(load_bytes(&pci_device_state, data, len, &t->pci));
    drop(t);
}

/* Bus numbers, windows and slot power of a port are back before its device's BARs are. */
static void test_port_state(void)
{
    DeviceState *port = fixture_add("pcie-root-port,addr=4.0,id=rp", &error_abort);
    PciDevice *rp = PCI_DEVICE(port);
    const StateTable *table = ((const DeviceOps *)object_ops(port, &device_type))->state;
    TestDevice *t = add_test("test-pci,bus=rp,id=t");
    StateStream *w = state_writer_new();
    g_autofree uint8_t *data = NULL;
    size_t len;

    device_reset_tree(port);
    cfg_write(rp, PCI_PRIMARY_BUS, 0x050300, 4);
    cfg_write(rp, PCI_MEMORY_BASE, 0x90109010, 4);
    cfg_write(rp, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    cfg_write(&t->pci, PCI_BASE_ADDRESS_0, WINDOW + 0x100000, 4);
    cfg_write(&t->pci, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
    state_save(table, w, port);
    state_save(&pci_device_state, w, t);
    data = state_take_bytes(w, &len);
    device_reset_tree(port);
    cfg_write(rp, rp->cap_exp + PCI_EXP_SLTCTL, 0x6c0, 2);
    g_assert_true(rp->config[rp->cap_exp + PCI_EXP_SLTCTL + 1] & PCI_EXP_SLTCTL_PCC >> 8);
    g_assert_false(decoded(WINDOW + 0x100000));

    StateStream *r = state_reader_new(data, len);
    g_assert_true(state_load(table, r, port));
    g_assert_true(pci_find_device(&fixture_host->bus, 3, 0) == &t->pci);
    g_assert_true(state_load(&pci_device_state, r, t));
    g_assert_true(decoded(WINDOW + 0x100000));
    state_stream_free(r);
    drop(port);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fixture_init();

    g_test_add_func("/pci/header", test_header);
    g_test_add_func("/pci/sweep", test_sweep);
    g_test_add_func("/pci/bar/sizing", test_bar_sizing);
    g_test_add_func("/pci/bar/mapping", test_bar_mapping);
    g_test_add_func("/pci/addresses", test_addresses);
    g_test_add_func("/pci/msix/state", test_msix_state);
    g_test_add_func("/pci/msix/irqfd", test_msix_irqfd);
    g_test_add_func("/pci/msix/handler", test_msix_handler);
    g_test_add_func("/pci/intx", test_intx);
    g_test_add_func("/pci/bridge", test_bridge);
    g_test_add_func("/pci/state", test_state);
    g_test_add_func("/pci/port-state", test_port_state);
    /* Suites run after the cases beside them, so this one is the last of all. */
    g_test_add_func("/pci/slot/hotplug", test_hotplug);
    return g_test_run();
}
