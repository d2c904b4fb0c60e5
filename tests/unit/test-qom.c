/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of qom/: types, the tree, properties, user-creatable objects. */
#include "util/osdep.h"
#include "qapi-types.h"
#include "qom/object.h"

typedef struct Thing {
    Object obj;
    bool flag;
    uint64_t bits;
    uint16_t small;
    int32_t number;
    uint64_t size;
    char *text;
    int colour;
    int tri;
    Object *friend;
    bool completed;
} Thing;

static int finalized, unparented;

extern const TypeInfo thing_type, thing2_type;

static const ObjectProperty thing_properties[] = {
    PROP_BOOL("flag", Thing, flag, true, "a flag"),
    PROP_BIT64("bit3", Thing, bits, 3, true, "a bit"),
    PROP_UINT16("small", Thing, small, 7, NULL),
    PROP_INT32("number", Thing, number, -5, NULL),
    PROP_SIZE("size", Thing, size, 4096, NULL),
    PROP_STRING("text", Thing, text, NULL),
    PROP_ENUM("colour", Thing, colour, &qapi_enum_OnOffSplit, 1, NULL),
    PROP_ON_OFF_AUTO("tri", Thing, tri, 0, NULL),
    PROP_LINK("friend", Thing, friend, &thing_type, NULL),
    PROP_END
};

static void thing_finalize(Object *obj)
{
    finalized++;
}

static void thing_unparent(Object *obj)
{
    unparented++;
}

static bool thing_complete(Object *obj, Error **errp)
{
    Thing *t = object_cast(obj, &thing_type);

    if (t->number == 13) {
        error_setg(errp, "13 brings bad luck");
        return false;
    }
    t->completed = true;
    return true;
}

static bool thing_deletable(Object *obj)
{
    return ((Thing *)obj)->number != 99;
}

static const ObjectOps thing_object_ops = { .unparent = thing_unparent };
static const UserCreatableOps thing_creatable_ops = {
    .complete = thing_complete, .can_be_deleted = thing_deletable,
};

OBJECT_TYPE(thing_type) = {
    .name = "thing", .parent = &object_type, .instance_size = sizeof(Thing),
    .properties = thing_properties, .instance_finalize = thing_finalize,
    .aliases = (const char *const[]){ "old-thing", NULL },
    .impls = TYPE_IMPLS({ &object_type, &thing_object_ops },
                        { &user_creatable_type, &thing_creatable_ops }),
};

static const ObjectProperty thing2_properties[] = {
    PROP_UINT16("small", Thing, small, 8, "overrides"),
    PROP_END
};

OBJECT_TYPE(thing2_type) = {
    .name = "thing2", .parent = &thing_type, .properties = thing2_properties,
};

OBJECT_TYPE_STATIC(abstract_type) = {
    .name = "abstract-thing", .parent = &object_type, .abstract = true,
};

/* ---- helpers ---- */

static void expect(Error **err, const char *text)
{
    g_assert_nonnull(*err);
    g_assert_cmpstr(error_message(*err), ==, text);
    g_clear_pointer(err, error_free);
}

static JsonValue *parse(const char *text)
{
    return json_parse(text, strlen(text), &error_abort);
}

static void set_ok(void *obj, const char *name, const char *json)
{
    g_autoptr(JsonValue) v = parse(json);

    object_property_set(obj, name, v, &error_abort);
}

static void set_fails(void *obj, const char *name, const char *json, const char *message)
{
    g_autoptr(JsonValue) v = parse(json);
    Error *err = NULL;

    g_assert_false(object_property_set(obj, name, v, &err));
    expect(&err, message);
}

static void check_get(void *obj, const char *name, const char *json)
{
    g_autoptr(JsonValue) want = parse(json);
    g_autoptr(JsonValue) got = object_property_get(obj, name, &error_abort);

    g_assert_true(json_equal(want, got));
}

/* ---- tests ---- */

static void count_types(const TypeInfo *type, void *opaque)
{
    (*(int *)opaque)++;
}

