/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The time that battery clocks of the machine start from (-rtc): wall-clock
 * time of the host, its local time, or a date at which the machine starts.
 *
 * Thread: configuration on the main thread at start-up; reading in any.
 */
#ifndef SYSTEM_RTC_H
#define SYSTEM_RTC_H

#include <stdint.h>
#include "qom/object.h"

/* "utc", "localtime" or a date and "host", "rt" or "vm"; either may be NULL. They are valid. */
void rtc_configure(const char *base, const char *clock);
/* Nanoseconds since 1970 that a clock which nobody has set shows now. */
int64_t rtc_now_ns(void);
/* The guest set the clock @dev; it differs by @offset seconds from rtc_now_ns(). Machine lock. */
void rtc_guest_set(const void *dev, int64_t offset);

#endif
