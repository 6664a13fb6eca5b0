/* What cppcheck has to know of libraries whose headers it doesn't read. */
#define json_array_foreach(array, index, value) for (index = 0, value = 0; value; index++)
#define json_object_foreach(object, key, value) for (key = 0, value = 0; value; key++)
#define json_object_foreach_safe(object, next, key, value)                                         \
	for (key = 0, value = 0, next = 0; value; key++)
