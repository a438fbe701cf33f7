/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mapping: see mapping.h. It may outlive its session, as the library allows; what it must never do
 * is end while a view of it lives. A view has a reference to the mapping, so that only close()
 * could do that, and close() counts.
 */
#include "mapping.h"

#include <string.h>
#include <sys/mman.h>

#include "error.h"
#include "life.h"
#include "record.h"
#include "session.h"

/* Headers that are older than the kernel have none of these. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

struct mapping {
	PyObject_HEAD struct life life;
	struct session *session; /* owned */
	struct pma_mapping *map; /* owned */
	bool is_writable;
};

static void end_if_due(struct mapping *mapping)
{
	/* With the interpreter's lock, so that no thread disconnects meanwhile. */
	if (life_take_end(&mapping->life)) {
		pma_unmap(mapping->map);
		mapping->map = NULL;
	}
}

static bool enter(struct mapping *mapping)
{
	if (!life_check(&mapping->life, "mapping"))
		return false;
	mapping->life.uses++;
	return true;
}

static void leave(struct mapping *mapping)
{
	mapping->life.uses--;
	end_if_due(mapping);
}

/* ---- beginning and end ---- */

static int map_it(struct pma_mapping **out, struct session *session, struct pma_handle handle,
		  bool is_writable)
{
	struct pma *pma = session_enter(session);
	int r;

	if (!pma)
		return -1;
	Py_BEGIN_ALLOW_THREADS
	r = pma_map(out, pma, handle, is_writable ? PMA_MAP_WRITE : PMA_MAP_READ);
	Py_END_ALLOW_THREADS
	if (r < 0)
		error_raise(r, NULL);
	session_leave(session);
	return r < 0 ? -1 : 0;
}

static int mapping_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "session", "handle", "write", NULL };
	struct mapping *mapping = (struct mapping *)self;
	struct session *session;
	struct pma_handle handle;
	struct pma_mapping *map;
	PyObject *owner, *object;
	int write = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|p:Mapping", KEYWORDS(keywords), &owner,
					 &object, &write))
		return -1;
	session = session_from(owner);
	if (!session || !record_read_handle(&handle, object) ||
	    map_it(&map, session, handle, write) < 0)
		return -1;
	if (mapping->life.state != LIFE_NEW) {
		pma_unmap(map);
		PyErr_SetString(PyExc_RuntimeError, "this Mapping was initialised before");
		return -1;
	}
	Py_INCREF(owner);
	mapping->session = session;
	mapping->map = map;
	mapping->is_writable = write;
	life_begin(&mapping->life);
	return 0;
}

static int mapping_traverse(PyObject *self, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(self));
	Py_VISIT(((struct mapping *)self)->session);
	return 0;
}

static void mapping_dealloc(PyObject *self)
{
	struct mapping *mapping = (struct mapping *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	if (mapping->life.state == LIFE_OPEN)
		mapping->life.state = LIFE_CLOSING;
	end_if_due(mapping);
	Py_XDECREF((PyObject *)mapping->session);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

PyDoc_STRVAR(close_doc,
	     "close($self, defer=False)\n--\n\n"
	     "Unmap the memory. Closing twice is fine. BufferError: views of it are in use;\n"
	     "with defer=True it is unmapped after the last of them.");

static PyObject *close_it(struct mapping *mapping, bool defer)
{
	if (mapping->life.state == LIFE_OPEN) {
		if (!life_may_close(&mapping->life, "mapping", defer))
			return NULL;
		mapping->life.state = LIFE_CLOSING;
		end_if_due(mapping);
	}
	Py_RETURN_NONE;
}

static PyObject *mapping_close(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "defer", NULL };
	int defer = 0;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|p:close", KEYWORDS(keywords), &defer))
		return NULL;
	return close_it((struct mapping *)self, defer);
}

static PyObject *mapping_enter(PyObject *self, PyObject *unused)
{
	if (!life_check(&((struct mapping *)self)->life, "mapping"))
		return NULL;
	Py_INCREF(self);
	return self;
}

static PyObject *mapping_exit(PyObject *self, PyObject *args)
{
	return close_it((struct mapping *)self, true);
}

/* ---- views ---- */

static int mapping_get_buffer(PyObject *self, Py_buffer *view, int flags)
{
	struct mapping *mapping = (struct mapping *)self;

	view->obj = NULL;
	if (!enter(mapping))
		return -1;
	if (PyBuffer_FillInfo(view, self, pma_map_address(mapping->map),
			      (Py_ssize_t)pma_map_length(mapping->map), !mapping->is_writable,
			      flags) < 0) {
		leave(mapping);
		return -1;
	}
	mapping->life.views++;
	return 0;
}

static void mapping_release_buffer(PyObject *self, Py_buffer *view)
{
	struct mapping *mapping = (struct mapping *)self;

	mapping->life.views--;
	leave(mapping);
}

static Py_ssize_t mapping_length(PyObject *self)
{
	struct mapping *mapping = (struct mapping *)self;

	if (!life_check(&mapping->life, "mapping"))
		return -1;
	return (Py_ssize_t)pma_map_length(mapping->map);
}

/* ---- durability ---- */

/* A range of the mapping; *len becomes what is left behind @off where None was given. */
static bool read_range(struct mapping *mapping, uint64_t *off, uint64_t *len, PyObject *offset,
		       PyObject *length)
{
	uint64_t total = pma_map_length(mapping->map);

	*off = 0;
	if (offset && !record_read_number(off, offset, UINT64_MAX, "offset"))
		return false;
	*len = *off <= total ? total - *off : 0;
	if (length && length != Py_None && !record_read_number(len, length, UINT64_MAX, "length"))
		return false;
	if (*off <= total && *len <= total - *off)
		return true;
	PyErr_Format(PyExc_ValueError, "%llu bytes at %llu are not inside of the mapping of %llu",
		     (unsigned long long)*len, (unsigned long long)*off, (unsigned long long)total);
	return false;
}

static PyObject *finish(struct mapping *mapping, int r)
{
	PyObject *result = NULL;

	if (r < 0) {
		error_raise(r, NULL);
	} else {
		result = Py_None;
		Py_INCREF(result);
	}
	leave(mapping);
	return result;
}

static PyObject *make_durable(PyObject *self, PyObject *args, PyObject *kwargs,
			      int (*call)(struct pma_mapping *, const void *, size_t))
{
	static const char *const keywords[] = { "offset", "length", NULL };
	struct mapping *mapping = (struct mapping *)self;
	PyObject *offset = NULL, *length = NULL;
	uint64_t off, len;
	int r;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO", KEYWORDS(keywords), &offset,
					 &length) ||
	    !enter(mapping))
		return NULL;
	if (!read_range(mapping, &off, &len, offset, length)) {
		leave(mapping);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	r = call(mapping->map, (char *)pma_map_address(mapping->map) + off, len);
	Py_END_ALLOW_THREADS
	return finish(mapping, r);
}

