/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * service_reload: reads the configuration again and takes over what can change in a running daemon.
 * A configuration with a mistake changes nothing.
 */
#include <config.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/arena/arena_drain.h"
#include "daemon/log.h"
#include "daemon/service/quotas.h"
#include "daemon/service/service.h"

/*
 * The most mistakes that are logged. A file that is no configuration at all has a mistake in each
 * line.
 */
#define MISTAKES_MAX 50

struct mistakes {
	config_complain_fn *complain;
	void  *arg;
	size_t nr;
};

static void pass_mistake(void *arg, const char *what)
{
	struct mistakes *mistakes = arg;

	if (mistakes->nr++ >= MISTAKES_MAX)
		return;
	log_error("%s", what);
	if (mistakes->complain)
		mistakes->complain(mistakes->arg, what);
}

/* Says which sizes of the configuration have no effect, to the log and in @text. */
static void say_other_sizes(struct service *service, const struct config *config, char *text,
			    size_t size)
{
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		const struct served *served = &service->arenas[i];
		char each[512];

		for (size_t k = 0; k < config->nr_arenas; k++) {
			if (strcmp(config->arenas[k].name, served->name) != 0 ||
			    !served_is_other_size(each, sizeof(each), served, &config->arenas[k]))
				continue;
			log_warning("%s", each);
			snprintf(text + strlen(text), size - strlen(text), "%s%s",
				 text[0] ? "; " : "", each);
		}
	}
}

static void log_reloaded(const struct service_kept *kept)
{
	if (kept->until_restart[0])
		log_warning(
			"the configuration was reloaded, but these change with a restart only: %s",
			kept->until_restart);
	else
		log_info("the configuration was reloaded");
	if (kept->arenas[0])
		log_notice("%s", kept->arenas);
}

/* ---- arenas of the file ---- */

static void say(struct service_kept *kept, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void say(struct service_kept *kept, const char *fmt, ...)
{
	size_t len = strlen(kept->arenas);
	va_list ap;

	len += (size_t)snprintf(kept->arenas + len, sizeof(kept->arenas) - len, "%s",
				len ? "; " : "");
	va_start(ap, fmt);
	if (len < sizeof(kept->arenas))
		vsnprintf(kept->arenas + len, sizeof(kept->arenas) - len, fmt, ap);
	va_end(ap);
}

/* The section of the arena is gone: it goes now, or when nobody holds anything of it any more. */
static void let_go(struct service *service, uint32_t index, struct service_kept *kept)
{
	struct served *served = &service->arenas[index];
	char name[CONFIG_NAME_MAX];
	struct why why = { "" };

	memcpy(name, served->name, sizeof(name));
	served->is_leaving = true;
	if (served->arena)
		arena_set_drained(served->arena, true);
	if (service_remove(service, index, NULL, &why) == 0)
		say(kept, "arena %s was removed", name);
	else
		say(kept, "arena %s is drained and goes when nobody holds anything of it", name);
}

/* The section of the arena is there, or there again. */
static void keep(struct service *service, uint32_t index, struct service_kept *kept)
{
	struct served *served = &service->arenas[index];

	served->is_added = false;
	if (!served->is_leaving)
		return;
	served->is_leaving = false;
	/* One that an administrator drained stays so. */
	if (served->arena)
		arena_set_drained(served->arena, service_is_drained(service, index));
	say(kept, "arena %s stays, and is %s", served->name,
	    service_is_drained(service, index) ? "still drained" : "not drained any more");
}

/* Lets those arenas go whose section is gone. What an administrator added never had one. */
static void compare_arenas(struct service *service, const struct config *next,
			   struct service_kept *kept)
{
	for (uint32_t i = 0; i < service->nr_arenas; i++) {
		struct served *served = &service->arenas[i];

		if (served->is_gone)
			continue;
		if (config_find_arena(next, served->name))
			keep(service, i, kept);
		else if (!served->is_added && !served->is_leaving)
			let_go(service, i, kept);
	}
}

static void add_arenas(struct service *service, const struct config *next,
		       struct service_kept *kept)
{
	for (size_t i = 0; i < next->nr_arenas; i++) {
		const struct config_arena *section = &next->arenas[i];
		struct why why = { "" };
		uint32_t index;

		if (config_find_arena(&service->config, section->name))
			continue;
		if (service_add_section(service, &index, section, &why) == 0)
			say(kept, "arena %s was added", section->name);
		else
			say(kept, "arena %s is not there yet: %s", section->name, why.text);
	}
}

int service_reload(struct service *service, struct service_kept *kept, config_complain_fn *complain,
		   void *arg, struct why *why)
{
	struct mistakes mistakes = { .complain = complain, .arg = arg };
	struct config next;
	int r;

	r = config_load_all(&next, service->sources, pass_mistake, &mistakes, why);
	if (r == 0 && next.nr_arenas == 0) {
		/* A file that was emptied by mistake shall not end the service. */
		config_fini(&next);
		r = why_set(why, -EINVAL, "no arena is configured; `pmemarenactl remove-arena` "
					  "removes one");
		pass_mistake(&mistakes, why->text);
	}
	service->reload_failed = r < 0 ? *why : (struct why){ "" };
	if (r < 0) {
		log_error("the configuration was not reloaded, all stays as it was: %zu mistake%s "
			  "in it; `pmemarenad --check-config` lists them",
			  mistakes.nr, mistakes.nr == 1 ? " is" : "s are");
		return r;
	}
	config_reload_diff(kept->until_restart, sizeof(kept->until_restart), &service->config,
			   &next);
	kept->for_good[0] = kept->arenas[0] = '\0';
	say_other_sizes(service, &next, kept->for_good, sizeof(kept->for_good));
	compare_arenas(service, &next, kept);
	config_reload(&service->config, &next);
	add_arenas(service, &next, kept);
	config_fini(&next);
	log_set_level(service->config.daemon.log_level);
	scrubber_set_rate(service->scrubber, service->config.daemon.scrub_rate);
	r = quotas_apply(service);
	service_tell_reloaded(service);
	if (r < 0) {
		log_error("quotas: %s", strerror(-r));
		return why_set(why, r, "quotas: %s", strerror(-r));
	}
	log_reloaded(kept);
	service_look_again(service, true);
	return 0;
}