static void test_types(void)
{
    int n = 0;

    g_assert_true(type_find("thing") == &thing_type);
    g_assert_true(type_find("old-thing") == &thing_type);
    g_assert_null(type_find("nothing"));
    g_assert_true(type_is_a(&thing2_type, &thing_type));
    g_assert_true(type_is_a(&thing2_type, &object_type));
    g_assert_true(type_is_a(&thing2_type, &user_creatable_type));
    g_assert_false(type_is_a(&thing_type, &thing2_type));
    g_assert_false(type_is_a(&container_type, &user_creatable_type));
    g_assert_true(type_ops(&thing2_type, &user_creatable_type) == &thing_creatable_ops);
    g_assert_null(type_ops(&container_type, &user_creatable_type));
    type_foreach(&thing_type, false, count_types, &n);
    g_assert_cmpint(n, ==, 2);
    n = 0;
    type_foreach(&abstract_type, false, count_types, &n);
    g_assert_cmpint(n, ==, 0);
    type_foreach(&abstract_type, true, count_types, &n);
    g_assert_cmpint(n, ==, 1);
}

static void test_new_by_name(void)
{
    Error *err = NULL;

    g_assert_null(object_new_by_name("nothing", &err));
    expect(&err, "invalid object type: nothing");
    g_assert_null(object_new_by_name("abstract-thing", &err));
    expect(&err, "object type 'abstract-thing' is abstract");
}

static void test_properties(void)
{
    g_autoptr(Object) obj = object_new(&thing2_type);
    Thing *t = (Thing *)obj;

    g_assert_true(t->flag);
    g_assert_cmpuint(t->bits, ==, 8);
    g_assert_cmpuint(t->small, ==, 8);
    g_assert_cmpint(t->number, ==, -5);
    check_get(obj, "type", "\"thing2\"");
    check_get(obj, "colour", "\"off\"");
    check_get(obj, "tri", "\"auto\"");
    check_get(obj, "text", "\"\"");
    set_ok(obj, "bit3", "false");
    g_assert_cmpuint(t->bits, ==, 0);
    set_ok(obj, "small", "65535");
    set_fails(obj, "small", "65536", "Parameter 'small' expects uint16");
    set_fails(obj, "small", "-1", "Parameter 'small' expects uint16");
    set_fails(obj, "small", "\"1\"", "Invalid parameter type for 'small', expected: integer");
    set_fails(obj, "flag", "1", "Invalid parameter type for 'flag', expected: boolean");
    set_fails(obj, "text", "1", "Invalid parameter type for 'text', expected: string");
    set_fails(obj, "colour", "\"blue\"", "Parameter 'colour' does not accept value 'blue'");
    set_fails(obj, "type", "\"x\"", "Property 'thing2.type' is not writable");
    set_fails(obj, "nope", "1", "Property 'thing2.nope' not found");
    g_assert_cmpuint(t->small, ==, 65535);
    set_ok(obj, "text", "\"hello\"");
    check_get(obj, "text", "\"hello\"");
    object_property_set_string(obj, "size", "64K", &error_abort);
    g_assert_cmpuint(t->size, ==, 65536);
    object_property_set_string(obj, "flag", "off", &error_abort);
    g_assert_false(t->flag);
    object_property_set_string(obj, "number", "-0x10", &error_abort);
    g_assert_cmpint(t->number, ==, -16);
    obj->frozen = true;
    set_fails(obj, "number", "1", "cannot change property 'number' of thing2");
}

