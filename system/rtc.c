/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -rtc: the time base of battery clocks. Configured on the main thread before
 * there are devices; read in vCPU threads.
 */
#include "util/osdep.h"

#include <time.h>
#include "qapi-events.h"
#include "system/rtc.h"
#include "util/event-loop.h"

#define SECOND INT64_C(1000000000)

static struct {
    ClockType clock;
    bool local;                 /* what the host's zone says is added, as it changes */
    int64_t offset;             /* from @clock to the base */
} rtc = { .clock = CLOCK_TYPE_HOST };

void rtc_configure(const char *base, const char *clock)
{
    rtc.clock = !g_strcmp0(clock, "rt") ? CLOCK_TYPE_REALTIME :
                !g_strcmp0(clock, "vm") ? CLOCK_TYPE_VIRTUAL : CLOCK_TYPE_HOST;
    rtc.local = !g_strcmp0(base, "localtime");
    rtc.offset = 0;
    if (base && strcmp(base, "utc") != 0 && !rtc.local) {
        g_autofree char *iso = g_strdup_printf("%s%s", base, strchr(base, 'T') ? "Z" : "T00:00:00Z");
        g_autoptr(GDateTime) date = g_date_time_new_from_iso8601(iso, NULL);

        rtc.offset = g_date_time_to_unix(date) * SECOND - clock_now_ns(rtc.clock);
    } else if (rtc.clock != CLOCK_TYPE_HOST) {
        rtc.offset = clock_now_ns(CLOCK_TYPE_HOST) - clock_now_ns(rtc.clock);
    }
}

int64_t rtc_now_ns(void)
{
    int64_t now = clock_now_ns(rtc.clock) + rtc.offset;

    if (rtc.local) {
        time_t seconds = now / SECOND;
        struct tm tm;

        localtime_r(&seconds, &tm);
        now += tm.tm_gmtoff * SECOND;
    }
    return now;
}

void rtc_guest_set(const void *dev, int64_t offset)
{
    g_autofree char *path = object_path(dev);

    qapi_event_send_RTC_CHANGE(offset, path);
}
