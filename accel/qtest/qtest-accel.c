/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accelerator "qtest": no code runs; the test moves the virtual clock and
 * message interrupts are stores to memory. Main thread.
 */
#include "util/osdep.h"
#include "accel/accel.h"

static bool qtest_accel_init(AccelState *accel, Object *machine, Error **errp)
{
    clock_virtual_set_manual();
    return true;
}

static const AccelOps qtest_accel_ops = {
    .title = "QTest",
    .init = qtest_accel_init,
    .runs_code = false,
};

OBJECT_TYPE_STATIC(qtest_accel_type) = {
    .name = "qtest-accel",
    .parent = &accel_type,
    .description = "no CPU runs; tests drive the devices",
    .impls = TYPE_IMPLS({ &accel_type, &qtest_accel_ops }),
};