static void test_tree(void)
{
    Object *dir = object_container(object_root(), "/a/b");
    Object *one = object_new(&thing_type), *two = object_new(&thing_type);
    g_autofree char *path = NULL;
    Error *err = NULL;
    bool ambiguous;

    g_assert_true(object_resolve("/a/b", NULL) == dir);
    object_add_child(dir, "x", one, &error_abort);
    g_assert_false(object_add_child(dir, "x", two, &err));
    expect(&err, "attempt to add duplicate property 'x' to object (type 'container')");
    g_assert_false(object_add_child(dir, "type", two, &err));
    g_clear_pointer(&err, error_free);
    path = object_path(one);
    g_assert_cmpstr(path, ==, "/a/b/x");
    g_assert_true(object_resolve("b/x", NULL) == one);
    g_assert_true(object_resolve("x", NULL) == one);
    object_add_child(one, "x", two, &error_abort);
    g_assert_null(object_resolve("x", &ambiguous));
    g_assert_true(ambiguous);
    g_assert_true(object_resolve("x/x", NULL) == two);
    g_assert_null(object_resolve("/a/c", NULL));
    g_assert_null(object_resolve("", NULL));
    check_get(dir, "x", "\"/a/b/x\"");
    object_unref(one);
    object_unref(two);
    finalized = 0;
    unparented = 0;
    object_unparent(one);
    g_assert_cmpint(finalized, ==, 2);
    g_assert_cmpint(unparented, ==, 2);
}

static void test_numbering(void)
{
    Object *dir = object_container(object_root(), "/n");
    Object *obj[3];

    for (int i = 0; i < 3; i++) {
        obj[i] = object_new(&thing_type);
        object_add_child(dir, "d[*]", obj[i], &error_abort);
        object_unref(obj[i]);
    }
    g_assert_cmpstr(obj[2]->name, ==, "d[2]");
    object_unparent(obj[1]);
    obj[1] = object_new(&thing_type);
    object_add_child(dir, "d[*]", obj[1], &error_abort);
    object_unref(obj[1]);
    g_assert_cmpstr(obj[1]->name, ==, "d[1]");
    object_unparent(dir);
}

static void test_links(void)
{
    Object *dir = object_container(object_root(), "/l");
    Object *a = object_new(&thing_type), *b = object_new(&thing_type);

    object_add_child(dir, "a", a, &error_abort);
    object_add_child(dir, "b", b, &error_abort);
    object_unref(a);
    object_unref(b);
    set_ok(a, "friend", "\"/l/b\"");
    g_assert_cmpuint(b->refs, ==, 2);
    check_get(a, "friend", "\"/l/b\"");
    g_assert_true(object_resolve("/l/a/friend", NULL) == b);
    set_ok(a, "friend", "\"b\"");
    set_fails(a, "friend", "\"c\"", "Device 'c' not found");
    set_fails(a, "friend", "\"/l\"", "Invalid parameter type for 'friend', expected: thing");
    set_ok(a, "friend", "\"\"");
    g_assert_cmpuint(b->refs, ==, 1);
    object_property_set_link(a, "friend", b, &error_abort);
    object_unparent(a);
    g_assert_cmpuint(b->refs, ==, 1);
    object_unparent(dir);
}

static Object *add(const char *json, Error **errp)
{
    g_autoptr(JsonValue) v = parse(json);

    return user_creatable_add(v, errp);
}

static void test_user_creatable(void)
{
    Error *err = NULL;
    Object *obj = add("{\"qom-type\":\"thing\",\"id\":\"t0\",\"number\":99}", &error_abort);

    g_assert_true(((Thing *)obj)->completed);
    g_assert_true(object_resolve("/objects/t0", NULL) == obj);
    g_assert_null(add("{\"qom-type\":\"thing\",\"id\":\"t0\"}", &err));
    expect(&err, "attempt to add duplicate property 't0' to object (type 'container')");
    g_assert_null(add("{\"qom-type\":\"thing\",\"id\":\"1\"}", &err));
    expect(&err, "Parameter 'id' expects an identifier");
    g_assert_null(add("{\"qom-type\":\"thing\"}", &err));
    expect(&err, "Parameter 'id' is missing");
    g_assert_null(add("{\"id\":\"x\"}", &err));
    expect(&err, "Parameter 'qom-type' is missing");
    g_assert_null(add("{\"qom-type\":\"container\",\"id\":\"x\"}", &err));
    expect(&err, "Parameter 'qom-type' does not accept value 'container'");
    finalized = 0;
    g_assert_null(add("{\"qom-type\":\"thing\",\"id\":\"t1\",\"number\":13}", &err));
    expect(&err, "13 brings bad luck");
    g_assert_cmpint(finalized, ==, 1);
    g_assert_null(object_resolve("/objects/t1", NULL));
    g_assert_false(user_creatable_del("t1", &err));
    expect(&err, "object 't1' not found");
    g_assert_false(user_creatable_del("t0", &err));
    expect(&err, "object 't0' is in use, can not be deleted");
    ((Thing *)obj)->number = 1;
    user_creatable_del("t0", &error_abort);
    g_assert_cmpint(finalized, ==, 2);
}

