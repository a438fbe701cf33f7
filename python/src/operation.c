/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * operation: the methods of a session that change allocations. run() takes any number of operations
 * as tuples, in the order of the members of pmemarena.Op, and is what all others in Python are made
 * of: so one list is one message, and one wait for what is durable.
 */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "name.h"
#include "record.h"
#include "session.h"

enum member { OPCODE, HANDLE, NAME, LEN, FLAGS, MODE, TOKEN, ATTRIBUTES, NR_MEMBERS };

struct message {
	char text[PMA_MAX_MESSAGE];
};

/* All that one call of run() needs. What is borrowed from the tuples stays by `list`. */
struct run {
	PyObject *list; /* owned; a tuple of tuples */
	size_t nr;
	struct pma_op *ops; /* owned, as all below */
	struct name *names;
	struct pma_info *infos;
	struct message *messages;
};

/* ---- from Python ---- */

static bool read_attributes(struct pma_op *op, PyObject *object)
{
	if (object == Py_None)
		return true;
	if (!PyBytes_Check(object)) {
		PyErr_Format(PyExc_TypeError, "attributes are bytes, not %R", Py_TYPE(object));
		return false;
	}
	op->attributes = PyBytes_AsString(object);
	op->attributes_len = (size_t)PyBytes_Size(object);
	if (op->attributes_len == 0)
		op->attributes = NULL;
	return true;
}

static bool read_numbers(struct pma_op *op, PyObject *tuple)
{
	uint64_t opcode, flags, mode;

	if (!record_read_number(&opcode, PyTuple_GetItem(tuple, OPCODE), INT32_MAX, "opcode") ||
	    !record_read_number(&op->len, PyTuple_GetItem(tuple, LEN), UINT64_MAX, "length") ||
	    !record_read_number(&flags, PyTuple_GetItem(tuple, FLAGS), UINT32_MAX, "flags") ||
	    !record_read_number(&mode, PyTuple_GetItem(tuple, MODE), UINT32_MAX, "mode") ||
	    !record_read_number(&op->token, PyTuple_GetItem(tuple, TOKEN), UINT64_MAX, "token"))
		return false;
	op->opcode = (enum pma_opcode)opcode;
	op->flags = (uint32_t)flags;
	op->mode = (uint32_t)mode;
	return true;
}

static bool read_op(struct run *run, size_t i, PyObject *tuple)
{
	struct pma_op *op = &run->ops[i];

	if (!tuple || !PyTuple_Check(tuple) || PyTuple_Size(tuple) != NR_MEMBERS) {
		PyErr_Format(PyExc_TypeError, "operation %zu is no pmemarena.Op", i);
		return false;
	}
	if (!read_numbers(op, tuple) ||
	    !record_read_handle(&op->handle, PyTuple_GetItem(tuple, HANDLE)) ||
	    !name_init(&run->names[i], PyTuple_GetItem(tuple, NAME)) ||
	    !read_attributes(op, PyTuple_GetItem(tuple, ATTRIBUTES)))
		return false;
	op->name = run->names[i].text;
	op->message = run->messages[i].text;
	if (op->opcode == PMA_OP_STAT || op->opcode == PMA_OP_OPEN)
		op->stat = &run->infos[i];
	return true;
}

static void run_fini(struct run *run)
{
	for (size_t i = 0; run->names && i < run->nr; i++)
		name_fini(&run->names[i]);
	free(run->ops);
	free(run->names);
	free(run->infos);
	free(run->messages);
	Py_CLEAR(run->list);
}

static bool run_init(struct run *run, PyObject *operations)
{
	*run = (struct run){ .list = PySequence_Tuple(operations) };
	if (!run->list)
		return false;
	run->nr = (size_t)PyTuple_Size(run->list);
	/* One more: an allocation of no bytes may be NULL, which would look like a failure. */
	run->ops = calloc(run->nr + 1, sizeof(*run->ops));
	run->names = calloc(run->nr + 1, sizeof(*run->names));
	run->infos = calloc(run->nr + 1, sizeof(*run->infos));
	run->messages = calloc(run->nr + 1, sizeof(*run->messages));
	if (!run->ops || !run->names || !run->infos || !run->messages) {
		PyErr_NoMemory();
		return false;
	}
	for (size_t i = 0; i < run->nr; i++) {
		if (!read_op(run, i, PyTuple_GetItem(run->list, (Py_ssize_t)i)))
			return false;
	}
	return true;
}

/* ---- and back ---- */

static PyObject *result_of(const struct pma_op *op)
{
	PyObject *info = Py_None, *sentence = Py_None;

	Py_INCREF(info);
	Py_INCREF(sentence);
	if (op->result == 0 && op->stat) {
		Py_DECREF(info);
		info = record_info(op->stat);
	}
	if (op->result < 0) {
		const char *text = op->message[0] ? op->message : strerror(-op->result);

		Py_DECREF(sentence);
		sentence = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
	}
	return Py_BuildValue("(iNKNNN)", -op->result, record_handle(op->handle),
			     (unsigned long long)op->len, PyBool_FromLong(op->was_done), sentence,
			     info);
}

static PyObject *results_of(const struct run *run)
{
	PyObject *list = PyList_New((Py_ssize_t)run->nr);

	for (size_t i = 0; list && i < run->nr; i++) {
		PyObject *result = result_of(&run->ops[i]);

		if (!result || PyList_SetItem(list, (Py_ssize_t)i, result) < 0)
			Py_CLEAR(list);
	}
	return list;
}

