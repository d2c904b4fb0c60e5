/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -readconfig: options from a file of sections,
 *
 *     [device "disk0"]
 *       driver = "virtio-blk-pci"
 *
 * each as if -device driver=virtio-blk-pci,id=disk0 stood in its place. A
 * section's name is that of a group of query-command-line-options. Main thread,
 * at start-up. The file is the user's own.
 */
#include "util/osdep.h"
#include "system/options.h"
#include "system/readconfig.h"

#define CONFIG_MAX (1024 * 1024)

typedef struct ConfigReader {
    const char *path;
    unsigned line;
    const Option *option;       /* of the section; NULL: before the first one */
    GString *text;              /* its key=value text so far */
    ReadConfigAdd *add;
} ConfigReader;

static void append_doubled(GString *out, const char *value)
{
    for (const char *p = value; *p; p++) {
        g_string_append_c(out, *p);
        if (*p == ',') {
            g_string_append_c(out, ',');
        }
    }
}

static void append_item(GString *out, const char *key, const char *value)
{
    g_string_append_printf(out, "%s%s=", out->len ? "," : "", key);
    append_doubled(out, value);
}

static void finish_section(ConfigReader *r)
{
    if (r->option) {
        r->add(r->option, g_strdup(r->text->str));
        r->option = NULL;
    }
    g_string_truncate(r->text, 0);
}

static bool parse_error(const ConfigReader *r, Error **errp)
{
    error_setg(errp, "%s:%u: parse error", r->path, r->line);
    return false;
}

/* '[group]' or '[group "id"]'. */
static bool begin_section(ConfigReader *r, const char *line, Error **errp)
{
    g_autoptr(GRegex) form = g_regex_new("^\\[\\s*([\\w-]+)(?:\\s+\"([^\"]*)\")?\\s*\\]$", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_autofree char *group = NULL, *id = NULL;

    finish_section(r);
    if (!g_regex_match(form, line, 0, &match)) {
        return parse_error(r, errp);
    }
    group = g_match_info_fetch(match, 1);
    id = g_match_info_fetch(match, 2);
    r->option = option_find_group(group);
    if (!r->option) {
        error_setg(errp, "%s:%u: There is no option group '%s'", r->path, r->line, group);
        return false;
    }
    if (id && *id) {
        append_item(r->text, "id", id);
    }
    return true;
}

/* 'key = "value"'. */
static bool add_value(ConfigReader *r, const char *line, Error **errp)
{
    g_autoptr(GRegex) form = g_regex_new("^([\\w.-]+)\\s*=\\s*\"(.*)\"$", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_autofree char *key = NULL, *value = NULL;

    if (!g_regex_match(form, line, 0, &match)) {
        return parse_error(r, errp);
    }
    if (!r->option) {
        error_setg(errp, "%s:%u: no group defined", r->path, r->line);
        return false;
    }
    key = g_match_info_fetch(match, 1);
    value = g_match_info_fetch(match, 2);
    append_item(r->text, key, value);
    return true;
}

static bool read_lines(ConfigReader *r, char **lines, Error **errp)
{
    for (; *lines; lines++) {
        char *line = g_strstrip(*lines);
        bool ok = true;

        r->line++;
        if (*line == '[') {
            ok = begin_section(r, line, errp);
        } else if (*line && *line != '#') {
            ok = add_value(r, line, errp);
        }
        if (!ok) {
            return false;
        }
    }
    finish_section(r);
    return true;
}

bool readconfig_parse(const char *path, ReadConfigAdd *add, Error **errp)
{
    ConfigReader r = { .path = path, .add = add };
    g_autofree char *content = g_malloc(CONFIG_MAX + 1);
    g_auto(GStrv) lines = NULL;
    FILE *f = fopen(path, "re");
    size_t len;
    bool ok;

    if (!f) {
        error_setg_errno(errp, errno, "Could not open '%s'", path);
        return false;
    }
    len = fread(content, 1, CONFIG_MAX + 1, f);
    fclose(f);
    if (len > CONFIG_MAX || memchr(content, 0, len)) {
        error_setg(errp, "'%s' is no configuration file", path);
        return false;
    }
    content[len] = '\0';
    lines = g_strsplit(content, "\n", -1);
    r.text = g_string_new(NULL);
    ok = read_lines(&r, lines, errp);
    g_string_free(r.text, TRUE);
    return ok;
}
