/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of human monitor commands share. Main thread. */
#ifndef SYSTEM_HMP_TEXT_H
#define SYSTEM_HMP_TEXT_H

#include "monitor/hmp.h"

/* Candidates for words: ids of what exists. */
void hmp_complete_device(HmpCompletion *c);
void hmp_complete_object(HmpCompletion *c);
void hmp_complete_chardev(HmpCompletion *c);
void hmp_complete_netdev(HmpCompletion *c);
void hmp_complete_nic(HmpCompletion *c);
void hmp_complete_block(HmpCompletion *c);
void hmp_complete_trace_event(HmpCompletion *c);
void hmp_complete_device_type(HmpCompletion *c);
void hmp_complete_object_type(HmpCompletion *c);
void hmp_complete_watchdog_action(HmpCompletion *c);

/* "$register" in expressions. */
void hmp_memory_init(void);

#endif