static PyObject *run_all(struct session *session, struct run *run)
{
	struct pma *pma = session_enter(session);
	PyObject *list;
	int r;

	if (!pma)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = pma_run(pma, run->ops, run->nr);
	Py_END_ALLOW_THREADS
	list = r < 0 ? error_raise(r, NULL) : results_of(run);
	session_leave(session);
	return list;
}

PyDoc_STRVAR(run_doc,
	     "run_ops($self, operations, /)\n--\n\n"
	     "Do operations (a sequence of Op) in order; neighbours of one opcode travel in\n"
	     "one message. A list with (errno or 0, handle, length, was_done, sentence or\n"
	     "None, info or None) of each. OSError: the connection failed.");

static PyObject *session_run(PyObject *self, PyObject *operations)
{
	struct run run;
	PyObject *list = NULL;

	if (run_init(&run, operations))
		list = run_all((struct session *)self, &run);
	run_fini(&run);
	return list;
}

/* ---- what is no operation of run() ---- */

/* None, or the exception of @r. Ends the use of the session. */
static PyObject *done(struct session *session, int r, PyObject *name)
{
	PyObject *result = NULL;

	if (r < 0) {
		error_raise(r, name);
	} else {
		result = Py_None;
		Py_INCREF(result);
	}
	session_leave(session);
	return result;
}

PyDoc_STRVAR(owner_doc, "set_owner($self, handle, uid=-1, gid=-1)\n--\n\n"
			"As chown: only root changes the uid; -1 leaves a value as it is.");

static PyObject *session_set_owner(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static const char *const keywords[] = { "handle", "uid", "gid", NULL };
	struct session *session = (struct session *)self;
	struct pma_handle handle;
	PyObject *object;
	struct pma *pma;
	long long uid = -1, gid = -1;
	int r;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|LL:set_owner", KEYWORDS(keywords),
					 &object, &uid, &gid) ||
	    !record_read_handle(&handle, object))
		return NULL;
	if (uid < -1 || uid > UINT32_MAX || gid < -1 || gid > UINT32_MAX) {
		PyErr_Format(PyExc_OverflowError, "uid %lld, gid %lld: one of them cannot be", uid,
			     gid);
		return NULL;
	}
	pma = session_enter(session);
	if (!pma)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = pma_set_owner(pma, handle, (uint32_t)uid, (uint32_t)gid);
	Py_END_ALLOW_THREADS
	return done(session, r, NULL);
}

PyDoc_STRVAR(mode_doc, "set_mode($self, handle, mode, /)\n--\n\n"
		       "As chmod, bits 0o666: says who else may open the allocation.");

static PyObject *session_set_mode(PyObject *self, PyObject *args)
{
	struct session *session = (struct session *)self;
	struct pma_handle handle;
	PyObject *object, *number;
	struct pma *pma;
	uint64_t mode;
	int r;

	if (!PyArg_ParseTuple(args, "OO:set_mode", &object, &number) ||
	    !record_read_handle(&handle, object) ||
	    !record_read_number(&mode, number, UINT32_MAX, "mode"))
		return NULL;
	pma = session_enter(session);
	if (!pma)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = pma_set_mode(pma, handle, (uint32_t)mode);
	Py_END_ALLOW_THREADS
	return done(session, r, NULL);
}

PyDoc_STRVAR(attributes_doc,
	     "set_attributes($self, handle, attributes, /)\n--\n\n"
	     "Set other attributes, instead of all that were there: at most 256 bytes; b'':\n"
	     "none.");

static PyObject *session_set_attributes(PyObject *self, PyObject *args)
{
	struct session *session = (struct session *)self;
	struct pma_op op = { .opcode = PMA_OP_CREATE };
	struct pma_handle handle;
	PyObject *object, *attributes;
	struct pma *pma;
	int r;

	if (!PyArg_ParseTuple(args, "OO:set_attributes", &object, &attributes) ||
	    !record_read_handle(&handle, object) || !read_attributes(&op, attributes))
		return NULL;
	pma = session_enter(session);
	if (!pma)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	r = pma_set_attributes(pma, handle, op.attributes, op.attributes_len);
	Py_END_ALLOW_THREADS
	return done(session, r, NULL);
}

PyDoc_STRVAR(valid_doc,
	     "is_valid($self, handle, /)\n--\n\n"
	     "Whether the allocation still exists, by a look into shared memory: no message.");

static PyObject *session_is_valid(PyObject *self, PyObject *object)
{
	struct session *session = (struct session *)self;
	struct pma_handle handle;
	struct pma *pma;
	bool is_valid;

	if (!record_read_handle(&handle, object))
		return NULL;
	pma = session_enter(session);
	if (!pma)
		return NULL;
	/* The first call of an arena attaches its shared memory, which is a message. */
	Py_BEGIN_ALLOW_THREADS
	is_valid = pma_is_valid(pma, handle);
	Py_END_ALLOW_THREADS
	session_leave(session);
	return PyBool_FromLong(is_valid);
}

const PyMethodDef session_operation_methods[] = {
	{ "run_ops", session_run, METH_O, run_doc },
	{ "set_owner", METHOD(session_set_owner), METH_VARARGS | METH_KEYWORDS, owner_doc },
	{ "set_mode", session_set_mode, METH_VARARGS, mode_doc },
	{ "set_attributes", session_set_attributes, METH_VARARGS, attributes_doc },
	{ "is_valid", session_is_valid, METH_O, valid_doc },
	{ NULL, NULL, 0, NULL },
};