PyDoc_STRVAR(persist_doc,
	     "persist($self, offset=0, length=None)\n--\n\n"
	     "Make stores to these bytes durable, by the means that the device needs, and\n"
	     "wait. length None: to the end.");

static PyObject *mapping_persist(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return make_durable(self, args, kwargs, pma_persist);
}

PyDoc_STRVAR(flush_doc,
	     "flush($self, offset=0, length=None)\n--\n\n"
	     "Begin to make these bytes durable; drain() of the same thread waits for it.");

static PyObject *mapping_flush(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return make_durable(self, args, kwargs, pma_flush);
}

PyDoc_STRVAR(drain_doc, "drain($self, /)\n--\n\n"
			"Wait for all flushes of this thread.");

static PyObject *mapping_drain(PyObject *self, PyObject *unused)
{
	struct mapping *mapping = (struct mapping *)self;
	int r;

	if (!enter(mapping))
		return NULL;
	/* Not without the interpreter's lock: it waits for some tens of nanoseconds. */
	r = pma_drain(mapping->map);
	return finish(mapping, r);
}

static PyObject *write_bytes(struct mapping *mapping, PyObject *offset, const Py_buffer *data)
{
	uint64_t off, len;
	PyObject *length = PyLong_FromSsize_t(data->len);
	bool is_inside = length && read_range(mapping, &off, &len, offset, length);
	int r;

	Py_XDECREF(length);
	if (!is_inside) {
		leave(mapping);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	r = pma_memcpy(mapping->map, (char *)pma_map_address(mapping->map) + off, data->buf, len);
	Py_END_ALLOW_THREADS
	return finish(mapping, r);
}

PyDoc_STRVAR(write_doc,
	     "write($self, offset, data, /)\n--\n\n"
	     "Copy data (bytes-like, contiguous) to the mapping and make it durable, past the\n"
	     "processor's cache where that is faster. PermissionError: the mapping is read-\n"
	     "only.");

static PyObject *mapping_write(PyObject *self, PyObject *args)
{
	struct mapping *mapping = (struct mapping *)self;
	PyObject *offset, *object, *result = NULL;
	Py_buffer data;

	if (!PyArg_ParseTuple(args, "OO:write", &offset, &object) ||
	    PyObject_GetBuffer(object, &data, PyBUF_SIMPLE) < 0)
		return NULL;
	if (enter(mapping))
		result = write_bytes(mapping, offset, &data);
	PyBuffer_Release(&data);
	return result;
}

PyDoc_STRVAR(fill_doc, "fill($self, byte=0, offset=0, length=None)\n--\n\n"
		       "Set these bytes to one value, and make that durable.");

static PyObject *mapping_fill(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "byte", "offset", "length", NULL };
	struct mapping *mapping = (struct mapping *)self;
	PyObject *value = NULL, *offset = NULL, *length = NULL;
	uint64_t off, len, byte = 0;
	int r;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OOO:fill", KEYWORDS(keywords), &value,
					 &offset, &length) ||
	    (value && !record_read_number(&byte, value, 255, "byte")) || !enter(mapping))
		return NULL;
	if (!read_range(mapping, &off, &len, offset, length)) {
		leave(mapping);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	r = pma_memset(mapping->map, (char *)pma_map_address(mapping->map) + off, (int)byte, len);
	Py_END_ALLOW_THREADS
	return finish(mapping, r);
}

