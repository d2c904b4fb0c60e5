/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmcoreinfo: the guest tells through a fw_cfg file where its kernel keeps the
 * note that tools for dumps need (docs/system/devices/vmcoreinfo.md).
 *
 * Thread: machine lock.
 */
#ifndef HW_MISC_VMCOREINFO_H
#define HW_MISC_VMCOREINFO_H

#include <glib.h>

/* The guest's note, when there is one that is well-formed. */
void vmcoreinfo_append_note(GByteArray *out);

#endif
