/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record: see record.h.
 */
#include "record.h"

#include <string.h>

#include "name.h"

static PyObject *handle_class, *info_class, *arena_class, *usage_class, *charge_class,
	*event_class; /* owned */

bool record_adopt(PyObject *records)
{
	static const struct {
		const char *name;
		PyObject **class;
	} classes[] = {
		{ "Handle", &handle_class },   { "Info", &info_class },
		{ "ArenaInfo", &arena_class }, { "Usage", &usage_class },
		{ "Charge", &charge_class },   { "Event", &event_class },
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		PyObject *class = PyObject_GetAttrString(records, classes[i].name);

		if (!class)
			return false;
		Py_XDECREF(*classes[i].class);
		*classes[i].class = class;
	}
	return true;
}

/* Calls a class; before it was adopted nobody could have made a session. */
static PyObject *make(PyObject *class, PyObject *args)
{
	PyObject *record;

	if (!args)
		return NULL;
	if (!class) {
		Py_DECREF(args);
		PyErr_SetString(PyExc_RuntimeError, "import pmemarena, not _pmemarena");
		return NULL;
	}
	record = PyObject_Call(class, args, NULL);
	Py_DECREF(args);
	return record;
}

PyObject *record_handle(struct pma_handle handle)
{
	return make(handle_class, Py_BuildValue("(IIK)", handle.arena, handle.slot,
						(unsigned long long)handle.id));
}

PyObject *record_info(const struct pma_info *info)
{
	const char *attributes = (const char *)info->attributes;

	return make(info_class,
		    Py_BuildValue(
			    "(NNKIIIIKKNNy#N)", name_from(info->name, strlen(info->name)),
			    record_handle(info->handle), (unsigned long long)info->len, info->uid,
			    info->gid, info->mode, info->nr_extents,
			    (unsigned long long)info->version, (unsigned long long)info->created_ns,
			    PyBool_FromLong(info->is_reserved), PyBool_FromLong(info->is_poisoned),
			    attributes, (Py_ssize_t)info->attributes_len,
			    PyBool_FromLong(info->is_evictable)));
}

static PyObject *text_from(const char *text, size_t size)
{
	return name_from(text, strnlen(text, size));
}

PyObject *record_arena(const struct pma_arena *arena)
{
	return make(arena_class,
		    Py_BuildValue("(INy#NKKKNiKK)", arena->index,
				  text_from(arena->name, sizeof(arena->name)),
				  (const char *)arena->uuid, (Py_ssize_t)sizeof(arena->uuid),
				  text_from(arena->device, sizeof(arena->device)),
				  (unsigned long long)arena->page_size,
				  (unsigned long long)arena->size, (unsigned long long)arena->align,
				  PyBool_FromLong(arena->is_dax), (int)arena->granularity,
				  (unsigned long long)arena->data_off,
				  (unsigned long long)arena->device_size));
}

static PyObject *charge(const struct pma_charge *charge)
{
	return make(charge_class, Py_BuildValue("(KK)", (unsigned long long)charge->used,
						(unsigned long long)charge->limit));
}

PyObject *record_usage(const struct pma_usage *usage)
{
	return make(usage_class,
		    Py_BuildValue("(KKKKKKNNN)", (unsigned long long)usage->size,
				  (unsigned long long)usage->free,
				  (unsigned long long)usage->largest_free,
				  (unsigned long long)usage->leased,
				  (unsigned long long)usage->reserved,
				  (unsigned long long)usage->quarantined, charge(&usage->bytes),
				  charge(&usage->allocations), charge(&usage->leased_bytes)));
}

PyObject *record_event(const struct pma_event *event, const char *name)
{
	return make(event_class,
		    Py_BuildValue("(iNNKIII)", (int)event->kind, name_from(name, strlen(name)),
				  record_handle(event->handle), (unsigned long long)event->len,
				  event->uid, event->gid, event->mode));
}

/* ---- the other way ---- */

bool record_read_number(uint64_t *out, PyObject *object, uint64_t max, const char *what)
{
	PyObject *index = PyNumber_Index(object);
	unsigned long long number;

	if (!index)
		return false;
	number = PyLong_AsUnsignedLongLong(index);
	Py_DECREF(index);
	if (number == (unsigned long long)-1 && PyErr_Occurred()) {
		PyErr_Clear();
		PyErr_Format(PyExc_OverflowError, "%s: %R is not between 0 and %llu", what, object,
			     (unsigned long long)max);
		return false;
	}
	if (number > max) {
		PyErr_Format(PyExc_OverflowError, "%s: %R is not between 0 and %llu", what, object,
			     (unsigned long long)max);
		return false;
	}
	*out = number;
	return true;
}

static bool read_tuple(struct pma_handle *out, PyObject *tuple)
{
	uint64_t arena, slot, id;

	if (PyTuple_Size(tuple) != 3) {
		PyErr_Format(PyExc_TypeError, "a handle is (arena, slot, id), not %R", tuple);
		return false;
	}
	if (!record_read_number(&arena, PyTuple_GetItem(tuple, 0), UINT32_MAX, "arena") ||
	    !record_read_number(&slot, PyTuple_GetItem(tuple, 1), UINT32_MAX, "slot") ||
	    !record_read_number(&id, PyTuple_GetItem(tuple, 2), UINT64_MAX, "id"))
		return false;
	*out = (struct pma_handle){ (uint32_t)arena, (uint32_t)slot, id };
	return true;
}

bool record_read_handle(struct pma_handle *out, PyObject *object)
{
	PyObject *handle;
	bool is_read;

	if (PyTuple_Check(object))
		return read_tuple(out, object);
	handle = PyObject_GetAttrString(object, "handle");
	if (!handle || !PyTuple_Check(handle)) {
		Py_XDECREF(handle);
		PyErr_Clear();
		PyErr_Format(PyExc_TypeError,
			     "expected a handle, or an object that has one, not %R",
			     Py_TYPE(object));
		return false;
	}
	is_read = read_tuple(out, handle);
	Py_DECREF(handle);
	return is_read;
}