PyDoc_STRVAR(populate_doc,
	     "populate()\n--\n\n"
	     "Make all its pages present now, in one step, which is cheaper than one by one as\n"
	     "they are used. For a kernel that cannot (before 5.14) it does nothing.");

static PyObject *mapping_populate(PyObject *self, PyObject *unused)
{
	struct mapping *mapping = (struct mapping *)self;

	if (!enter(mapping))
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	(void)madvise(pma_map_address(mapping->map), pma_map_length(mapping->map),
		      mapping->is_writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	Py_END_ALLOW_THREADS
	return finish(mapping, 0);
}

/* ---- what it is ---- */

static PyObject *get_closed(PyObject *self, void *unused)
{
	return PyBool_FromLong(((struct mapping *)self)->life.state != LIFE_OPEN);
}

static PyObject *get_readonly(PyObject *self, void *unused)
{
	return PyBool_FromLong(!((struct mapping *)self)->is_writable);
}

static PyObject *get_views(PyObject *self, void *unused)
{
	return PyLong_FromSize_t(((struct mapping *)self)->life.views);
}

static PyObject *get_address(PyObject *self, void *unused)
{
	struct mapping *mapping = (struct mapping *)self;

	if (!life_check(&mapping->life, "mapping"))
		return NULL;
	return PyLong_FromVoidPtr(pma_map_address(mapping->map));
}

static PyObject *get_handle(PyObject *self, void *unused)
{
	struct mapping *mapping = (struct mapping *)self;

	if (!life_check(&mapping->life, "mapping"))
		return NULL;
	return record_handle(pma_map_handle(mapping->map));
}

static PyMethodDef methods[] = {
	{ "close", METHOD(mapping_close), METH_VARARGS | METH_KEYWORDS, close_doc },
	{ "persist", METHOD(mapping_persist), METH_VARARGS | METH_KEYWORDS, persist_doc },
	{ "flush", METHOD(mapping_flush), METH_VARARGS | METH_KEYWORDS, flush_doc },
	{ "drain", mapping_drain, METH_NOARGS, drain_doc },
	{ "write", mapping_write, METH_VARARGS, write_doc },
	{ "fill", METHOD(mapping_fill), METH_VARARGS | METH_KEYWORDS, fill_doc },
	{ "populate", mapping_populate, METH_NOARGS, populate_doc },
	{ "__enter__", mapping_enter, METH_NOARGS, NULL },
	{ "__exit__", mapping_exit, METH_VARARGS, NULL },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef properties[] = {
	{ "closed", get_closed, NULL, "True: close() was called.", NULL },
	{ "readonly", get_readonly, NULL, "True: its views cannot be written to.", NULL },
	{ "views", get_views, NULL, "How many views of it are in use.", NULL },
	{ "address", get_address, NULL, "Of the first byte, for ctypes and the like.", NULL },
	{ "handle", get_handle, NULL, "The allocation that is mapped.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

PyDoc_STRVAR(mapping_doc,
	     "Mapping(session, handle, write=False)\n--\n\n"
	     "An allocation that the session has open or reserved, as memory:\n"
	     "memoryview(mapping), numpy.frombuffer(mapping), torch.frombuffer(mapping). All\n"
	     "its extents are one range. It stays valid when its session is closed. As a\n"
	     "context manager it unmaps at the end of the block, or after the last view.");

PyObject *mapping_class_new(void)
{
	PyType_Slot slots[] = {
		{ Py_tp_doc, (void *)mapping_doc },
		{ Py_tp_init, SLOT(mapping_init) },
		{ Py_tp_dealloc, SLOT(mapping_dealloc) },
		{ Py_tp_traverse, SLOT(mapping_traverse) },
		{ Py_tp_methods, methods },
		{ Py_tp_getset, properties },
		{ Py_sq_length, SLOT(mapping_length) },
		{ Py_bf_getbuffer, SLOT(mapping_get_buffer) },
		{ Py_bf_releasebuffer, SLOT(mapping_release_buffer) },
		{ 0, NULL },
	};
	PyType_Spec spec = { .name = "pmemarena.Mapping",
			     .basicsize = sizeof(struct mapping),
			     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
			     .slots = slots };

	return PyType_FromSpec(&spec);
}