static void note_property(Object *obj, const char *name, const char *type,
                          const ObjectProperty *p, void *opaque)
{
    g_string_append_printf(opaque, "%s:%s ", name, type);
}

static void test_introspection(void)
{
    static const ObjectProperty counter = {
        .name = "counter", .kind = &prop_kind_custom, .type_name = "int",
    };
    g_autoptr(Object) obj = object_new(&thing2_type);
    GString *text = g_string_new(NULL);

    object_property_add_dynamic(obj, &counter);
    object_foreach_property(obj, note_property, text);
    g_assert_cmpstr(text->str, ==,
                    "small:uint16 flag:bool bit3:bool number:int32 size:size text:str "
                    "colour:OnOffSplit tri:OnOffAuto friend:link<thing> type:string counter:int ");
    g_string_free(text, TRUE);
}

/* ---- properties of an object inside ---- */

typedef struct Shell {
    Object obj;
    Object *inside;
    uint16_t small;
} Shell;

static const ObjectProperty shell_properties[] = {
    PROP_UINT16("small", Shell, small, 1, NULL),
    PROP_END
};

static void shell_init(Object *obj)
{
    Shell *s = (Shell *)obj;

    s->inside = object_new(obj->type->inner);
    object_add_child(obj, "inside", s->inside, &error_abort);
    object_unref(s->inside);
}

OBJECT_TYPE_STATIC(shell_type) = {
    .name = "shell", .parent = &object_type, .instance_size = sizeof(Shell),
    .properties = shell_properties, .instance_init = shell_init,
    .inner = &thing_type, .inner_offset = offsetof(Shell, inside),
};

static void test_inner(void)
{
    g_autoptr(Object) obj = object_new(&shell_type);
    g_autoptr(JsonValue) v = NULL;
    GString *text = g_string_new(NULL);
    Shell *shell = (Shell *)obj;
    Thing *thing = (Thing *)shell->inside;
    Error *err = NULL;

    g_assert_true(object_property_set_int(obj, "number", 42, &error_abort));
    g_assert_cmpint(thing->number, ==, 42);
    v = object_property_get(obj, "number", &error_abort);
    g_assert_cmpint(json_kind(v), ==, JSON_INT);
    /* Ours wins over the one inside. */
    g_assert_true(object_property_set_int(obj, "small", 3, &error_abort));
    g_assert_cmpint(shell->small, ==, 3);
    g_assert_cmpint(thing->small, ==, 7);
    g_assert_false(object_property_set_int(obj, "nothing", 3, &err));
    g_assert_cmpstr(error_message(err), ==, "Property 'shell.nothing' not found");
    error_free(err);

    object_foreach_property(obj, note_property, text);
    g_assert_cmpstr(text->str, ==,
                    "small:uint16 type:string flag:bool bit3:bool number:int32 size:size text:str "
                    "colour:OnOffSplit tri:OnOffAuto friend:link<thing> inside:child<thing> ");
    g_string_free(text, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qom/types", test_types);
    g_test_add_func("/qom/new-by-name", test_new_by_name);
    g_test_add_func("/qom/properties", test_properties);
    g_test_add_func("/qom/tree", test_tree);
    g_test_add_func("/qom/numbering", test_numbering);
    g_test_add_func("/qom/links", test_links);
    g_test_add_func("/qom/user-creatable", test_user_creatable);
    g_test_add_func("/qom/introspection", test_introspection);
    g_test_add_func("/qom/inner", test_inner);
    return g_test_run();
}
