/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "-cpu help" for x86: the models and the names of features. Main thread, at start-up. */
#include "util/osdep.h"
#include "models.h"

static void collect(const TypeInfo *type, void *opaque)
{
    g_ptr_array_add(opaque, (void *)type);
}

/* Named models by name, then those that are none. */
static bool is_special(const TypeInfo *type)
{
    const X86CpuModelOps *ops = x86_cpu_model_ops(type);

    return !ops || !ops->model->versions;
}

static int model_length(const TypeInfo *type)
{
    return strlen(type->name) - strlen("-" X86_CPU_TYPE_SUFFIX);
}

static int compare(const void *a, const void *b)
{
    const TypeInfo *x = *(const TypeInfo *const *)a, *y = *(const TypeInfo *const *)b;
    int len_x = model_length(x), len_y = model_length(y), order;

    if (is_special(x) != is_special(y)) {
        return is_special(x) - is_special(y);
    }
    order = strncmp(x->name, y->name, MIN(len_x, len_y));
    return order ? order : len_x - len_y;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_flags(void)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    size_t column = 0;

    for (const ObjectProperty *p = x86_feature_properties; p->name; p++) {
        if (!(p->flags & PROP_HIDDEN)) {
            g_ptr_array_add(names, (void *)p->name);
        }
    }
    g_ptr_array_sort(names, compare_names);
    printf("\nRecognized CPUID flags:\n");
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];

        if (column && column + strlen(name) > 75) {
            printf("\n");
            column = 0;
        }
        column += printf("%s%s", column ? " " : "  ", name);
    }
    printf("\n");
}

void x86_cpu_print_models(void)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();

    type_foreach(&x86_cpu_type, false, collect, list);
    g_ptr_array_sort(list, compare);
    printf("Available CPUs:\n");
    for (guint i = 0; i < list->len; i++) {
        const TypeInfo *type = list->pdata[i];

        printf("x86 %-20.*s  %s\n", model_length(type), type->name, type->description);
    }
    print_flags();
}
